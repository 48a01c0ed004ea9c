"""Lambda's Runtime API for one execution environment, on a port of its own.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import asyncio
import time
import uuid
from dataclasses import dataclass

from aiohttp import web

VERSION = "2018-06-01"
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100_000  # six megabytes of payload, and what is around it
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
ACCEPTED = {"status": "OK"}


class FunctionFailed(Exception):
    """The function raised, took too long, or ended; the message is what it said last."""


@dataclass(frozen=True, slots=True)
class Invocation:
    id: str
    payload: bytes
    deadline_ms: int  # of the epoch


class RuntimeApi:
    """Hands a function one event after the other; ``ready`` when it has asked for the first."""

    def __init__(self, *, arn: str) -> None:
        self._arn = arn
        self.ready = asyncio.Event()
        self.init_error: str | None = None
        self.broken = False  # the runtime ends now, as it does when its answer is refused
        self._waiting: asyncio.Queue[Invocation | None] = asyncio.Queue()  # None: the end
        self._answers: dict[str, asyncio.Future[bytes]] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """``host:port``, as AWS_LAMBDA_RUNTIME_API has it."""
        app = web.Application(client_max_size=MAX_RESPONSE_BYTES * 2)
        invocation = f"/{VERSION}/runtime/invocation"
        app.router.add_get(f"{invocation}/next", self._next)
        app.router.add_post(invocation + "/{id}/response", self._response)
        app.router.add_post(invocation + "/{id}/error", self._error)
        app.router.add_post(f"/{VERSION}/runtime/init/error", self._init_error)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"{host}:{port}"

    async def stop(self) -> None:
        self._waiting.put_nowait(None)  # whoever still waits for an event waits for none now
        if self._runner is not None:
            await self._runner.cleanup()

    async def invoke(self, payload: bytes, *, timeout_s: float) -> bytes:
        """The function's answer; raises FunctionFailed with its error."""
        deadline_ms = int((time.time() + timeout_s) * 1000)  # noqa: TID251 - Lambda's own clock
        invocation = Invocation(str(uuid.uuid4()), payload, deadline_ms)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[invocation.id] = answer
        self._waiting.put_nowait(invocation)
        try:
            return await answer
        finally:
            del self._answers[invocation.id]

    async def _next(self, request: web.Request) -> web.Response:
        self.ready.set()
        invocation = await self._waiting.get()
        if invocation is None:
            return web.Response(status=410)
        return web.Response(
            body=invocation.payload,
            content_type="application/json",
            headers={
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": self._arn,
                "Lambda-Runtime-Trace-Id": f"Root=1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]}",
            },
        )

    async def _response(self, request: web.Request) -> web.Response:
        body = await request.read()
        if len(body) > MAX_RESPONSE_BYTES:
            self.broken = True
            self._fail(request, f"an answer of {len(body)} bytes is larger than Lambda's limit")
            return web.json_response({"errorType": "ResponseSizeTooLarge"}, status=413)
        answer = self._answers.get(request.match_info["id"])
        if answer is not None and not answer.done():
            answer.set_result(body)
        return web.json_response(ACCEPTED, status=202)

    async def _error(self, request: web.Request) -> web.Response:
        self._fail(request, await request.text())
        return web.json_response(ACCEPTED, status=202)

    async def _init_error(self, request: web.Request) -> web.Response:
        self.init_error = await request.text()
        self.ready.set()
        return web.json_response(ACCEPTED, status=202)

    def _fail(self, request: web.Request, reason: str) -> None:
        answer = self._answers.get(request.match_info["id"])
        if answer is not None and not answer.done():
            answer.set_exception(FunctionFailed(reason))

"""A server that answers as a test says: what a client of ours does when things go wrong."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import WSMsgType, web
from anyio.from_thread import start_blocking_portal

from comfyq.domain.files.output import OutputKind
from comfyq.wire.generate.jobs import JobUrls, JobView, OutputView, StoryView

JOB = "11111111-2222-4333-8444-555555555555"
BEGAN = datetime(2025, 1, 1, 12, tzinfo=UTC)

Json = dict[str, Any]


class Close:
    """A step of a socket: it is closed, without a word about the job's end."""


class Deaf:
    """A step of a socket: nothing is ever sent again."""


class Heard:
    """A step of a socket: nothing follows before the client has said something."""


Step = Json | Close | Deaf | Heard


@dataclass
class FakeApi:
    """Answers of each path, in turn, the last one for ever; sockets follow their scripts."""

    url: str = ""
    answers: dict[str, deque[tuple[int, object]]] = field(default_factory=dict)
    headers: dict[str, Mapping[str, str]] = field(default_factory=dict)  # of a path's answers
    sockets: deque[list[Step]] = field(default_factory=deque)  # none left: refused
    requests: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    said: list[Json] = field(default_factory=list)  # by clients, on sockets

    def answer(self, path: str, *bodies: object, status: int = 200) -> None:
        """Answer next with these; bytes as they are, all else as JSON."""
        self.answers.setdefault(path, deque()).extend((status, body) for body in bodies)

    def stream(self, path: str, *frames: Json) -> None:
        """Answer with a stream of these frames, which ends then."""
        events = "".join(f"data: {json.dumps(each)}\n\n" for each in frames)
        self.answer(path, events.encode())
        self.headers[path] = {"Content-Type": "text/event-stream"}

    def job(self, **fields: Any) -> Json:
        """A job as the API shows it."""
        urls = JobUrls(self=f"{self.url}/generate/{JOB}", cancel=self.url, ws=self.ws_url)
        view = {"id": JOB, "status": "queued", "progress": 0, "workflow": "flux-dev", "seq": 1}
        view |= {"created_at": BEGAN, "urls": urls, **fields}
        model = StoryView if "attempts" in fields else JobView
        shown: Json = model.model_validate(view).model_dump(mode="json")
        return shown

    def workflow(self, name: str = "flux-dev", **properties: Json) -> None:
        """Answer for a workflow with these parameters beside its prompt."""
        known = {"prompt": {"type": "string"}} | properties
        view = {"name": name, "title": name, "description": "It draws."}
        self.answer(f"/workflows/{name}", view | {"parameters": {"properties": known}})

    def output(self, content: bytes, *, blake3: str) -> Json:
        self.answer("/picture", content)
        view = OutputView(
            index=0,
            node="9",
            filename="a_00001_.png",
            kind=OutputKind.IMAGE,
            content_type="image/png",
            size=len(content),
            blake3=blake3,
            url=f"{self.url}/picture",
        )
        return view.model_dump()

    @property
    def ws_url(self) -> str:
        return f"{self.url.replace('http', 'ws')}/socket"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/socket"):
            return await self._socket(request)
        body = await request.read()
        self.requests.append((request.method, request.path_qs, request.headers, body))
        known = self.answers.get(request.path)
        if not known and request.path.endswith("/events"):  # as where only sockets push
            return web.json_response({"code": "streams-not-served"}, status=501)
        if not known:
            return web.json_response({"code": "not-found", "detail": "no such path"}, status=404)
        status, answer = known.popleft() if len(known) > 1 else known[0]
        headers = self.headers.get(request.path)
        if isinstance(answer, bytes):
            return web.Response(body=answer, status=status, headers=headers)
        return web.json_response(answer, status=status, headers=headers)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if not self.sockets:
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        heard = asyncio.Event()
        listening = asyncio.ensure_future(self._listen(socket, heard))
        try:
            for step in self.sockets.popleft():
                match step:
                    case Close():
                        break
                    case Deaf():
                        await listening
                    case Heard():
                        await heard.wait()
                    case _:
                        await socket.send_json(step)
            await socket.close()
        finally:
            listening.cancel()
        return socket

    async def _listen(self, socket: web.WebSocketResponse, heard: asyncio.Event) -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.said.append(json.loads(message.data))
                heard.set()


def frame(seq: int, status: str = "running", progress: float = 0.0, **fields: Any) -> Json:
    """A progress frame."""
    shown = {"job_id": JOB, "status": status, "progress": progress, "step": 0, "max_steps": 0}
    shown |= {"message": None, "image_url": None, "error": None, "error_code": None}
    return shown | {"seq": seq, "attempt": 1} | fields


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


@contextmanager
def fake_api() -> Iterator[FakeApi]:
    """One that listens, in a thread."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_serving()) as api:
        yield api


@asynccontextmanager
async def _serving() -> AsyncIterator[FakeApi]:
    api = FakeApi()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        api.url = f"http://{host}:{port}"
        yield api
    finally:
        await runner.cleanup()

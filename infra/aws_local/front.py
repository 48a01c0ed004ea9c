"""API Gateway's two APIs on one port: HTTP to the one function, sockets to the other."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from comfyq.adapters.system.clock import SystemClock
from comfyq.aio.logs import log
from comfyq.config import LOOK_ALIKE_ACCESS
from comfyq.local.gateway import Gateway
from infra.aws_local.function import Function, TooLarge
from infra.aws_local.http_events import event_of, response_of
from infra.aws_local.runtime_api import FunctionFailed
from infra.aws_local.secure import Identity, secured

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


async def _secret() -> bytes:
    """Return what functions sign by: the key that every look-alike of AWS knows."""
    return LOOK_ALIKE_ACCESS["AWS_SECRET_ACCESS_KEY"].encode()


class Front:
    """``app`` is served while ``running``; a function that fails is API Gateway's own 500."""

    def __init__(
        self, *, http: Function, sockets: Function, api_id: str, stage: str, identity: Identity
    ) -> None:
        self._http = http
        self._sockets = sockets
        self._api_id = api_id
        self._identity = identity
        self._connections = ""  # where functions post to sockets, as host:port
        self._gateway = Gateway(self._say, clock=SystemClock(), secret=_secret, stage=stage)
        routes = [*self._gateway.routes, Route("/{path:path}", self._ask, methods=METHODS)]
        self.app = Starlette(routes=routes, lifespan=lambda _: self._running())

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        async with self._gateway.running() as endpoint:
            plain = urlsplit(endpoint).netloc
            async with secured(plain, self._identity) as self._connections:
                yield

    async def _ask(self, request: Request) -> Response:
        try:
            event = event_of(request, await request.body(), api_id=self._api_id)
            return response_of(await self._http.invoke(event))
        except TooLarge:
            return JSONResponse({"message": "Request Too Long"}, 413)
        except FunctionFailed as failed:
            log.error("http.function_failed", path=request.url.path, reason=str(failed))
            return JSONResponse({"message": "Internal Server Error"}, 500)

    async def _say(self, event: Mapping[str, Any], context: object) -> Mapping[str, Any]:
        """A socket's event, with the name under which functions reach this machine by TLS."""
        about = {**event["requestContext"], "domainName": self._connections}
        answer: Mapping[str, Any] = await self._sockets.invoke({**event, "requestContext": about})
        return answer

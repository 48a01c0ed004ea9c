"""The id of each request: in its answer, in its problem document, and in the lines it logs."""

import re
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comfyq.aio.logs import log_context

HEADER = "X-Request-Id"
PLACE = "comfyq.request_id"  # in the scope
WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,64}")
RAW_HEADER = HEADER.lower().encode()


def request_id_of(scope: Scope) -> str:
    """Return a request's id: the client's own if it is well-formed, else a new one, which stays."""
    known: str | None = scope.get(PLACE)
    if known is None:
        given = next((value for name, value in scope["headers"] if name == RAW_HEADER), b"")
        known = given.decode() if WELL_FORMED.fullmatch(given) else uuid4().hex
        scope[PLACE] = known
    return known


class RequestIds:
    """Name each request in its answer and in its log lines."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault(HEADER, request_id)
            await send(message)

        with log_context(request=request_id):
            await self._app(scope, receive, named)

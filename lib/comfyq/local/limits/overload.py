"""Refusal of requests that would only wait behind too many others."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comfyq.edges.api.problems import RETRY_AFTER_S, ProblemResponse
from comfyq.edges.api.serving.waiting_place import LEAVE

ALWAYS = ("/health",)  # whoever asks how it is, is told


class OverloadGuard:
    """Answer 503 at once while ``most`` requests wait for us.

    Each waits for the event loop, the store or a thread, and one more makes all of them later: past
    what clients wait for, nothing that is done serves anyone. A request counts until its answer
    begins, and neither while its client is the one that is waited for nor once it waits for a job
    alone: slow uploads, downloads and jobs keep nobody out.
    """

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(ALWAYS):
            await self._app(scope, receive, send)
        elif self.waiting >= self._most:
            refused = _refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "overloaded",
                f"{self._most} requests wait already (COMFYQ_REQUESTS_AT_ONCE); send this one "
                f"again in {RETRY_AFTER_S} s",
                scope,
            )
            await refused(scope, receive, send)
        else:
            place = _Place(self, receive, send)
            scope[LEAVE] = place.leave
            try:
                await self._app(scope, place.receive, place.send)
            finally:
                place.leave()


class _Place:
    """The place of one request among those that wait."""

    def __init__(self, guard: OverloadGuard, receive: Receive, send: Send) -> None:
        self._guard = guard
        self._receive = receive
        self._send = send
        self._is_taken = False
        self._take()

    async def receive(self) -> Message:
        if not self._is_taken:  # its answer has begun
            return await self._receive()
        self.leave()
        try:
            return await self._receive()
        finally:
            self._take()

    async def send(self, message: Message) -> None:
        self.leave()
        await self._send(message)

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._guard.waiting -= 1

    def _take(self) -> None:
        self._is_taken = True
        self._guard.waiting += 1


def _refusal(status: HTTPStatus, code: str, detail: str, scope: Scope) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return ProblemResponse(Request(scope), status=status, code=code, detail=detail, headers=headers)

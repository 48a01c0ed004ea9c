"""The @connections API of the gateway, as boto3's ``apigatewaymanagementapi`` speaks it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/
apigateway-how-to-call-websocket-api-connections.html

One body and one request are this gateway's own. A DELETE may say by which code a socket ends:
``{"code": 4401, "reason": "…"}``. And a POST to ``/{stage}/@connections`` itself, with a line of
JSON that lists connections and then a frame, posts that frame to all of them. So a worker in
another process makes one request for each frame, however many sockets follow its job.
"""

import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from comfyq.domain.errors import NotifierUnavailable, TooLarge
from comfyq.domain.request_signature import ALGORITHM, SignedRequest, is_signed
from comfyq.local.outbox import BufferFull
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import NORMAL, Close, ConnectionGone


class Held(Protocol):
    """A socket or stream of this process."""

    open: bool  # frames may be posted to it
    connected_at: datetime
    last_active_at: datetime
    client_host: str
    user_agent: str

    def post(self, text: str) -> None:
        """Put a frame into its buffer; raises BufferFull."""
        ...

    def close(self, close: Close = NORMAL) -> None:
        """End it on our side."""
        ...


Find = Callable[[str], Held | None]
"""The socket or stream of an id, if this process holds one."""

Secret = Callable[[], Awaitable[bytes]]

MAX_NAMED_BYTES = 64 * 1024  # of the line that lists connections; 2,000 of them have 40 KB


class Management:
    """Answers those who have signed their request by ``secret``, which may raise
    NotifierUnavailable."""

    def __init__(
        self,
        find: Find,
        *,
        stage: str,
        max_message_bytes: int,
        secret: Secret,
        clock: Clock,
    ) -> None:
        self._find = find
        self._max_message_bytes = max_message_bytes
        self._secret = secret
        self._clock = clock
        one = f"/{stage}/@connections/{{connection_id:path}}"
        self.app = Starlette(
            routes=[
                Route(f"/{stage}/@connections", self._answer_for_several, methods=["POST"]),
                Route(one, self._answer, methods=["GET", "POST", "DELETE"]),
            ]
        )

    def deliver(self, connection_id: str, frame: bytes) -> None:
        """Post a frame without a request.

        Raises:
            ConnectionGone, TooLarge.
            NotifierUnavailable: the client does not read as fast as frames are posted.
        """
        live = self._open(connection_id)
        if live is None:
            raise ConnectionGone(connection_id)
        try:
            self._put(live, frame)
        except BufferFull:
            raise NotifierUnavailable(f"{connection_id} does not read its frames") from None

    async def _answer(self, request: Request) -> Response:
        return await self._checked(request, self._obey, most=self._max_message_bytes)

    async def _answer_for_several(self, request: Request) -> Response:
        most = self._max_message_bytes + MAX_NAMED_BYTES
        return await self._checked(request, self._post_to_all, most=most)

    async def _checked(
        self, request: Request, obey: Callable[[Request, bytes], Response], *, most: int
    ) -> Response:
        """Return what ``obey`` answers to a request that is signed and has ``most`` bytes."""
        if not request.headers.get("authorization", "").startswith(ALGORITHM):
            return _fault(403, "ForbiddenException", "Missing Authentication Token")
        body = await _body(request, most=most)
        if body is None:
            return _fault(413, "PayloadTooLargeException", "Message too large")
        try:
            if not is_signed(_read(request, body), await self._secret(), now=self._clock.now()):
                return _fault(403, "InvalidSignatureException", "The signature does not match")
        except NotifierUnavailable:
            return _fault(503, "ServiceUnavailableException")
        return obey(request, body)

    def _obey(self, request: Request, body: bytes) -> Response:
        live = self._open(request.path_params["connection_id"])
        if live is None:
            return _fault(410, "GoneException")
        match request.method:
            case "POST":
                return self._post(live, body)
            case "DELETE":
                live.close(_close(body))
                return Response(status_code=204)
            case _:
                return JSONResponse(_described(live))

    def _post_to_all(self, request: Request, body: bytes) -> Response:
        """Answer which connections have closed, and of which the buffers are full."""
        named, _, frame = body.partition(b"\n")
        if len(frame) > self._max_message_bytes:
            return _fault(413, "PayloadTooLargeException", "Message too large")
        gone, full = [], []
        for connection_id in json.loads(named):
            try:
                self.deliver(connection_id, frame)
            except ConnectionGone:
                gone.append(connection_id)
            except NotifierUnavailable:
                full.append(connection_id)
        return JSONResponse({"gone": gone, "full": full})

    def _post(self, live: Held, body: bytes) -> Response:
        try:
            self._put(live, body)
        except BufferFull:
            return _fault(429, "LimitExceededException")
        return Response(status_code=200)

    def _put(self, live: Held, frame: bytes) -> None:
        if len(frame) > self._max_message_bytes:
            raise TooLarge(f"a frame of {len(frame)} bytes; the most is {self._max_message_bytes}")
        live.post(frame.decode("utf-8", "replace"))

    def _open(self, connection_id: str) -> Held | None:
        live = self._find(connection_id)
        return live if live is not None and live.open else None  # its $connect may still run


async def _body(request: Request, *, most: int) -> bytes | None:
    """Return the body of a request; None if it has more bytes."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return body


def _close(body: bytes) -> Close:
    """Return what a socket's close frame is to say; whoever sends the body has signed it."""
    return Close(**json.loads(body)) if body else NORMAL


def _read(request: Request, body: bytes) -> SignedRequest:
    """Return a request as its sender has signed it; none of boto3's has a query."""
    query = request.scope["query_string"]
    path = request.scope["raw_path"] + (b"?" + query if query else b"")
    headers = {name: ",".join(request.headers.getlist(name)) for name in request.headers}
    return SignedRequest(request.method, path.decode("latin-1"), headers, body)


def _described(live: Held) -> dict[str, object]:
    identity = {"sourceIp": live.client_host, "userAgent": live.user_agent}
    return {
        "connectedAt": _iso(live.connected_at),
        "identity": identity,
        "lastActiveAt": _iso(live.last_active_at),
    }


def _iso(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"


def _fault(status: int, kind: str, message: str | None = None) -> Response:
    headers = {"x-amzn-ErrorType": kind, "x-amzn-RequestId": str(uuid.uuid4())}
    return JSONResponse({} if message is None else {"message": message}, status, headers=headers)

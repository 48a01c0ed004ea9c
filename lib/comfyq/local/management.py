"""The @connections API of the gateway, as boto3's ``apigatewaymanagementapi`` speaks it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/
apigateway-how-to-call-websocket-api-connections.html
"""

import uuid
from collections.abc import Mapping
from datetime import datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from comfyq.domain.errors import NotifierUnavailable, TooLarge
from comfyq.local.connections import NORMAL, BufferFull, LiveConnection
from comfyq.ports.notifier import ConnectionGone

Connections = Mapping[str, LiveConnection]


class Management:
    def __init__(self, connections: Connections, *, stage: str, max_message_bytes: int) -> None:
        self._connections = connections
        self._max_message_bytes = max_message_bytes
        path = f"/{stage}/@connections/{{connection_id:path}}"
        methods = ["GET", "POST", "DELETE"]
        self.app = Starlette(routes=[Route(path, self._answer, methods=methods)])

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
        if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256"):
            return _fault(403, "ForbiddenException", "Missing Authentication Token")
        live = self._open(request.path_params["connection_id"])
        if live is None:
            return _fault(410, "GoneException")
        match request.method:
            case "POST":
                return await self._post(live, request)
            case "DELETE":
                live.end(NORMAL)
                return Response(status_code=204)
            case _:
                return JSONResponse(_described(live))

    async def _post(self, live: LiveConnection, request: Request) -> Response:
        try:
            self._put(live, await request.body())
        except TooLarge:
            return _fault(413, "PayloadTooLargeException", "Message too large")
        except BufferFull:
            return _fault(429, "LimitExceededException")
        return Response(status_code=200)

    def _put(self, live: LiveConnection, frame: bytes) -> None:
        if len(frame) > self._max_message_bytes:
            raise TooLarge(f"a frame of {len(frame)} bytes; the most is {self._max_message_bytes}")
        live.post(frame.decode("utf-8", "replace"))

    def _open(self, connection_id: str) -> LiveConnection | None:
        live = self._connections.get(connection_id)
        return live if live is not None and live.open else None  # its $connect may still run


def _described(live: LiveConnection) -> dict[str, object]:
    client = live.websocket.client
    identity = {
        "sourceIp": client.host if client else "127.0.0.1",
        "userAgent": live.websocket.headers.get("user-agent", ""),
    }
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

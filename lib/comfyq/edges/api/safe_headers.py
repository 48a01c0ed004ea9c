"""Headers that keep a browser from running anything that an answer of ours may quote."""

from collections.abc import Mapping, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP = "Content-Security-Policy"
SAFE: Mapping[str, str] = {
    CSP: "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # a link to an output is a right to it
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that know no frame-ancestors
}
STARTS = ("http.response.start", "websocket.http.response.start")  # the second refuses a handshake


def _raw(headers: Mapping[str, str]) -> Sequence[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


FOR_ALL = _raw(SAFE)
REFUSAL = "websocket.http.response"  # the server's extension that lets us answer a handshake


class SafeHeaders:
    """Add ``SAFE`` to every answer that has no such headers of its own; also to the refusal of a
    socket, which the server would write without them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        is_accepted = False

        async def safe(message: Message) -> None:
            nonlocal is_accepted
            is_accepted |= message["type"] == "websocket.accept"
            if message["type"] == "websocket.close" and not is_accepted and _can_answer(scope):
                await _refuse(send)
                return
            if message["type"] in STARTS:
                has = dict(message["headers"])  # their names are in lower case
                more = [each for each in FOR_ALL if each[0] not in has]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self._app(scope, receive, safe)


def _can_answer(scope: Scope) -> bool:
    return REFUSAL in scope.get("extensions", {})


async def _refuse(send: Send) -> None:
    headers = [*FOR_ALL, (b"content-length", b"0")]
    await send({"type": f"{REFUSAL}.start", "status": 403, "headers": headers})
    await send({"type": f"{REFUSAL}.body", "body": b""})

"""A limit on request bodies, so that none fills the server's memory."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = (
    6 * 1024 * 1024
)  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
FORM_OVERHEAD_BYTES = 64 * 1024  # around a form's file: headers, and fields that nobody reads


class BodyLimit:
    """Answer 413 to a body of more than ``max_bytes``, by raising where the application reads it.

    ``larger`` has other limits by path. Starlette's own middleware would answer in plain text.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int = MAX_BODY_BYTES,
        larger: Mapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = _declared_bytes(scope)
        most = self._larger.get(scope["path"], self._max_bytes)
        read = 0

        async def limited() -> Message:
            nonlocal read
            if declared > most:
                raise _too_large(most)
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _too_large(most)
            return message

        await self._app(scope, limited, send)


def _too_large(most: int) -> HTTPException:
    detail = f"the body is larger than {most} bytes"
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _declared_bytes(scope: Scope) -> int:
    """Return the declared length of the body; 0 if there is none."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            return int(value)
    return 0

"""Limits on requests, so that none fills the server's memory or keeps its event loop."""

import re
from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comfyq.edges.api.problems import ProblemResponse

MAX_BODY_BYTES = (
    6 * 1024 * 1024
)  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
# API Gateway gives a function bodies that are no text in base64, within those 6 MB.
LAMBDA_FILE_BYTES = 4_500_000
MAX_HEAD_BYTES = 32 * 1024  # of path, query and headers
MAX_VALUES = 150_000  # of JSON: its reader takes a second for the millions that 6 MB can have
MARKS = (b",", b"[", b"{")  # one for each value, if it stands in no text
SMALL_BODY_BYTES = 16 * 1024  # of requests with a few fields of their own
JSON_FILES_BYTES = 20 * 1024 * 1024  # of JSON with files in it, as base64
FORM_OVERHEAD_BYTES = 64 * 1024  # around a form's file: headers, and fields that nobody reads


class RequestLimit:
    """Answer 413 to a body of more than ``max_bytes``, by raising where the application reads it.

    So is one of JSON with too many values: that is every body but of the paths of ``files``.
    ``others`` has limits by patterns of paths; ``most_file_bytes`` is the one of ``files`` where
    what runs the application takes no more. Starlette's own middleware would answer in plain text.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int = MAX_BODY_BYTES,
        others: Mapping[re.Pattern[str], int],
        files: re.Pattern[str],
        most_file_bytes: int | None = None,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._others = others
        self._files = files
        self._most_file_bytes = most_file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _head_bytes(scope) > MAX_HEAD_BYTES:
            await _head_too_large(Request(scope))(scope, receive, send)
            return
        declared = _declared_bytes(scope)
        is_file = self._files.fullmatch(scope["path"]) is not None
        most = self._limit(scope["path"], is_file=is_file)
        read = values = 0

        async def limited() -> Message:
            nonlocal read, values
            if declared > most:
                raise self._too_large(most, is_file=is_file)
            message = await receive()
            body = message.get("body", b"")
            read += len(body)
            if read > most:
                raise self._too_large(most, is_file=is_file)
            if not is_file:
                values += sum(map(body.count, MARKS))
                if values > MAX_VALUES:
                    raise _too_many()
            return message

        await self._app(scope, limited, send)

    def _limit(self, path: str, *, is_file: bool) -> int:
        others = (most for pattern, most in self._others.items() if pattern.fullmatch(path))
        most = next(others, self._max_bytes)
        return min(most, self._most_file_bytes) if is_file and self._most_file_bytes else most

    def _too_large(self, most: int, *, is_file: bool) -> HTTPException:
        detail = f"the body is larger than {most} bytes"
        if is_file and most == self._most_file_bytes:
            detail += ": announce larger files by `POST /assets/uploads`, and send them to the URL"
            detail += " that it answers with"
        elif is_file:
            detail += f": a file may have {most - FORM_OVERHEAD_BYTES} (COMFYQ_UPLOAD_MAX_BYTES)"
        elif most >= MAX_BODY_BYTES:
            detail += ": send files by `POST /assets`, and requests in several batches"
        return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _head_bytes(scope: Scope) -> int:
    headers = sum([len(name) + len(value) for name, value in scope["headers"]])
    return len(scope["path"]) + len(scope["query_string"]) + headers


def _head_too_large(request: Request) -> Response:
    return ProblemResponse(
        request,
        status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        code="head-too-large",
        detail=f"path, query and headers have over {MAX_HEAD_BYTES} bytes",
    )


def _too_many() -> HTTPException:
    detail = f"the body has over {MAX_VALUES} values (or {', '.join(map(bytes.decode, MARKS))})"
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{detail}; send it in parts")


def _declared_bytes(scope: Scope) -> int:
    """Return the declared length of the body; 0 if there is none."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            return int(value)
    return 0

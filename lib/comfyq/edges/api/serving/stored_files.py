"""Stored files as answers: whole, a range of them, or that the client has them already."""

from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from fastapi import HTTPException, Request
from fastapi.responses import Response, StreamingResponse

from comfyq.domain.files.serving import disposition, served_type
from comfyq.edges.api.serving.ranges import ByteRange, Unsatisfiable, requested_range

Read = Callable[[int, int], AsyncIterator[bytes]]
"""(start, end) -> the bytes between them; end is exclusive."""


class StoredFile(Protocol):
    @property
    def filename(self) -> str: ...

    @property
    def content_type(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def blake3(self) -> str: ...


async def served(request: Request, file: StoredFile, read: Read) -> Response:
    """Answer with what a request wants of a file."""
    headers = _headers(file)
    if _is_named(request, headers):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    part = _part(request, file, headers["ETag"])
    wanted = part or ByteRange(0, file.size)
    headers["Content-Length"] = str(wanted.size)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{file.size}"
    status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
    media_type = served_type(file.content_type)
    chunks = read(wanted.start, wanted.end)
    first = await anext(chunks, b"")  # at once, so that a missing file raises before the answer
    if len(first) == wanted.size:  # as of most pictures: a stream costs far more
        await anext(chunks, b"")  # which ends them
        return Response(first, status, headers, media_type)
    body = _joined(first, chunks)
    return StreamingResponse(body, status, headers, media_type=media_type)


def described(request: Request, file: StoredFile) -> Response:
    """Answer with the headers of a file, without its content."""
    headers = _headers(file)
    if _is_named(request, headers):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers["Content-Length"] = str(file.size)
    return Response(headers=headers, media_type=served_type(file.content_type))


def _is_named(request: Request, headers: Mapping[str, str]) -> bool:
    """Return whether the client has the file already."""
    return request.headers.get("if-none-match") in (headers["ETag"], "*")


def _part(request: Request, file: StoredFile, etag: str) -> ByteRange | None:
    if request.headers.get("if-range", etag) != etag:
        return None
    try:
        return requested_range(request.headers.get("range"), size=file.size)
    except Unsatisfiable:
        raise HTTPException(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"the file has {file.size} bytes",
            {"Content-Range": f"bytes */{file.size}"},
        ) from None


def _headers(file: StoredFile) -> dict[str, str]:
    """Build headers that keep a browser from running a file, which may be any, as our page."""
    return {
        "ETag": f'"{file.blake3}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600, immutable",
        "Content-Disposition": disposition(file.content_type, file.filename),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk

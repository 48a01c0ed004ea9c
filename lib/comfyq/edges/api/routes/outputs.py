"""``/generate/{id}/outputs/{index}``: where signed links lead."""

from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from comfyq.domain.files.output import MAX_OUTPUTS, Output
from comfyq.domain.files.serving import disposition, served_type
from comfyq.edges.api.authentication import ANYONE
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.ids import JobIdInPath, LinkPart
from comfyq.edges.api.links import GENERATE
from comfyq.edges.api.ranges import ByteRange, Unsatisfiable, requested_range
from comfyq.edges.api.responses import problems
from comfyq.edges.api.router import Router
from comfyq.services.files.downloads import Downloads


class OutputServices(Protocol):
    """The services that this route calls."""

    @property
    def downloads(self) -> Downloads: ...


router = Router[OutputServices](prefix=GENERATE, tags=["generate"])


async def _linked(
    services: Annotated[OutputServices, Depends(services_of)],
    job_id: JobIdInPath,
    index: Annotated[int, Path(ge=0, lt=MAX_OUTPUTS)],
    expires: LinkPart = "",
    signature: LinkPart = "",
) -> Output:
    """Return the output that a signed link leads to."""
    query = {"expires": expires, "signature": signature}
    return await services.downloads.find(job_id, index, query)


LinkedOutput = Annotated[Output, Depends(_linked)]


@router.get(
    "/{job_id}/outputs/{index}",
    response_class=Response,
    dependencies=[ANYONE],  # the link is signed
    responses=problems(403, 404)
    | {
        200: {"description": "The file.", "content": {"application/octet-stream": {}}},
        206: {"description": "The part of it that `Range` asks for."},
        302: {"description": "To a link of the storage, which is good for an hour."},
        304: {"description": "`If-None-Match` names the file."},
    },
)
async def download(
    request: Request,
    services: Annotated[OutputServices, Depends(services_of)],
    output: LinkedOutput,
) -> Response:
    """An output file. The link to it is in the job, and needs no other credentials."""
    link = await services.downloads.link(output)
    if link is not None:
        return RedirectResponse(link, HTTPStatus.FOUND, {"Cache-Control": "no-store"})
    return await _served(request, services.downloads, output)


@router.head(
    "/{job_id}/outputs/{index}",
    response_class=Response,
    dependencies=[ANYONE],  # the link is signed
    responses=problems(403, 404)
    | {
        200: {"description": "The headers of the file."},
        304: {"description": "`If-None-Match` names the file."},
    },
)
async def look(request: Request, output: LinkedOutput) -> Response:
    """An output file's size and type, by the link to it. It is not led to the storage, whose links
    are for GET alone."""
    headers = _headers(output)
    if _is_named(request, headers):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers["Content-Length"] = str(output.size)
    return Response(headers=headers, media_type=served_type(output.content_type))


async def _served(request: Request, downloads: Downloads, output: Output) -> Response:
    headers = _headers(output)
    if _is_named(request, headers):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    part = _part(request, output, headers["ETag"])
    wanted = part or ByteRange(0, output.size)
    headers["Content-Length"] = str(wanted.size)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{output.size}"
    status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
    chunks = downloads.read(output, start=wanted.start, end=wanted.end)
    body = await _begun(chunks)
    return StreamingResponse(body, status, headers, media_type=served_type(output.content_type))


def _is_named(request: Request, headers: Mapping[str, str]) -> bool:
    """Return whether the client has the file already."""
    return request.headers.get("if-none-match") in (headers["ETag"], "*")


def _part(request: Request, output: Output, etag: str) -> ByteRange | None:
    if request.headers.get("if-range", etag) != etag:
        return None
    try:
        return requested_range(request.headers.get("range"), size=output.size)
    except Unsatisfiable:
        raise HTTPException(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"the file has {output.size} bytes",
            {"Content-Range": f"bytes */{output.size}"},
        ) from None


def _headers(output: Output) -> dict[str, str]:
    """Build headers that keep a browser from running a file, which may be any, as our page."""
    return {
        "ETag": f'"{output.blake3}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600, immutable",
        "Content-Disposition": disposition(output.content_type, output.filename),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }


async def _begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Read the first chunk at once, so that a missing file raises before the answer begins."""
    first = await anext(chunks, b"")

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return rest()

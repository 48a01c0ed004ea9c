"""``/generate/{id}/outputs/{index}``: where signed links lead."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, Path, Request
from fastapi.responses import RedirectResponse, Response

from comfyq.domain.files.output import MAX_OUTPUTS, Output
from comfyq.edges.api.authentication import ANYONE
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.ids import JobIdInPath, LinkPart
from comfyq.edges.api.links import GENERATE
from comfyq.edges.api.responses import problems
from comfyq.edges.api.router import Router
from comfyq.edges.api.serving.stored_files import described, served
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
    return await served(request, output, partial(services.downloads.read, output))


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
    return described(request, output)

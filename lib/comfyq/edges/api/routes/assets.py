"""``/assets``: files that clients store for their jobs."""

from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, HTTPException, Query, Request, Response

from comfyq.domain.caller import Caller
from comfyq.domain.files.asset import Asset
from comfyq.edges.api.authentication import Canceler, Reader, Submitter
from comfyq.edges.api.cursors import CursorInQuery, decode_cursor, encode_cursor
from comfyq.edges.api.dependencies import ClientLinks, services_of
from comfyq.edges.api.ids import AssetIdInPath
from comfyq.edges.api.links import ASSETS
from comfyq.edges.api.multipart import BadForm, file_of
from comfyq.edges.api.responses import problems
from comfyq.edges.api.router import Router
from comfyq.edges.api.serving.received_files import stored
from comfyq.services.files.asset_deletion import AssetDeletion
from comfyq.services.files.asset_listing import AssetListing
from comfyq.services.files.uploads import Uploads
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.wire.assets import AssetList, AssetView
from comfyq.wire.uploads import NO_CONTROL

FORM = "multipart/form-data"
MAX_HEADER_CHARS = 200
BINARY = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
FILE_FORM = {
    "schema": {
        "type": "object",
        "properties": {"file": BINARY["schema"]},
        "required": ["file"],
    }
}


class AssetServices(Protocol):
    """The services that these routes call."""

    @property
    def uploads(self) -> Uploads: ...

    @property
    def asset_listing(self) -> AssetListing: ...

    @property
    def asset_deletion(self) -> AssetDeletion: ...

    @property
    def rate_limit(self) -> RateLimit: ...


Services = Annotated[AssetServices, Depends(services_of)]

router = Router[AssetServices](prefix=ASSETS, tags=["assets"])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=problems(400, 409, 413, 429),
    openapi_extra={
        "requestBody": {"required": True, "content": {FORM: FILE_FORM, "image/*": BINARY}}
    },
)
async def upload(
    request: Request,
    services: Services,
    caller: Submitter,
    links: ClientLinks,
    response: Response,
    filename: Annotated[
        str,
        Query(
            description="Of a file that is the body itself, without control characters.",
            max_length=MAX_HEADER_CHARS,
            pattern=NO_CONTROL,
        ),
    ] = "file",
) -> AssetView:
    """Store a file: the body itself, with its own content type, or one file of a form.

    Requests then name it as `asset:ID`. The same bytes are the same asset.
    """
    await services.rate_limit.acquire(caller)
    content_type = request.headers.get("content-type", "")[:MAX_HEADER_CHARS]
    if content_type.lower().startswith(FORM):
        asset = await _of_form(request, services.uploads, caller, content_type)
    else:
        asset = await stored(
            services.uploads,
            caller,
            request.stream(),
            filename=filename,
            content_type=content_type,
            check=_require_content,
        )
    url = links.asset(asset.id)
    response.headers["Location"] = url
    return AssetView.of(asset, url=url)


@router.get("")
async def listing(
    services: Services,
    caller: Reader,
    links: ClientLinks,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: CursorInQuery = None,
) -> AssetList:
    """Your stored files, newest first: what counts against the stored bytes of `GET /quota`.

    A page may have fewer than `limit`, or none, while `next_cursor` says that there may be more.
    """
    after = None if cursor is None else decode_cursor(cursor)
    assets, following = await services.asset_listing.page(caller, limit=limit, after=after)
    return AssetList(
        assets=[AssetView.of(asset, url=links.asset(asset.id)) for asset in assets],
        next_cursor=None if following is None else encode_cursor(following),
    )


@router.get("/{asset_id}", responses=problems(404))
async def show(
    services: Services, caller: Reader, links: ClientLinks, asset_id: AssetIdInPath
) -> AssetView:
    """Describe a stored file."""
    asset = await services.uploads.get(caller, asset_id)
    return AssetView.of(asset, url=links.asset(asset.id))


@router.delete("/{asset_id}", status_code=HTTPStatus.NO_CONTENT, responses=problems(404, 409))
async def delete(services: Services, caller: Canceler, asset_id: AssetIdInPath) -> None:
    """Delete a stored file. 409: a job that has not ended needs it.

    New jobs cannot name it from now on; its bytes are free after some ten minutes, since a job may
    just have named it.
    """
    await services.asset_deletion.delete(caller, asset_id)


async def _of_form(request: Request, uploads: Uploads, caller: Caller, content_type: str) -> Asset:
    """Store the file of a form while it arrives."""
    try:
        file = await file_of(content_type, request.stream())
        return await stored(
            uploads,
            caller,
            file.chunks,
            filename=file.filename,
            content_type=file.content_type,
            check=_require_content,
        )
    except BadForm as bad:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body is no form: {bad}") from None


def _require_content(head: bytes) -> None:
    if not head:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the body is empty; send a file")

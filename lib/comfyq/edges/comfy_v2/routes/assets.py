"""``/api/v2/assets``: stored files and outputs, by one kind of id."""

import re
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, HTTPException, Path, Request, Response
from fastapi.responses import RedirectResponse

from comfyq.domain.files.asset import Asset, AssetInUse
from comfyq.domain.files.output import Output
from comfyq.edges.api.authentication import Canceler, Submitter
from comfyq.edges.api.dependencies import require_json, services_of
from comfyq.edges.api.multipart import BadForm, file_of, headed
from comfyq.edges.api.responses import rendered
from comfyq.edges.api.serving.stored_files import described, served
from comfyq.edges.comfy_v2.asset_views import AssetViewServices, AssetViewsOf
from comfyq.edges.comfy_v2.errors import BlobNotFound
from comfyq.edges.comfy_v2.forms import BLAKE3, FormDescription
from comfyq.edges.comfy_v2.router import ComfyRouter
from comfyq.edges.comfy_v2.stored import Found, FoundInPath, StoredServices, found_by
from comfyq.services.files.asset_deletion import AssetDeletion
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.wire.comfy_v2.requests import HASH, HashRequest

UNKNOWN = "you have stored no file with this hash; send the file"


class AssetRouteServices(StoredServices, AssetViewServices, Protocol):
    """The services that these routes call."""

    @property
    def asset_deletion(self) -> AssetDeletion: ...

    @property
    def rate_limit(self) -> RateLimit: ...


Services = Annotated[AssetRouteServices, Depends(services_of)]

router = ComfyRouter[AssetRouteServices](prefix="/assets", tags=["comfy v2"])


@router.post("")
async def upload(
    request: Request, services: Services, caller: Submitter, views: AssetViewsOf
) -> Response:
    """Store the file of a form: 201, or 200 if the same bytes are stored already.

    The same bytes are the same asset, so a request that is sent again stores nothing new.
    """
    await services.rate_limit.acquire(caller)
    try:
        form = await file_of(request.headers.get("content-type", ""), request.stream())
        head, chunks = await headed(form.chunks)
        if not head:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "the file is empty")
        described = FormDescription(form, head)
        kept = await services.uploads.keep(caller, chunks, describe=described.of)
    except BadForm as bad:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body is no form: {bad}") from None
    answer = rendered(views.kept(kept.asset, is_new=kept.is_new))
    answer.status_code = HTTPStatus.CREATED if kept.is_new else HTTPStatus.OK
    return answer


@router.post("/from-hash", dependencies=[Depends(require_json)])
async def from_hash(
    body: HashRequest, services: Services, caller: Submitter, views: AssetViewsOf
) -> Response:
    """The asset that has the bytes of a hash, if you have stored such a file."""
    await services.rate_limit.acquire(caller)
    asset = await services.uploads.with_content(
        caller, _digest_of(body.hash), needed_for=timedelta(seconds=body.expires_in or 0)
    )
    if asset is None:
        raise BlobNotFound(UNKNOWN)
    return rendered(views.kept(asset, is_new=False))


@router.head("/by-hash/{digest}")
async def has_hash(
    services: Services, caller: Submitter, digest: Annotated[str, Path(max_length=100)]
) -> Response:
    """200 if you have stored a file with the hash, else 404."""
    if not await services.uploads.has_content(caller, _digest_of(digest)):
        raise BlobNotFound(UNKNOWN)
    return Response()


@router.get("/{asset_id}")
async def show(found: FoundInPath, views: AssetViewsOf) -> Response:
    """A file's description, with a link to its content."""
    return rendered(await views.found(found))


@router.delete("/{asset_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete(
    services: Services, caller: Canceler, asset_id: Annotated[str, Path(max_length=100)]
) -> None:
    """Delete a stored file. 409: a job that has not ended needs it, or it is a job's output."""
    found = await found_by(services, caller, asset_id)
    if not isinstance(found, Asset):
        raise AssetInUse(f"asset {asset_id} cannot be deleted now; it goes with its job")
    await services.asset_deletion.delete(caller, found.id)


@router.get("/{asset_id}/content")
async def content(request: Request, services: Services, found: FoundInPath) -> Response:
    """A file's bytes, or the range of them that is asked for; where the storage has URLs, a
    redirect to one that needs no other credentials."""
    file = _file(found)
    link = await services.downloads.link(file)
    if link is not None:
        return RedirectResponse(link, HTTPStatus.FOUND, {"Cache-Control": "no-store"})
    return await served(request, file, partial(services.downloads.read, file))


@router.head("/{asset_id}/content")
async def look(request: Request, found: FoundInPath) -> Response:
    """A file's size and type."""
    return described(request, _file(found))


def _digest_of(written: str) -> str:
    """Return the hex digest of a hash; raises BlobNotFound for what is none."""
    if re.fullmatch(HASH, written) is None:
        raise BlobNotFound(f"{UNKNOWN}; a hash is `blake3:` and 64 hex digits in lower case")
    return written.removeprefix(BLAKE3)


def _file(found: Found) -> Asset | Output:
    return found if isinstance(found, Asset) else found.output

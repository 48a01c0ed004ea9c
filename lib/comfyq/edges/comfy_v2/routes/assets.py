"""``/api/v2/assets``: stored files and outputs, by one kind of id."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from comfyq.domain.files.asset import Asset
from comfyq.domain.files.output import Output
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.responses import rendered
from comfyq.edges.api.serving import described, served
from comfyq.edges.comfy_v2.asset_views import AssetViewServices, AssetViewsOf
from comfyq.edges.comfy_v2.router import ComfyRouter
from comfyq.edges.comfy_v2.stored import Found, FoundInPath, StoredServices


class AssetRouteServices(StoredServices, AssetViewServices, Protocol):
    """The services that these routes call."""


Services = Annotated[AssetRouteServices, Depends(services_of)]

router = ComfyRouter[AssetRouteServices](prefix="/assets", tags=["comfy v2"])


@router.get("/{asset_id}")
async def show(found: FoundInPath, views: AssetViewsOf) -> Response:
    """A file's description, with a link to its content."""
    return rendered(await views.found(found))


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


def _file(found: Found) -> Asset | Output:
    return found if isinstance(found, Asset) else found.output

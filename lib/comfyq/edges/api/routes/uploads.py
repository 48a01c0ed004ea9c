"""``/assets/uploads``: files that clients send to asset storage themselves."""

from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, Request, Response

from comfyq.edges.api.authentication import ANYONE, Submitter
from comfyq.edges.api.dependencies import ClientLinks, require_json, services_of
from comfyq.edges.api.ids import LinkPart, UploadIdInPath
from comfyq.edges.api.links import UPLOADS
from comfyq.edges.api.responses import JSON_BODY, problems
from comfyq.edges.api.router import Router
from comfyq.services.files.presigned_uploads import PresignedUploads
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.wire.assets import AssetView
from comfyq.wire.uploads import UploadRequest, UploadView


class UploadServices(Protocol):
    """The services that these routes call."""

    @property
    def presigned_uploads(self) -> PresignedUploads: ...

    @property
    def rate_limit(self) -> RateLimit: ...


Services = Annotated[UploadServices, Depends(services_of)]

BINARY = {"schema": {"type": "string", "format": "binary"}}

router = Router[UploadServices](prefix=UPLOADS, tags=["assets"])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=[Depends(require_json)],
    responses=JSON_BODY | problems(409, 429),
)
async def offer_upload(
    body: UploadRequest, services: Services, caller: Submitter, links: ClientLinks
) -> UploadView:
    """Announce a file: `PUT` it to `url`, then complete it.

    The URL is asset storage's own where that has URLs, so the file may be larger than this API
    takes as a body; else it is this server's. A client does the same with both.
    """
    await services.rate_limit.acquire(caller)
    offer = await services.presigned_uploads.offer(
        caller,
        filename=body.name,
        content_type=body.content_type,
        size=body.size_bytes,
        blake3=body.blake3,
    )
    upload = offer.upload.id
    return UploadView.of(
        offer, content_url=links.content(upload), complete_url=links.completion(upload)
    )


@router.put(
    "/{upload_id}/content",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=[ANYONE],  # the link is signed
    responses=problems(403, 404, 409, 413),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": BINARY}}
    },
)
async def receive_upload(
    request: Request,
    services: Services,
    upload_id: UploadIdInPath,
    expires: LinkPart = "",
    signature: LinkPart = "",
) -> None:
    """Take the file of an announced upload; the signed link is the credential."""
    query = {"expires": expires, "signature": signature}
    await services.presigned_uploads.receive(upload_id, query, request.stream())


@router.post(
    "/{upload_id}/complete", status_code=HTTPStatus.CREATED, responses=problems(404, 409, 413)
)
async def complete_upload(
    services: Services,
    caller: Submitter,
    links: ClientLinks,
    upload_id: UploadIdInPath,
    response: Response,
) -> AssetView:
    """Check what was sent, and make it an asset. Doing it again gives the same answer."""
    asset = await services.presigned_uploads.complete(caller, upload_id)
    url = links.asset(asset.id)
    response.headers["Location"] = url
    return AssetView.of(asset, url=url)

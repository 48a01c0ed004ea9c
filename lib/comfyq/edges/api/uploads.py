"""``/assets/uploads``: files that clients send to asset storage themselves."""

from http import HTTPStatus

from fastapi import APIRouter, Depends, Response

from comfyq.edges.api.dependencies import Asker, ClientLinks, Services, require_json
from comfyq.edges.api.ids import UploadIdInPath
from comfyq.edges.api.links import UPLOADS
from comfyq.wire.assets import AssetView
from comfyq.wire.uploads import UploadRequest, UploadView

router = APIRouter(prefix=UPLOADS, tags=["assets"])


@router.post("", status_code=HTTPStatus.CREATED, dependencies=[Depends(require_json)])
async def offer_upload(
    body: UploadRequest, api: Services, caller: Asker, links: ClientLinks
) -> UploadView:
    """Announce a file, to send it to asset storage itself: `PUT` it to `url`, then complete it.

    Not every backend's storage takes files from others: then the answer is 501, and `POST /assets`
    takes the file.
    """
    offer = await api.presigned_uploads.offer(
        caller,
        filename=body.name,
        content_type=body.content_type,
        size=body.size_bytes,
        blake3=body.blake3,
    )
    return UploadView.of(offer, complete_url=links.completion(offer.upload.id))


@router.post("/{upload_id}/complete", status_code=HTTPStatus.CREATED)
async def complete_upload(
    api: Services,
    caller: Asker,
    links: ClientLinks,
    upload_id: UploadIdInPath,
    response: Response,
) -> AssetView:
    """Check what was sent, and make it an asset. Doing it again gives the same answer."""
    asset = await api.presigned_uploads.complete(caller, upload_id)
    url = links.asset(asset.id)
    response.headers["Location"] = url
    return AssetView.of(asset, url=url)

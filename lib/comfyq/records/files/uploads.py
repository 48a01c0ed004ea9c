"""``UPLOAD#id``: files that clients have announced. What was sent and never completed is deleted
by the storage's own lifecycle, so the item may expire."""

from datetime import timedelta

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import UploadNotFound
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.upload import Upload, UploadId
from comfyq.ports.table import Put, Table
from comfyq.records.times import from_ms, to_ms

KEPT = timedelta(days=1)  # after its URL has expired


class UploadRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def put(self, upload: Upload) -> None:
        item = {
            "pk": f"UPLOAD#{upload.id}",
            "sk": "-",
            "tenant": upload.tenant,
            "filename": upload.filename,
            "content_type": upload.content_type,
            "size": upload.size,
            "blake3": upload.blake3,
            "expires": to_ms(upload.expires_at),
            "asset": upload.asset,
            "ttl": to_ms(upload.expires_at + KEPT) // 1000,
        }
        await self._table.write(Put({k: v for k, v in item.items() if v is not None}))

    async def get(self, upload_id: UploadId) -> Upload:
        """Return an announced upload; raises UploadNotFound."""
        item = await self._table.get((f"UPLOAD#{upload_id}", "-"))
        if item is None:
            raise UploadNotFound(f"there is no upload {upload_id}")
        asset = item.get("asset")
        return Upload(
            id=upload_id,
            tenant=TenantId(item["tenant"]),
            filename=item["filename"],
            content_type=item["content_type"],
            size=item["size"],
            blake3=item.get("blake3"),
            expires_at=from_ms(item["expires"]),
            asset=None if asset is None else AssetId(asset),
        )

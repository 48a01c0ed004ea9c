"""``UPLOAD#id``: files that clients have announced, and the hash of what was sent first.

What was sent and never completed is deleted by the storage's own lifecycle, so items may expire."""

from datetime import timedelta

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import UploadNotFound, UploadTaken
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.upload import Upload, UploadId
from comfyq.ports.table import ConditionFailed, Put, Table
from comfyq.records.times import from_ms, sortable, to_ms

KEPT = timedelta(days=1)  # after its URL has expired
LISTED_UNDER = "UPLOADS"  # with the tenant, the partition of the index `tenant`


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
            "ttl": _ttl(upload),
            "tpk": f"{LISTED_UNDER}#{upload.tenant}",
            "tsk": f"{sortable(upload.expires_at)}#{upload.id}",
        }
        await self._table.write(Put({k: v for k, v in item.items() if v is not None}))

    async def take(self, upload: Upload, blake3: str) -> None:
        """Note what is in the file of an upload; raises UploadTaken where another was noted."""
        item = {
            "pk": f"UPLOAD#{upload.id}",
            "sk": "CONTENT",
            "blake3": blake3,
            "ttl": _ttl(upload),
        }
        try:
            await self._table.write(Put(item, absent=True))  # of concurrent files, one is first
        except ConditionFailed as refused:
            first = refused.found.get(0)
            if first is None or first["blake3"] != blake3:
                raise UploadTaken(
                    f"another file was sent to upload {upload.id} before; announce this one"
                ) from refused

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


def _ttl(upload: Upload) -> int:
    return to_ms(upload.expires_at + KEPT) // 1000

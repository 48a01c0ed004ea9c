"""A file that a client has announced and sends to asset storage itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from comfyq.domain.caller import TenantId
from comfyq.domain.files.asset import AssetId

UploadId = NewType("UploadId", str)  # a UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An announced upload; it becomes an asset once its file is checked against these fields."""

    id: UploadId
    tenant: TenantId
    filename: str
    content_type: str
    size: int  # bytes
    blake3: str | None  # hex, if the client said it
    expires_at: datetime  # of the URL
    asset: AssetId | None = None  # the asset made of it; None before it is completed

    @property
    def key(self) -> str:
        return pending_key(self.id)


def pending_key(upload_id: UploadId) -> str:
    """Return the key of an unfinished upload in asset storage."""
    return f"pending/{upload_id}"

"""Assets as the Comfy API v2 shows them: stored files, and outputs of jobs."""

from pydantic import BaseModel

from comfyq.wire.times import Time


class AssetView(BaseModel):
    id: str
    hash: str | None
    size_bytes: int
    content_type: str
    file_path: str | None
    created_at: Time
    url: str
    url_expires_at: Time
    expires_at: Time | None
    job_id: str | None


class StoredAssetView(AssetView):
    """The answer to a request that stores a file, or finds it stored."""

    created_new: bool

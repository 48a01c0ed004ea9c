"""The origins to which links to outputs lead, where files are not in the data directory."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from comfyq.config import Backend, Settings


def storage_origins(settings: Settings) -> Sequence[str]:
    """Return what a browser has to be allowed to load outputs from; nothing if it is this server.

    AWS's own S3 is not among them: its host names depend on region and bucket.
    """
    minio, aws = settings.minio, settings.endpoints
    if minio.endpoint is not None:
        return (f"{'https' if minio.secure else 'http'}://{minio.endpoint}",)
    if settings.backend is Backend.EMBEDDED or (url := aws.url_s3 or aws.url) is None:
        return ()
    parts = urlsplit(url)
    return (f"{parts.scheme}://{parts.netloc}",)

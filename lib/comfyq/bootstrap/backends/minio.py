"""MinIO for the files of any backend."""

from dataclasses import replace

from minio import Minio

from comfyq.adapters.minio.assets import MinioAssets
from comfyq.aio.logs import log
from comfyq.bootstrap.ports import Ports
from comfyq.config import MinioSettings
from comfyq.domain.errors import AssetsUnavailable


def with_minio(ports: Ports, settings: MinioSettings) -> Ports:
    """Keep the files in MinIO; preparing makes the bucket if it is missing."""
    assets = MinioAssets(client=lambda: _client(settings), bucket=settings.bucket)

    async def make_bucket() -> None:
        """Log a MinIO that does not answer: uploads wait for it."""
        try:
            await assets.ensure_bucket()
        except AssetsUnavailable as away:
            log.warning("minio_away", reason=str(away))

    return replace(ports, assets=assets, prepare=make_bucket)


def _client(settings: MinioSettings) -> Minio:
    secret = settings.secret_key
    return Minio(
        endpoint=settings.endpoint or "",
        access_key=settings.access_key,
        secret_key=secret.get_secret_value() if secret else None,
        secure=settings.secure,
    )

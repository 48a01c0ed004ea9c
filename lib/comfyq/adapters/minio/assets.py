import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from anyio import to_thread
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.error import MinioException, S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from comfyq.domain.errors import AssetsUnavailable, OutputNotFound
from comfyq.domain.files.serving import disposition, served_type
from comfyq.ports.assets import UploadLink

CHUNK_BYTES = 256 * 1024
MAX_EXPIRES_S = 7 * 24 * 3600  # of a signature: MinIO refuses more, as S3 does
BEYOND_THE_END = "InvalidRange"


class MinioAssets:
    """Stored files in a bucket of MinIO, by its own client.

    ``client`` makes the client; it is called once, at the first use, in a thread. Nothing makes
    the bucket but ``ensure_bucket``.
    """

    def __init__(self, *, client: Callable[[], Minio], bucket: str) -> None:
        self._client = functools.cache(client)
        self._bucket = bucket

    async def ensure_bucket(self) -> None:
        """Make the bucket if it is missing."""
        await to_thread.run_sync(self._ensure_bucket)

    async def put(self, key: str, source: Path, *, content_type: str) -> None:
        await to_thread.run_sync(self._put, key, source, content_type)

    async def read(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        body = await to_thread.run_sync(self._open, key, start, end)
        if body is None:
            return
        try:
            while chunk := await to_thread.run_sync(_chunk, body):
                yield chunk
        finally:
            body.close()
            body.release_conn()

    async def delete(self, key: str) -> None:
        await to_thread.run_sync(self._delete, key)

    async def link(
        self, key: str, *, expires_s: int, content_type: str, filename: str
    ) -> str | None:
        return await to_thread.run_sync(self._link, key, expires_s, content_type, filename)

    async def upload_link(
        self, key: str, *, expires_s: int, size: int, content_type: str
    ) -> UploadLink:
        return await to_thread.run_sync(self._upload_link, key, expires_s, size, content_type)

    def _ensure_bucket(self) -> None:
        with _translated(self._bucket):
            if not self._client().bucket_exists(self._bucket):
                self._client().make_bucket(self._bucket)
                self._client().set_bucket_lifecycle(self._bucket, _lifecycle())

    def _put(self, key: str, source: Path, content_type: str) -> None:
        with _translated(key):
            self._client().fput_object(
                self._bucket,
                key,
                str(source),
                content_type=served_type(content_type),
                metadata={"Content-Disposition": disposition(content_type)},
            )

    def _open(self, key: str, start: int, end: int | None) -> BaseHTTPResponse | None:
        """The body from ``start`` to ``end``; None where that range is empty."""
        if end is not None and end <= start:
            return None
        length = 0 if end is None else end - start  # 0: all that follow
        with _translated(key):
            try:
                return self._client().get_object(self._bucket, key, offset=start, length=length)
            except S3Error as error:
                if error.code == BEYOND_THE_END:
                    return None
                raise

    def _delete(self, key: str) -> None:
        with _translated(key):
            self._client().remove_object(self._bucket, key)

    def _link(self, key: str, expires_s: int, content_type: str, filename: str) -> str:
        with _translated(key):
            return self._client().presigned_get_object(
                self._bucket,
                key,
                expires=timedelta(seconds=min(expires_s, MAX_EXPIRES_S)),
                response_headers={
                    "response-content-type": served_type(content_type),
                    "response-content-disposition": disposition(content_type, filename),
                },
            )

    def _upload_link(self, key: str, expires_s: int, size: int, content_type: str) -> UploadLink:
        """Its client signs no headers, so MinIO takes any size and type."""
        with _translated(key):
            url = self._client().presigned_put_object(
                self._bucket, key, expires=timedelta(seconds=min(expires_s, MAX_EXPIRES_S))
            )
        return UploadLink(url, {"Content-Type": content_type, "Content-Length": str(size)})


def _lifecycle() -> LifecycleConfig:
    """Delete unfinished uploads after a while, as ``template.yaml`` does."""
    pending = Rule(
        ENABLED,
        rule_filter=Filter(prefix="pending/"),
        rule_id="pending-uploads",
        expiration=Expiration(days=1),
    )
    return LifecycleConfig([pending])


def _chunk(body: BaseHTTPResponse) -> bytes:
    with _translated("a file"):
        return body.read(CHUNK_BYTES)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code == "NoSuchKey":
            raise OutputNotFound(f"no file {key}") from error
        raise AssetsUnavailable(f"MinIO: {key}: {error.code}: {error.message}") from error
    except (MinioException, HTTPError) as error:
        raise AssetsUnavailable(f"MinIO does not answer: {key}: {error}") from error

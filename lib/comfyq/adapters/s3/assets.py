import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError

from comfyq.domain.errors import AssetsUnavailable, OutputNotFound
from comfyq.domain.files.serving import disposition, served_type
from comfyq.ports.assets import UploadLink

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 256 * 1024
MAX_EXPIRES_S = 7 * 24 * 3600  # of a signature: S3 refuses more
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html

MISSING = frozenset({"NoSuchKey", "404"})
BEYOND_THE_END = "InvalidRange"


class S3Assets:
    """Stored files in a bucket of S3.

    ``client`` makes the client; it is called once, at the first use, in a thread. Without the
    right to list the bucket, S3 answers 403 for a file that is not there: that is unavailable.
    """

    def __init__(self, *, client: Callable[[], "S3Client"], bucket: str) -> None:
        self._client = functools.cache(client)
        self._bucket = bucket

    async def put(self, key: str, source: Path, *, content_type: str) -> None:
        """As the port says; a large file goes up in parts, several at a time."""
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

    def _put(self, key: str, source: Path, content_type: str) -> None:
        with _translated(key):
            self._client().upload_file(
                str(source),
                self._bucket,
                key,
                ExtraArgs={
                    "ContentType": served_type(content_type),
                    "ContentDisposition": disposition(content_type),
                },
            )

    def _open(self, key: str, start: int, end: int | None) -> Any:
        """The body from ``start`` to ``end``; None where that range is empty."""
        if end is not None and end <= start:
            return None
        last = "" if end is None else str(end - 1)
        with _translated(key):
            try:
                answer = self._client().get_object(
                    Bucket=self._bucket, Key=key, Range=f"bytes={start}-{last}"
                )
            except ClientError as error:
                if _code(error) == BEYOND_THE_END:  # also of an empty file
                    return None
                raise
        return answer["Body"]

    def _delete(self, key: str) -> None:
        with _translated(key):
            self._client().delete_object(Bucket=self._bucket, Key=key)

    def _link(self, key: str, expires_s: int, content_type: str, filename: str) -> str:
        with _translated(key):
            return self._client().generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": key,
                    "ResponseContentType": served_type(content_type),
                    "ResponseContentDisposition": disposition(content_type, filename),
                },
                ExpiresIn=min(expires_s, MAX_EXPIRES_S),
            )

    def _upload_link(self, key: str, expires_s: int, size: int, content_type: str) -> UploadLink:
        """Size and type are signed, so S3 refuses any other."""
        with _translated(key):
            url = self._client().generate_presigned_url(
                "put_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": key,
                    "ContentType": content_type,
                    "ContentLength": size,
                },
                ExpiresIn=min(expires_s, MAX_EXPIRES_S),
            )
        return UploadLink(url, {"Content-Type": content_type, "Content-Length": str(size)})


def _chunk(body: Any) -> bytes:
    with _translated("a file"):
        chunk: bytes = body.read(CHUNK_BYTES)
        return chunk


@contextmanager
def _translated(key: str) -> Iterator[None]:
    # With a client boto3 is there already; before, it costs a cold start some 100 ms.
    from boto3.exceptions import Boto3Error

    try:
        yield
    except ClientError as error:
        if _code(error) in MISSING:
            raise OutputNotFound(f"no file {key}") from error
        raise AssetsUnavailable(f"S3: {key}: {error}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise AssetsUnavailable(f"S3 does not answer: {key}: {error}") from error


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))

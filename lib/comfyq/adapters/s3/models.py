"""Models in buckets of S3, or of what speaks its protocol."""

import functools
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from comfyq.domain.models.errors import (
    ModelPartRefused,
    ModelRefused,
    ModelUnauthorized,
    ModelUnavailable,
)
from comfyq.domain.models.source import ModelSource, S3Source
from comfyq.ports.models.origins import ModelStream, ResolvedModel

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 2**20
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
PARTIAL = 206
SHA256_BYTES = 32
DENIED = ("401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")
OTHER_FILE = ("412", "416", "PreconditionFailed", "InvalidRange")
MISSING = ("404", "NoSuchKey", "NoSuchBucket")


class S3Models:
    """Implements ports.models.origins.ModelOrigins for sources in S3. ``client`` makes the client;
    it is called once, at the first use, in a thread."""

    def __init__(self, *, client: Callable[[], "S3Client"]) -> None:
        self._client = functools.cache(client)

    async def resolve(self, source: ModelSource, file: str) -> ResolvedModel:
        """Ask for size and hash; S3 knows the SHA-256 of a file alone that was stored with it."""
        assert isinstance(source, S3Source), "others have other origins"
        with _in_words(source):
            head = await to_thread.run_sync(self._head, source)
        return ResolvedModel(sha256=_sha256(head), size=head["ContentLength"])

    @asynccontextmanager
    async def open(
        self,
        source: ModelSource,
        file: str,
        *,
        known: ResolvedModel,
        offset: int = 0,
        etag: str | None = None,
    ) -> AsyncIterator[ModelStream]:
        assert isinstance(source, S3Source), "others have other origins"
        with _in_words(source):
            answer = await to_thread.run_sync(self._get, source, offset, etag)
        body = answer["Body"]
        try:
            begin, size = _extent(answer, source, wanted=offset)
            yield ModelStream(
                offset=begin, size=size, etag=answer.get("ETag"), chunks=_chunks(body, source)
            )
        finally:
            body.close()

    def _head(self, source: S3Source) -> Mapping[str, Any]:
        return self._client().head_object(
            Bucket=source.bucket, Key=source.key, ChecksumMode="ENABLED"
        )

    def _get(self, source: S3Source, offset: int, etag: str | None) -> Mapping[str, Any]:
        given: Any = {"Range": f"bytes={offset}-"} if offset else {}
        given |= {"IfMatch": etag} if offset and etag else {}
        return self._client().get_object(Bucket=source.bucket, Key=source.key, **given)


async def _chunks(body: Any, source: S3Source) -> AsyncIterator[bytes]:
    while True:
        with _in_words(source):
            chunk: bytes = await to_thread.run_sync(body.read, CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


def _extent(answer: Mapping[str, Any], source: S3Source, *, wanted: int) -> tuple[int, int]:
    """Return where the answer's bytes begin, and how many the whole file has."""
    told = answer.get("ContentRange")
    if not told and answer["ResponseMetadata"]["HTTPStatusCode"] != PARTIAL:
        return 0, answer["ContentLength"]
    part = CONTENT_RANGE.fullmatch(told or "")
    if part is None or int(part[1]) != wanted:
        raise ModelPartRefused(f"{source}: the server sends another part than was asked for")
    return wanted, int(part[2])


def _sha256(head: Mapping[str, Any]) -> str | None:
    """Return the hash of the whole file, which one of its parts' hashes is not."""
    if head.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    try:
        digest = b64decode(head.get("ChecksumSHA256") or "", validate=True)
    except ValueError:  # `…-3`, of three parts
        return None
    return digest.hex() if len(digest) == SHA256_BYTES else None


@contextmanager
def _in_words(source: S3Source) -> Iterator[None]:
    """Turn what a call fails with into errors of models."""
    try:
        yield
    except NoCredentialsError:
        raise ModelUnauthorized(f"{source}: this machine has no credentials of AWS") from None
    except ClientError as refused:
        raise _refusal(source, str(refused.response["Error"].get("Code"))) from None
    except (BotoCoreError, OSError) as error:
        raise ModelUnavailable(f"{source}: S3 has not answered ({type(error).__name__})") from None


def _refusal(source: S3Source, code: str) -> Exception:
    if code in OTHER_FILE:
        return ModelPartRefused(f"{source}: another file stands there now")
    if code in DENIED:
        return ModelUnauthorized(
            f"{source}: S3 refuses this machine's credentials ({code}); they need s3:GetObject "
            "there, and s3:ListBucket to be told of files that are missing"
        )
    if code in MISSING:
        return ModelRefused(f"{source}: there is no such file ({code})")
    return ModelUnavailable(f"{source}: S3 answers {code}")

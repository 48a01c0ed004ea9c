"""Uploads that are announced first: a client sends the file to a signed URL.

Where asset storage has URLs, the file goes there, past the size limits of our own edges. Storage
without URLs, a folder, is written by our own API: its URL of the upload is signed as well, so a
client does the same everywhere. A file under ``pending/`` is read once, and the same bytes are
checked and stored as an asset, so a client that overwrites the file meanwhile cannot get unchecked
bytes stored.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from blake3 import blake3

from comfyq.domain.caller import Caller
from comfyq.domain.errors import (
    AssetNotFound,
    AssetsUnavailable,
    BadSignature,
    FieldError,
    InvalidUpload,
    OutputNotFound,
    TooLarge,
    UploadIncomplete,
    UploadNotFound,
    UploadTaken,
)
from comfyq.domain.files.asset import Asset, name_of
from comfyq.domain.files.media_types import HEAD_BYTES, may_be
from comfyq.domain.files.upload import Upload, UploadId
from comfyq.ports.assets import Assets, UploadLink
from comfyq.ports.clock import Clock
from comfyq.records.files.uploads import UploadRecords
from comfyq.services.files.signed_links import SignedLinks
from comfyq.services.files.uploads import Uploads

EXPIRES_S = 3_600  # of the URL


@dataclass(frozen=True, slots=True)
class PresignedUpload:
    """An announced upload and the URL to send its file to; None: it is sent to our own API."""

    upload: Upload
    link: UploadLink | None


class PresignedUploads:
    """Offer and complete uploads; to a caller, another tenant's upload does not exist."""

    def __init__(
        self,
        *,
        records: UploadRecords,
        uploads: Uploads,
        assets: Assets,
        clock: Clock,
        links: Callable[[], Awaitable[SignedLinks]],
        new_id: Callable[[], UploadId],
    ) -> None:
        self._records = records
        self._uploads = uploads
        self._assets = assets
        self._clock = clock
        self._links = links
        self._new_id = new_id

    async def offer(
        self, caller: Caller, *, filename: str, content_type: str, size: int, blake3: str | None
    ) -> PresignedUpload:
        """Return a URL for a file of ``size`` bytes; it becomes an asset by ``complete``.

        Raises:
            TooLarge.
            DataBeingDeleted: all data of the tenant is being deleted.
            UploadsFull: there is no room for it; ``complete`` and ``receive`` look again.
        """
        if size > self._uploads.max_bytes:
            most = self._uploads.max_bytes
            raise TooLarge(f"the file has more than {most} bytes (COMFYQ_UPLOAD_MAX_BYTES)")
        await self._uploads.require_open(caller.tenant)
        await self._uploads.require_room(caller.tenant, size)
        upload = Upload(
            id=self._new_id(),
            tenant=caller.tenant,
            filename=name_of(filename),
            content_type=content_type,
            size=size,
            blake3=blake3,
            expires_at=self._clock.now() + timedelta(seconds=EXPIRES_S),
        )
        link = await self._assets.upload_link(
            upload.key, expires_s=EXPIRES_S, size=size, content_type=content_type
        )
        await self._records.put(upload)
        return PresignedUpload(upload, link)

    async def receive(
        self, upload_id: UploadId, query: Mapping[str, str], chunks: AsyncIterator[bytes]
    ) -> Asset:
        """Store the file of an upload that is sent to our own API; its link is the credential, for
        one file.

        Raises:
            BadSignature: ``query`` is not signed by this server, or has expired.
            UploadNotFound.
            InvalidUpload: the file is not as announced; nothing was stored.
            UploadTaken: another file was sent to the link before; nothing was stored.
            TooLarge, AssetsUnavailable, TableUnavailable.
        """
        (await self._links()).verify_upload(upload_id, query)
        upload = await self._records.get(upload_id)
        if self._clock.now() > upload.expires_at:
            raise BadSignature("the link has expired; announce the file again")
        return await self._store(upload, chunks)

    async def complete(self, caller: Caller, upload_id: UploadId) -> Asset:
        """Make an asset of the uploaded file; repeating the call returns the same asset.

        Raises:
            UploadNotFound.
            UploadIncomplete: nothing was sent to its URL.
            InvalidUpload: the file is not as announced, and was deleted; send it again.
            UploadTaken: another file was completed before; this one was deleted.
            AssetsUnavailable, TableUnavailable.
        """
        upload = await self._records.get(upload_id)
        if upload.tenant != caller.tenant:
            raise UploadNotFound(f"there is no upload {upload_id}")
        if upload.asset is not None:
            with suppress(AssetNotFound):
                return await self._uploads.get(caller, upload.asset)
        try:
            asset = await self._store(upload, self._assets.read(upload.key))
        except OutputNotFound:
            raise UploadIncomplete(
                "nothing was sent to the upload's URL yet: PUT the file there first"
            ) from None
        except AssetsUnavailable as away:  # S3 answers 403, not 404, without the right to list
            raise AssetsUnavailable(f"{away}; was the file sent to the upload's URL?") from away
        except (InvalidUpload, UploadTaken):
            await self._drop(upload)
            raise
        await self._drop(upload)
        return asset

    async def _store(self, upload: Upload, chunks: AsyncIterator[bytes]) -> Asset:
        """Check an upload's file while it arrives, and make it an asset."""
        asset = await self._uploads.add(
            Caller(upload.tenant, frozenset()),
            self._checked(upload, chunks),
            filename=upload.filename,
            content_type=upload.content_type,
        )
        await self._records.put(replace(upload, asset=asset.id))
        return asset

    async def _checked(self, upload: Upload, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Stream the uploaded file; raises at its end, before it is stored, InvalidUpload if it is
        not as announced and UploadTaken if it is not the first."""
        size, head, hasher = 0, b"", blake3()
        async for chunk in chunks:
            size += len(chunk)
            head += chunk[: HEAD_BYTES - len(head)]
            hasher.update(chunk)
            if size > upload.size:
                break
            yield chunk
        digest = hasher.hexdigest()
        wrong = list(_wrong(upload, size, head, digest))
        if wrong:
            raise InvalidUpload("; ".join(f"{f.field}: {f.message}" for f in wrong), wrong)
        await self._records.take(upload, digest)

    async def _drop(self, upload: Upload) -> None:
        """Delete an unfinished upload; where that fails, the storage's lifecycle deletes it."""
        with suppress(AssetsUnavailable):
            await self._assets.delete(upload.key)


def _wrong(upload: Upload, size: int, head: bytes, digest: str) -> list[FieldError]:
    if size != upload.size:
        sent = "more" if size > upload.size else f"{size}"
        return [FieldError("size_bytes", f"{upload.size} were announced, but {sent} were sent")]
    wrong = []
    if not may_be(upload.content_type, head):
        wrong.append(FieldError("content_type", f"the file sent is no {upload.content_type}"))
    if upload.blake3 is not None and upload.blake3 != digest:
        wrong.append(FieldError("blake3", f"the file sent has {digest}"))
    return wrong

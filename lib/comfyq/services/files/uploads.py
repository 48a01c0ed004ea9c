"""Files that clients upload: the same content is stored once for each tenant."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from comfyq.aio.logs import log
from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import (
    AssetNotFound,
    AssetsUnavailable,
    TooContended,
    TooLarge,
    UploadsFull,
)
from comfyq.domain.files.asset import Asset, AssetId, name_of, taken
from comfyq.domain.files.media_types import UNKNOWN
from comfyq.domain.files.picture_sizes import HEAD_BYTES, MAX_PIXELS, size_of
from comfyq.ports.assets import Assets
from comfyq.ports.clock import Clock
from comfyq.ports.spool import Spool, Spooled
from comfyq.records.files.assets import AssetRecords, BlobTaken, NoRoom
from comfyq.records.indexes.tenant_data import Portion
from comfyq.services.files.descriptions import Describe, Description, Kept
from comfyq.services.limits.retention import Retention
from comfyq.services.limits.tenant_limits import TenantLimits

TRIES = 5
BATCH = 100  # expired assets that one call deletes
TOGETHER = timedelta(seconds=1)  # uploads of the same bytes within it do not contend
OFTEN = timedelta(days=1)  # the expiry of one that jobs use is postponed once in it, or less


class Uploads:
    """Store and expire assets, each kept for its tenant's retention after its last use, and at
    least for as long as a job that uses it may take. Nothing shortens the time that it has.

    To a caller, another tenant's asset does not exist.
    """

    def __init__(
        self,
        *,
        records: AssetRecords,
        assets: Assets,
        spool: Spool,
        clock: Clock,
        new_id: Callable[[], AssetId],
        retention: Retention,
        max_bytes: int,
        limits: TenantLimits,
    ) -> None:
        self._records = records
        self._assets = assets
        self._spool = spool
        self._clock = clock
        self._new_id = new_id
        self._retention = retention
        self._max_bytes = max_bytes
        self._limits = limits

    @property
    def max_bytes(self) -> int:
        """The size of the largest file that is accepted."""
        return self._max_bytes

    async def add(
        self,
        caller: Caller,
        chunks: AsyncIterator[bytes],
        *,
        filename: str,
        content_type: str,
        needed_for: timedelta = timedelta(0),
    ) -> Asset:
        """Store a file, and keep it for ``needed_for`` at least. Raises what ``keep`` raises."""
        said = Description(filename, content_type, needed_for)
        return (await self.keep(caller, chunks, describe=lambda _: said)).asset

    async def keep(
        self, caller: Caller, chunks: AsyncIterator[bytes], *, describe: Describe
    ) -> Kept:
        """Store a file; one with the same content as an earlier one is that asset, kept for that
        time from now, and of the type that was named last.

        Raises:
            TooLarge: the file has more than ``max_bytes``, or is a picture of more pixels than a
                job takes.
            UploadsFull: the tenant's files would have more than they may have together.
            DataBeingDeleted: all data of the tenant is being deleted, or was meanwhile.
            AssetsUnavailable, TableUnavailable: nothing was stored.
        """
        await self._limits.require_open(caller.tenant)
        began = self._clock.now()
        async with self.received(chunks) as spooled:
            now = self._clock.now()
            await self._limits.require_kept(caller.tenant, since=began, now=now)
            said = describe(spooled.blake3)
            until = await self._until(caller.tenant, said.needed_for)
            for _ in range(TRIES):
                stored = await self._records.with_content(caller.tenant, spooled.blake3)
                try:
                    if stored is not None:
                        again = await self._sent_again(stored, said.content_type, until)
                        return Kept(again, is_new=False)
                    return Kept(await self._store(caller, spooled, said, until), is_new=True)
                except (BlobTaken, TooContended):
                    continue  # a concurrent upload of the same content was stored first
        raise TooContended(
            "the same file is being stored and deleted by other requests; send it again"
        )

    @asynccontextmanager
    async def received(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Spooled]:
        """Keep what is sent on this machine's disk while the body runs.

        Raises:
            TooLarge: as ``keep`` does.
            AssetsUnavailable: the disk cannot be written.
        """
        try:
            spooled = await self._spool.save("upload", self._limited(chunks))
        except OSError as full:
            log.error("upload_not_written", reason=str(full))
            raise AssetsUnavailable(
                f"the server cannot write the file: {full.strerror or full}"
            ) from full
        try:
            yield spooled
        finally:
            await self._spool.discard(spooled)

    async def require_open(self, tenant: TenantId) -> None:
        """Raise DataBeingDeleted while all data of the tenant is being deleted."""
        await self._limits.require_open(tenant)

    async def require_room(self, tenant: TenantId, size: int) -> None:
        """Raise UploadsFull if the tenant may not store another file of ``size`` bytes."""
        used, most = await self.used(tenant)
        if used + taken(size) > most:
            raise await self._full(tenant, used, size, most)

    async def used(self, tenant: TenantId) -> tuple[int, int]:
        """Return how many bytes a tenant's files take, and how many they may take."""
        return await self._records.stored_bytes(tenant), await self._most_bytes(tenant)

    async def get(self, caller: Caller, asset_id: AssetId) -> Asset:
        """Return a stored file's record; raises AssetNotFound."""
        return await self._of(caller.tenant, asset_id)

    async def with_content(
        self, caller: Caller, blake3: str, *, needed_for: timedelta = timedelta(0)
    ) -> Asset | None:
        """Return the caller's asset with this content, kept for its tenant's retention from now or
        for ``needed_for``, whichever is longer; None: there is none."""
        for _ in range(TRIES):
            stored = await self._records.with_content(caller.tenant, blake3)
            if stored is None:
                return None
            try:
                return await self._sent_again(
                    stored, UNKNOWN, await self._until(caller.tenant, needed_for)
                )
            except TooContended:
                continue
        raise TooContended(f"the file {blake3} is being changed by other requests; try again")

    async def has_content(self, caller: Caller, blake3: str) -> bool:
        """Return whether the caller has an asset with this content."""
        return await self._records.with_content(caller.tenant, blake3) is not None

    async def use(self, caller: Caller, asset_id: AssetId, *, needed_for: timedelta) -> Asset:
        """Return an asset that a new job needs for so long, and keep it for its tenant's retention
        from now, or for that time if it is longer.

        Raises:
            AssetNotFound.
        """
        for _ in range(TRIES):
            try:
                return await self._used(await self._of(caller.tenant, asset_id), needed_for)
            except TooContended:
                continue
        raise TooContended(f"asset {asset_id} is being changed by other requests; try again")

    async def expire(self) -> int:
        """Delete expired assets; return how many were deleted."""
        now = self._clock.now()
        deleted = 0
        for asset_id in await self._records.due(now, limit=BATCH):
            deleted += await self._delete(asset_id, expired_at=now)
        return deleted

    async def delete_some(self, tenant: TenantId, *, most: int) -> Portion:
        """Delete up to ``most`` of a tenant's assets, whenever they expire."""
        asset_ids = await self._records.of_tenant(tenant, limit=most)
        deleted = 0
        for asset_id in asset_ids:  # one after another: each changes the number of stored bytes
            deleted += await self._delete(asset_id, expired_at=None)
        return Portion(deleted, deleted == len(asset_ids) < most)

    async def _delete(self, asset_id: AssetId, *, expired_at: datetime | None) -> bool:
        asset = await self._records.condemn(asset_id, expired_at)
        if asset is None:
            return False
        await self._assets.delete(asset.key)
        await self._records.remove(asset)
        return True

    async def _most_bytes(self, tenant: TenantId) -> int:
        return (await self._limits.of(tenant)).stored_bytes

    async def _of(self, tenant: TenantId, asset_id: AssetId) -> Asset:
        asset = await self._records.get(asset_id)
        if asset.tenant != tenant:
            raise AssetNotFound(f"there is no asset {asset_id}")
        return asset

    async def _until(self, tenant: TenantId, needed_for: timedelta) -> datetime:
        return self._clock.now() + max(await self._retention.of(tenant), needed_for)

    async def _sent_again(self, asset: Asset, content_type: str, until: datetime) -> Asset:
        kind = asset.content_type if content_type == UNKNOWN else content_type
        if kind == asset.content_type and until - asset.expires_at < TOGETHER:
            return asset
        return await self._records.renew(asset, expires_at=until, content_type=kind)

    async def _used(self, asset: Asset, needed_for: timedelta) -> Asset:
        until = await self._until(asset.tenant, needed_for)
        if until <= asset.expires_at:
            return asset
        spared = min(OFTEN, (until - self._clock.now()) / 10)  # so that not each use is a write
        return await self._records.renew(asset, expires_at=until + spared)

    async def _store(
        self, caller: Caller, spooled: Spooled, said: Description, until: datetime
    ) -> Asset:
        asset_id, now = self._new_id(), self._clock.now()
        asset = Asset(
            id=asset_id,
            tenant=caller.tenant,
            filename=name_of(said.filename),
            content_type=said.content_type,
            size=spooled.size,
            blake3=spooled.blake3,
            key=f"assets/{asset_id}",
            created_at=now,
            expires_at=until,
        )
        await self.require_room(asset.tenant, asset.size)
        most = await self._most_bytes(asset.tenant)
        await self._assets.put(asset.key, spooled.path, content_type=said.content_type)
        try:
            await self._records.add(asset, most_bytes=most)
        except NoRoom as full:
            await self._drop(asset)
            raise await self._full(asset.tenant, full.used, asset.size, most) from full
        except (BlobTaken, TooContended):
            await self._drop(asset)
            raise
        return asset

    async def _full(self, tenant: TenantId, used: int, size: int, most: int) -> UploadsFull:
        kept, limits = await self._retention.of(tenant), await self._limits.of(tenant)
        return UploadsFull(
            f"your stored files take {used} bytes, and with this one {used + taken(size)}; "
            f"the most is {most} ({limits.source('stored_bytes')}); each is deleted "
            f"{kept.total_seconds():.0f} s after its last use, or later if a job needs it: "
            "wait for that, delete some (`comfyq files list` or GET /assets shows them), send a "
            "file that is stored already, or have the limit raised"
        )

    async def _drop(self, asset: Asset) -> None:
        try:
            await self._assets.delete(asset.key)
        except AssetsUnavailable as away:
            log.warning("asset_undeleted", key=asset.key, reason=str(away))

    async def _limited(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size, head = 0, b""
        async for chunk in chunks:
            if len(head) < HEAD_BYTES:
                head = (head + chunk)[:HEAD_BYTES]
                _refuse_large(head)
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLarge(
                    f"the file has more than {self._max_bytes} bytes (COMFYQ_UPLOAD_MAX_BYTES)"
                )
            yield chunk


def _refuse_large(head: bytes) -> None:
    """Raise TooLarge for a picture that every worker would refuse."""
    width, height = size_of(head) or (0, 0)
    if width * height > MAX_PIXELS:
        raise TooLarge(
            f"the picture has {width} x {height} pixels; the most is {MAX_PIXELS} in all: make it "
            "smaller"
        )

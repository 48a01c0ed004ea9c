"""Assets: ``ASSET#id``, by the hash of what is in them ``BLOB#tenant#blake3``, and their bytes.

One that its client wants no more is hidden: until it is deleted, only jobs that name it find it.

An asset is deleted in three steps, so that an interruption neither loses nor leaves anything:
``BLOB`` is deleted and ``ASSET`` marked; the file is deleted; ``ASSET`` is deleted and its bytes
are no longer counted.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from comfyq.aio.tasks import limited
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import AssetNotFound, TooContended
from comfyq.domain.files.asset import Asset, AssetId
from comfyq.ports.table import ConditionFailed, Cursor, Delete, Item, Key, Put, Table
from comfyq.records.files.stored_bytes import stored_bytes
from comfyq.records.times import from_ms, sortable, to_ms

TRIES = 30  # of a write beside others that count bytes of the same tenant
PAUSE_S = 0.2  # most between two of them
AT_ONCE = 10  # items of a page that are read at the same time
DUE = "ASSETS"  # the partition of the index that the reaper looks at
HIDDEN = "HIDDEN_ASSETS"  # the one of those that their clients want no more
LISTED_UNDER = "ASSETS"  # with the tenant, the partition of the index `tenant`


class BlobTaken(Exception):
    """The tenant already has an asset with this content."""


class NoRoom(Exception):
    """The tenant's assets would have more bytes than they may; ``used`` is what they have."""

    def __init__(self, used: int) -> None:
        super().__init__(f"{used} bytes are used")
        self.used = used


class AssetRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def stored_bytes(self, tenant: TenantId) -> int:
        """Return the bytes that the tenant's assets take."""
        return (await stored_bytes(self._table, tenant)).size

    async def add(self, asset: Asset, *, most_bytes: int) -> None:
        """Store a new asset, and count its bytes.

        Raises:
            BlobTaken: the tenant has an asset with this content.
            NoRoom: the tenant's assets would have over ``most_bytes``.
            TooContended: too many others are added and removed at the same time.
        """
        blob_pk, blob_sk = _blob_key(asset.tenant, asset.blake3)
        for pause_s in _pauses():
            stored = await stored_bytes(self._table, asset.tenant)
            if stored.size + asset.taken_bytes > most_bytes:
                raise NoRoom(stored.size)
            try:
                await self._table.write(
                    Put(_item(asset), absent=True),
                    Put({"pk": blob_pk, "sk": blob_sk, "asset": asset.id}, absent=True),
                    stored.changed(asset.taken_bytes),
                )
            except ConditionFailed as refused:
                blob = refused.found.get(1)
                if blob is None:  # another asset was counted meanwhile
                    await asyncio.sleep(pause_s)
                    continue
                if blob["asset"] != asset.id:  # else only the answer was lost
                    raise BlobTaken from refused
            return
        raise TooContended("too many files are being stored at the same time; send it again")

    async def get(self, asset_id: AssetId) -> Asset:
        """Raises AssetNotFound, also for one that is hidden or being deleted."""
        item = await self._table.get(_key(asset_id))
        if item is None or "going" in item or _is_hidden(item):
            raise AssetNotFound(f"there is no asset {asset_id}")
        return _asset(item)

    async def get_for_job(self, asset_id: AssetId) -> Asset:
        """Return an asset that a job has named, hidden or not. Raises AssetNotFound."""
        item = await self._table.get(_key(asset_id))
        if item is None or "going" in item:
            raise AssetNotFound(f"there is no asset {asset_id}")
        return _asset(item)

    async def hide(self, asset: Asset, *, until: datetime) -> None:
        """Hide an asset, which may be deleted from ``until`` on; the same bytes are stored anew.

        Raises:
            TooContended: another request changed the asset since it was read.
        """
        hidden = {**_item(asset), "apk": HIDDEN, "ask": sortable(until)}
        put = Put(hidden | {"version": asset.version + 1}, version=asset.version)
        blob = _blob_key(asset.tenant, asset.blake3)
        known = await self._table.get(blob)
        is_own = known is not None and known["asset"] == asset.id
        try:
            await self._table.write(put, *([Delete(blob)] if is_own else []))
        except ConditionFailed as refused:
            raise TooContended(f"asset {asset.id} was changed by another request") from refused

    async def hidden(self, now: datetime, *, limit: int) -> Sequence[Asset]:
        """Return hidden assets that may be deleted by now; the index lags."""
        page = await self._table.query("active", HIDDEN, upto=sortable(now), limit=limit)
        read = [await self._table.get((each["pk"], each["sk"])) for each in page.items]
        there = [item for item in read if item is not None and _is_hidden(item)]
        return [asset for asset in map(_asset, there) if asset.expires_at <= now]

    async def with_content(self, tenant: TenantId, blake3: str) -> Asset | None:
        """The tenant's asset with these bytes."""
        blob = await self._table.get(_blob_key(tenant, blake3))
        if blob is None:
            return None
        try:
            return await self.get(AssetId(blob["asset"]))
        except AssetNotFound:
            return None

    async def renew(
        self, asset: Asset, *, expires_at: datetime, content_type: str | None = None
    ) -> Asset:
        """Postpone an asset's expiry, unless it is later already, and change its type if one is
        given.

        Raises:
            TooContended: another request changed the asset at the same time.
        """
        kept = replace(
            asset,
            expires_at=max(expires_at, asset.expires_at),  # a job may wait that needs it until then
            content_type=content_type or asset.content_type,
            version=asset.version + 1,
        )
        try:
            await self._table.write(Put(_item(kept), version=asset.version))
        except ConditionFailed as refused:
            raise TooContended(f"asset {asset.id} was changed by another request") from refused
        return kept

    async def due(self, now: datetime, *, limit: int) -> Sequence[AssetId]:
        """Return expired assets and those whose deletion was interrupted; the index lags."""
        page = await self._table.query("active", DUE, upto=sortable(now), limit=limit)
        return [AssetId(item["pk"].removeprefix("ASSET#")) for item in page.items]

    async def of_tenant(self, tenant: TenantId, *, limit: int) -> Sequence[AssetId]:
        """Return some of a tenant's assets, those whose deletion was interrupted too; the index
        lags."""
        page = await self._table.query("tenant", f"{LISTED_UNDER}#{tenant}", limit=limit)
        return [AssetId(item["pk"].removeprefix("ASSET#")) for item in page.items]

    async def page(
        self, tenant: TenantId, *, limit: int, after: Cursor | None = None
    ) -> tuple[Sequence[Asset], Cursor | None]:
        """Return those of a page of a tenant's assets that are neither hidden nor being deleted,
        the newest first, and where the next page begins; the index lags."""
        partition = f"{LISTED_UNDER}#{tenant}"
        page = await self._table.query(
            "tenant", partition, limit=limit, descending=True, after=after
        )
        keys = [(each["pk"], each["sk"]) for each in page.items]
        read = await limited(AT_ONCE, keys, self._table.get)
        there = [item for item in read.values() if item is not None and "going" not in item]
        return [_asset(item) for item in there if not _is_hidden(item)], page.cursor

    async def condemn(self, asset_id: AssetId, expired_at: datetime | None) -> Asset | None:
        """Mark an asset for deletion, so that it is not found; None: it is there no more, or does
        not expire by ``expired_at`` (None: whenever it does)."""
        item = await self._table.get(_key(asset_id))
        if item is None or (expired_at is not None and _asset(item).expires_at > expired_at):
            return None
        if "going" in item:
            return _asset(item)
        marked = {**item, "going": True, "version": item["version"] + 1}
        blob = Delete(_blob_key(TenantId(item["tenant"]), item["blake3"]))
        own = [] if _is_hidden(item) else [blob]  # else it may be another asset's by now
        try:
            await self._table.write(Put(marked, version=item["version"]), *own)
        except ConditionFailed:
            return None  # it was used once more
        return _asset(marked)

    async def remove(self, asset: Asset) -> None:
        """Delete the item of a condemned asset whose file is gone, and count its bytes no more.

        Raises:
            TooContended: too many others are added and removed at the same time.
        """
        gone = Delete(_key(asset.id), version=asset.version)
        for pause_s in _pauses():
            stored = await stored_bytes(self._table, asset.tenant)
            uncounted = [stored.changed(-asset.taken_bytes)] if asset.counted else []
            try:
                await self._table.write(gone, *uncounted)
            except ConditionFailed as refused:
                if 0 not in refused.found:  # another asset was counted meanwhile
                    await asyncio.sleep(pause_s)
                    continue
            return  # it may have been removed already
        raise TooContended(f"asset {asset.id} cannot be removed beside so many others")


def _is_hidden(item: Item) -> bool:
    return bool(item["apk"] == HIDDEN)


def _pauses() -> Iterator[float]:
    """Yield random seconds to wait after each try, which grow, so that of many one is first."""
    for attempt in range(TRIES):
        yield random.uniform(0, min(PAUSE_S, 0.002 * 2**attempt))


def _key(asset_id: AssetId) -> Key:
    return f"ASSET#{asset_id}", "META"


def _blob_key(tenant: TenantId, blake3: str) -> Key:
    return f"BLOB#{tenant}#{blake3}", "-"


def _item(asset: Asset) -> Item:
    pk, sk = _key(asset.id)
    return {
        "pk": pk,
        "sk": sk,
        "version": asset.version,
        "tenant": asset.tenant,
        "filename": asset.filename,
        "content_type": asset.content_type,
        "size": asset.size,
        "blake3": asset.blake3,
        "key": asset.key,
        "counted": asset.counted,
        "created": to_ms(asset.created_at),
        "apk": DUE,
        "ask": sortable(asset.expires_at),
        "tpk": f"{LISTED_UNDER}#{asset.tenant}",
        "tsk": f"{sortable(asset.created_at)}#{asset.id}",
    }


def _asset(item: Item) -> Asset:
    return Asset(
        id=AssetId(item["pk"].removeprefix("ASSET#")),
        tenant=TenantId(item["tenant"]),
        filename=item["filename"],
        content_type=item["content_type"],
        size=item["size"],
        blake3=item["blake3"],
        key=item["key"],
        counted=item.get("counted", False),
        created_at=from_ms(item["created"]),
        expires_at=from_ms(int(item["ask"])),
        version=item["version"],
    )

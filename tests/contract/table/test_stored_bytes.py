"""The bytes of a tenant's assets, counted beside their records by every table."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from comfyq.domain.caller import TenantId
from comfyq.domain.files.asset import Asset, AssetId, taken
from comfyq.ports.table import ConditionFailed, Put, Table, Write
from comfyq.records.files.assets import AssetRecords, BlobTaken, NoRoom
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio

KEPT = timedelta(days=1)
MOST = taken(600) + taken(400)


@pytest.fixture
def tenant() -> TenantId:
    return TenantId(uuid4().hex)  # an emulator's table is used by other tests as well


def asset(clock: ManualClock, tenant: TenantId, *, size: int = 10) -> Asset:
    asset_id = AssetId(str(uuid4()))
    return Asset(
        id=asset_id,
        tenant=tenant,
        filename="a",
        content_type="image/png",
        size=size,
        blake3=asset_id,
        key=f"assets/{asset_id}",
        created_at=clock.now(),
        expires_at=clock.now() + KEPT,
    )


async def test_bytes_follow_what_is_added_and_removed(
    table: Table, clock: ManualClock, tenant: TenantId
) -> None:
    records, first = AssetRecords(table), asset(clock, tenant, size=600)
    assert await records.stored_bytes(tenant) == 0
    await records.add(first, most_bytes=MOST)
    await records.add(first, most_bytes=2 * MOST)  # sent again: the answer was lost
    with pytest.raises(BlobTaken):
        await records.add(replace(first, id=AssetId("other")), most_bytes=2 * MOST)
    with pytest.raises(NoRoom) as full:
        await records.add(asset(clock, tenant, size=401), most_bytes=MOST)
    assert full.value.used == await records.stored_bytes(tenant) == taken(600)
    await records.add(asset(clock, tenant, size=400), most_bytes=MOST)

    clock.advance(KEPT.total_seconds() + 1)
    condemned = [await records.condemn(first.id, clock.now()) for _ in range(2)]
    assert await records.stored_bytes(tenant) == MOST, "its file is still there"
    for each in condemned:
        assert each is not None
        await records.remove(each)
    assert await records.stored_bytes(tenant) == taken(400), "removed twice, counted once"


async def test_what_an_older_version_stored_was_not_counted(
    table: Table, clock: ManualClock, tenant: TenantId
) -> None:
    records, old = AssetRecords(table), asset(clock, tenant, size=600)
    await records.add(old, most_bytes=MOST)
    item = dict(await table.get((f"ASSET#{old.id}", "META")) or {})
    del item["counted"]
    await table.write(Put(item))
    until = old.expires_at + timedelta(seconds=1)
    kept = await records.renew(await records.get(old.id), expires_at=until)
    clock.advance(KEPT.total_seconds() + 2)
    condemned = await records.condemn(kept.id, clock.now())
    assert condemned is not None
    await records.remove(condemned)
    assert await records.stored_bytes(tenant) == taken(600)


class SlowTable(MemoryTable):
    """Writes come late, so that all of many read the same before."""

    refused = 0

    async def write(self, *writes: Write, synced: bool = True) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        try:
            await super().write(*writes)
        except ConditionFailed:
            self.refused += 1
            raise


async def test_many_at_once_are_each_counted_up_to_the_limit(
    clock: ManualClock, tenant: TenantId
) -> None:
    table = SlowTable(clock=clock)
    records = AssetRecords(table)
    adding = [records.add(asset(clock, tenant), most_bytes=10 * taken(10) - 1) for _ in range(12)]
    results = await asyncio.gather(*adding, return_exceptions=True)
    assert table.refused
    assert [result for result in results if result is None] == [None] * 9
    assert sum(isinstance(result, NoRoom) for result in results) == 3
    assert await records.stored_bytes(tenant) == 9 * taken(10)

"""Expired means absent, on every engine: also where it has not been deleted yet."""

import pytest

from comfyq.ports.table import INDEXES, Delete, Put, Table
from comfyq.testing.memory.clock import ManualClock
from tests.contract.table.support import in_s, item, pages, refusal, sort_keys

pytestmark = pytest.mark.anyio


async def test_expired_is_absent_from_the_second_on(table: Table, clock: ManualClock) -> None:
    clock.set(clock.now().replace(microsecond=0))
    await table.write(Put(item("a", ttl=in_s(clock, 10))))
    clock.advance(9.9)
    assert await table.get(("a", "META")) is not None
    clock.advance(0.1)
    assert await table.get(("a", "META")) is None


async def test_expired_is_absent_for_conditions(table: Table, clock: ManualClock) -> None:
    names = ["put", "delete", "again", "step", "blind"]
    for name in names:
        await table.write(Put(item(name, version=1, ttl=in_s(clock, 5))))
    clock.advance(10)
    assert await refusal(table, Put(item("put", version=2), version=1)) == {0: None}
    assert await refusal(table, Delete(("delete", "META"), version=1)) == {0: None}
    assert await refusal(
        table, Put(item("new"), absent=True), Put(item("step", version=2), version=1)
    ) == {1: None}
    await table.write(Put(item("again", version=1), absent=True))
    await table.write(Put(item("step", version=1), absent=True), Put(item("blind", version=3)))
    for name, version in (("again", 1), ("step", 1), ("blind", 3)):
        assert await table.get((name, "META")) == item(name, version=version)


@pytest.mark.parametrize("index", list(INDEXES))
async def test_expired_is_absent_from_queries_and_pages_are_full(
    table: Table, clock: ManualClock, index: str
) -> None:
    partition, sort = INDEXES[index].partition, INDEXES[index].sort
    for n in range(12):
        ttl = in_s(clock, 5 if n in (0, 2, 3, 4, 5, 11) else 500)
        keys = {"pk": f"J{n:02}", "sk": "META", partition: "P", sort: f"{n:02}"}
        await table.write(Put({**keys, "ttl": ttl}))
    clock.advance(10)
    read = await pages(table, index, "P", limit=2)
    assert [len(page.items) for page in read] == [2, 2, 2]
    assert sort_keys(read, sort) == ["01", "06", "07", "08", "09", "10"]


async def test_the_counter_stops_at_its_cap(table: Table, clock: ManualClock) -> None:
    ttl = in_s(clock, 60)
    counted = [await table.count(("RATE#a", "w"), cap=3, ttl=ttl) for _ in range(5)]
    assert counted == [True, True, True, False, False]
    assert await table.get(("RATE#a", "w")) == item("RATE#a", "w", n=3, ttl=ttl)
    assert await table.count(("RATE#b", "w"), cap=3, ttl=ttl)
    assert not await table.count(("RATE#c", "w"), cap=0, ttl=ttl)


async def test_the_counter_starts_again_when_its_window_ends(
    table: Table, clock: ManualClock
) -> None:
    ends = in_s(clock, 60)
    for _ in range(2):
        assert await table.count(("RATE", "w"), cap=2, ttl=ends)
    clock.advance(30)
    assert not await table.count(("RATE", "w"), cap=2, ttl=in_s(clock, 60))
    assert await table.count(("RATE", "w"), cap=3, ttl=in_s(clock, 60))
    clock.advance(31)
    assert await table.get(("RATE", "w")) is None
    again = in_s(clock, 60)
    counted = [await table.count(("RATE", "w"), cap=2, ttl=again) for _ in range(3)]
    assert counted == [True, True, False]
    assert await table.get(("RATE", "w")) == item("RATE", "w", n=2, ttl=again)

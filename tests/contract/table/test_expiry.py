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


async def test_a_number_is_added_to_until_it_is_over_the_most(
    table: Table, clock: ManualClock
) -> None:
    ttl = in_s(clock, 60)
    sums = [await table.add(("RATE#a", "w"), 2, most=3, ttl=ttl) for _ in range(4)]
    assert sums == [(2, True), (4, True), (4, False), (4, False)]
    assert await table.get(("RATE#a", "w")) == item("RATE#a", "w", n=4, ttl=ttl)
    assert await table.add(("RATE#b", "w"), 7, most=0, ttl=ttl) == (7, True)
    assert await table.add(("RATE#c", "w"), 1, most=-1, ttl=ttl) == (0, False)
    assert await table.get(("RATE#c", "w")) is None


async def test_a_number_below_the_least_counts_as_the_least(
    table: Table, clock: ManualClock
) -> None:
    key, ttl = ("RATE", "w"), in_s(clock, 60)
    assert await table.add(key, 10, least=100, most=150, ttl=ttl) == (110, True)
    assert await table.add(key, 10, least=105, most=150, ttl=ttl) == (120, True)
    assert await table.add(key, 10, least=500, most=550, ttl=ttl) == (510, True)
    assert await table.add(key, 10, least=505, most=509, ttl=ttl) == (510, False)
    assert await table.add(key, 10, least=510, most=510, ttl=ttl) == (520, True)
    assert await table.add(key, 10, least=600, most=599, ttl=ttl) == (600, False)
    assert await table.add(key, -25, most=1_000, ttl=ttl) == (495, True)


async def test_an_expired_number_begins_again(table: Table, clock: ManualClock) -> None:
    key = ("RATE", "w")
    for _ in range(2):
        await table.add(key, 1, most=5, ttl=in_s(clock, 60))
    clock.advance(30)
    later = in_s(clock, 60)
    assert await table.add(key, 1, most=5, ttl=later) == (3, True)
    clock.advance(31)
    assert await table.get(key) == item("RATE", "w", n=3, ttl=later)
    clock.advance(30)
    assert await table.get(key) is None
    again = in_s(clock, 60)
    assert await table.add(key, 1, most=0, ttl=again) == (1, True)
    assert await table.get(key) == item("RATE", "w", n=1, ttl=again)

"""Conditions of writes: refusals leave everything undone, on every engine."""

import pytest

from comfyq.ports.table import MAX_WRITES, Delete, Put, Table
from tests.contract.table.support import item, refusal

pytestmark = pytest.mark.anyio


async def test_an_unconditional_put_replaces_the_whole_item(table: Table) -> None:
    await table.write(Put(item("a", old=1)))
    await table.write(Put(item("a", new=2)))
    assert await table.get(("a", "META")) == item("a", new=2)


async def test_absent_refuses_what_is_there_and_shows_it(table: Table) -> None:
    first = item("a", version=1, wid="first")
    await table.write(Put(first, absent=True))
    assert await refusal(table, Put(item("a", version=9), absent=True)) == {0: first}
    assert await table.get(("a", "META")) == first


async def test_version_must_be_the_one_that_is_there(table: Table) -> None:
    await table.write(Put(item("a", version=1)))
    await table.write(Put(item("a", version=2), version=1))
    stands = {0: item("a", version=2)}
    assert await refusal(table, Put(item("a", version=2), version=1)) == stands
    assert await refusal(table, Delete(("a", "META"), version=1)) == stands
    await table.write(Delete(("a", "META"), version=2))
    assert await table.get(("a", "META")) is None


async def test_no_version_is_that_of_nothing_or_of_an_item_without(table: Table) -> None:
    await table.write(Put(item("plain")))
    assert await refusal(table, Put(item("none", version=2), version=1)) == {0: None}
    assert await refusal(table, Delete(("none", "META"), version=1)) == {0: None}
    assert await refusal(table, Delete(("plain", "META"), version=0)) == {0: item("plain")}


async def test_deleting_nothing_is_no_error(table: Table) -> None:
    await table.write(Delete(("a", "META")))


async def test_a_transaction_is_all_or_nothing(table: Table) -> None:
    await table.write(Put(item("a", version=1)), Put(item("z", version=7)))
    stored = await refusal(
        table,
        Put(item("b"), absent=True),
        Put(item("a", version=5), absent=True),
        Delete(("z", "META"), version=7),
        Put(item("c", version=2), version=1),
    )
    assert stored == {1: item("a", version=1), 3: None}
    assert await table.get(("b", "META")) is None
    assert await table.get(("z", "META")) is not None
    await table.write(
        Put(item("b"), absent=True), Put(item("a", version=2), version=1), Delete(("z", "META"))
    )
    assert await table.get(("a", "META")) == item("a", version=2)
    assert await table.get(("z", "META")) is None


async def test_a_transaction_has_one_to_many_writes(table: Table) -> None:
    with pytest.raises(ValueError, match="0 writes"):
        await table.write()
    many = [Put(item(f"k{n}"), absent=True) for n in range(MAX_WRITES + 1)]
    with pytest.raises(ValueError, match=f"{MAX_WRITES + 1} writes"):
        await table.write(*many)
    await table.write(*many[:MAX_WRITES])
    assert await table.get((f"k{MAX_WRITES - 1}", "META")) is not None
    assert await table.get((f"k{MAX_WRITES}", "META")) is None


async def test_a_key_stands_once_in_a_transaction(table: Table) -> None:
    with pytest.raises(ValueError, match="twice"):
        await table.write(Put(item("a", v=1)), Delete(("a", "META")))

"""Values that the table keeps or refuses, on every engine."""

from typing import Any

import pytest

from comfyq.domain.errors import TooLarge
from comfyq.ports.table import Delete, Put, Table
from tests.contract.table.support import item

pytestmark = pytest.mark.anyio


async def test_every_kind_of_value_comes_back_as_it_was(table: Table) -> None:
    kept = item(
        "JOB#1",
        text='ü 😀 \u0000 "quoted"',
        empty="",
        whole=5,
        negative=-3,
        zero=0,
        big=2**63 + 1,
        longest=-(10**38 - 1),
        yes=True,
        no=False,
        list=[1, "a", True, [], {"b": [2]}],
        map={"a": {"b": {"c": "d"}}, "empty": {}},
        version=1,
    )
    await table.write(Put(kept))
    stored = await table.get(("JOB#1", "META"))
    assert stored == kept
    assert stored is not None
    assert type(stored["yes"]) is bool
    assert type(stored["whole"]) is int


async def test_none_is_dropped_wherever_it_stands(table: Table) -> None:
    await table.write(
        Put(item("a", gone=None, apk=None, ttl=None, map={"x": None, "y": 1}, list=[None, 1]))
    )
    assert await table.get(("a", "META")) == item("a", map={"y": 1}, list=[1])


async def test_what_was_read_is_the_readers_own(table: Table) -> None:
    values = [1]
    await table.write(Put(item("a", list=values)))
    values.append(2)
    stored = await table.get(("a", "META"))
    assert stored == item("a", list=[1])
    stored["list"].append(3)
    assert await table.get(("a", "META")) == item("a", list=[1])


@pytest.mark.parametrize(
    "values",
    [
        {"progress": 0.35},
        {"map": {"deep": [0.5]}},
        {"bytes": b"x"},
        {"tuple": (1, 2)},
        {"map": {1: "a"}},
        {"map": {"": "a"}},
        {"number": 10**38},
        {"lone": "\ud800"},
        {"version": True},
        {"version": "1"},
        {"version": 2**63},
        {"ttl": "soon"},
        {"apk": ""},
        {"tsk": 5},
    ],
)
async def test_what_not_every_engine_takes_is_refused(table: Table, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        await table.write(Put(item("a", **values)))
    assert await table.get(("a", "META")) is None


@pytest.mark.parametrize("key", [("", "META"), ("a", ""), ("", "")])
async def test_an_empty_key_is_refused(table: Table, key: tuple[str, str]) -> None:
    pk, sk = key
    for refused in (
        table.write(Put(item(pk, sk))),
        table.write(Delete(key)),
        table.get(key),
        table.add(key, 1, most=1, ttl=1),
    ):
        with pytest.raises(ValueError, match="empty"):
            await refused


async def test_too_large_is_refused(table: Table) -> None:
    for refused in (
        [Put(item("a", blob="x" * 410_000))],
        [Put(item("a", blob=["ü" * 1000] * 200))],
        [Put(item("a" * 2000))],
        [Put(item("a", tpk="T", tsk="x" * 2000))],
        [Put(item(f"a{n}", blob="x" * 300_000)) for n in range(14)],
    ):
        with pytest.raises(TooLarge):
            await table.write(*refused)
    await table.write(Put(item("a", blob="x" * 340_000)))
    stored = await table.get(("a", "META"))
    assert stored is not None
    assert len(stored["blob"]) == 340_000

"""Order, pages, bounds and projections of the indexes, on every engine."""

from typing import Any

import pytest

from comfyq.ports.table import INDEXES, Cursor, Delete, Page, Put, Table
from tests.contract.table.support import item, pages, sort_keys

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("index", ["main", "tenant"])
@pytest.mark.parametrize("descending", [False, True])
async def test_pages_follow_each_other(table: Table, index: str, descending: bool) -> None:
    sort = INDEXES[index].sort
    for n in range(11):
        await table.write(Put(item("P", f"{n:02}", tpk="P", tsk=f"{n:02}")))
    await table.write(Put(item("other", "05", tpk="other", tsk="05")))
    read = await pages(table, index, "P", limit=4, descending=descending)
    assert [len(page.items) for page in read] == [4, 4, 3]
    expected = [f"{n:02}" for n in range(11)]
    assert sort_keys(read, sort) == (expected[::-1] if descending else expected)


@pytest.mark.parametrize("descending", [False, True])
async def test_items_with_one_sort_key_are_each_found_once(table: Table, descending: bool) -> None:
    for n in range(13):
        await table.write(Put(item(f"J{n:02}", tpk="T", tsk=f"{n // 5}")))
    read = await pages(table, "tenant", "T", limit=3, descending=descending)
    assert sorted(sort_keys(read, "pk")) == [f"J{n:02}" for n in range(13)]
    sorts = sort_keys(read, "tsk")
    assert sorts == sorted(sorts, reverse=descending)


async def test_an_exact_page_has_no_cursor(table: Table) -> None:
    for n in range(3):
        await table.write(Put(item("P", f"{n}")))
    assert (await table.query("main", "P", limit=3)).cursor is None
    assert (await table.query("main", "P", limit=2)).cursor == Cursor("1", "P", "1")
    assert await table.query("main", "nothing", limit=3) == Page([], None)


async def test_a_cursor_outlives_its_item(table: Table) -> None:
    for n in range(5):
        await table.write(Put(item("P", f"{n}", tpk="T", tsk=f"{n}")))
    for index, partition in (("main", "P"), ("tenant", "T")):
        cursor = (await table.query(index, partition, limit=2)).cursor
        assert cursor is not None
        await table.write(Delete(("P", cursor.sk)))
        following = await table.query(index, partition, limit=9, after=cursor)
        assert [i["sk"] for i in following.items] == ["2", "3", "4"]
        await table.write(Put(item("P", cursor.sk, tpk="T", tsk=cursor.sk)))


@pytest.mark.parametrize("descending", [False, True])
async def test_a_cursor_of_another_partition_leads_into_none(
    table: Table, descending: bool
) -> None:
    """Clients can make cursors of their own; the partition is the caller's."""
    for pk, partition in (("mine", "T#a"), ("theirs", "T#b"), ("more", "T#b#queued")):
        await table.write(Put(item(pk, "META", tpk=partition, tsk=f"5#{pk}")))
    for sort in ("0", "5#theirs", "9", "T#b"):
        forged = Cursor(sort, "theirs", "META")
        page = await table.query("tenant", "T#a", limit=9, after=forged, descending=descending)
        assert sort_keys([page], "pk") in (["mine"], [])
        assert page.cursor is None


@pytest.mark.parametrize("descending", [False, True])
async def test_so_does_a_cursor_of_another_partition_of_the_table_itself(
    table: Table, descending: bool
) -> None:
    for pk in ("a", "b", "c"):
        await table.write(Put(item(pk, "5")))
    for pk in ("a", "c", "nothing"):
        for sort, follows in (("1", not descending), ("9", descending)):
            forged = Cursor(sort, pk, "META")
            page = await table.query("main", "b", limit=9, after=forged, descending=descending)
            assert (sort_keys([page], "pk"), page.cursor) == (["b"] if follows else [], None)


@pytest.mark.parametrize(("index", "sort"), [("main", "sk"), ("tenant", "tsk")])
async def test_a_cursor_outside_of_the_bounds_is_before_or_behind_them(
    table: Table, index: str, sort: str
) -> None:
    """As that of a page which had other bounds."""
    keys = ["2#a", "2#b", "3"]
    for key in keys:
        await table.write(Put(item("P", key, tpk="P", tsk=key)))

    async def after(place: str, **query: Any) -> list[str]:
        page = await table.query(index, "P", limit=9, after=Cursor(place, "P", place), **query)
        return sort_keys([page], sort)

    assert await after("3", upto="2#b", descending=True) == ["2#b", "2#a"]
    assert await after("3", upto="2#b") == []
    assert await after("2#a", upto="2#b") == ["2#b"]
    assert await after("3", prefix="2#", descending=True) == ["2#b", "2#a"]
    assert await after("3", prefix="2#") == []
    assert await after("1", prefix="2#") == ["2#a", "2#b"]
    assert await after("1", prefix="2#", descending=True) == []


async def test_order_is_that_of_utf_8_bytes(table: Table) -> None:
    keys = ["a", "ä", "Z", "\uffff", "\U0001f600", "aa", "\ue000", "~", "\U0010ffff"]
    for key in keys:
        await table.write(Put(item("P", key, tpk="T", tsk=key)))
    expected = sorted(keys, key=str.encode)
    for index, partition in (("main", "P"), ("tenant", "T")):
        assert sort_keys(await pages(table, index, partition, limit=4), INDEXES[index].sort) == (
            expected
        )


async def test_prefix_and_upto_bound_the_sort_key(table: Table) -> None:
    keys = ["SUB", "SUB#", "SUB#1", "SUB#\U0010ffff", "SUB#\U0010ffffz", "SUB$", "TRY#1", "META"]
    for key in keys:
        await table.write(Put(item("P", key)))
    subs = ["SUB#", "SUB#1", "SUB#\U0010ffff", "SUB#\U0010ffffz"]
    assert sort_keys(await pages(table, "main", "P", limit=2, prefix="SUB#")) == subs
    back = await pages(table, "main", "P", limit=2, prefix="SUB#", descending=True)
    assert sort_keys(back) == subs[::-1]
    assert sort_keys(await pages(table, "main", "P", limit=2, upto="SUB#1")) == [
        "META",
        "SUB",
        "SUB#",
        "SUB#1",
    ]
    assert sort_keys(await pages(table, "main", "P", limit=9, prefix="\U0010ffff")) == []


@pytest.mark.parametrize("index", ["main", "ready"])
async def test_a_query_begins_above_a_key_that_need_not_exist(table: Table, index: str) -> None:
    keys = ["a#1", "a#2", "a#\U0010ffff", "a$", "b#1", "c#1"]
    for key in keys:
        await table.write(Put(item("P", key, rpk="P", rsk=key)))

    async def above(bound: str, limit: int = 9) -> list[str]:
        page = await table.query(index, "P", limit=limit, above=bound)
        return sort_keys([page], INDEXES[index].sort)

    assert await above("a#2") == ["a#\U0010ffff", "a$", "b#1", "c#1"]
    assert await above("a$", limit=1) == ["b#1"]
    assert await above("b#", limit=1) == ["b#1"]
    assert await above("c#1") == []
    back = await table.query(index, "P", limit=2, above="a$", descending=True)
    assert sort_keys([back], INDEXES[index].sort) == ["c#1", "b#1"]


async def test_an_index_holds_the_items_that_have_both_its_attributes(table: Table) -> None:
    await table.write(
        Put(item("both", apk="A", ask="1")),
        Put(item("first", apk="A")),
        Put(item("second", ask="1")),
        Put(item("later", apk="A", ask="2")),
    )
    assert sort_keys(await pages(table, "active", "A", limit=9), "pk") == ["both", "later"]
    await table.write(Put(item("both")), Delete(("later", "META")))
    assert sort_keys(await pages(table, "active", "A", limit=9)) == []


@pytest.mark.parametrize("index", list(INDEXES))
async def test_an_index_returns_its_projection_and_no_more(table: Table, index: str) -> None:
    whole = item(
        "JOB#1",
        tpk="P",
        spk="P",
        tsk="1",
        apk="P",
        ask="1",
        rpk="P",
        rsk="1",
        status="queued",
        progress=5,
        ttl=2**40,
    )
    await table.write(Put(whole))
    chosen = INDEXES[index]
    (read,) = (await table.query(index, "JOB#1" if index == "main" else "P", limit=1)).items
    projection = whole if chosen.projection is None else chosen.projection
    names = {"pk", "sk", chosen.partition, chosen.sort, *projection}
    assert read == {name: value for name, value in whole.items() if name in names}


async def test_a_query_that_makes_no_sense_is_refused(table: Table) -> None:
    for query in (
        {"index": "unknown", "partition": "P", "limit": 1},
        {"index": "main", "partition": "", "limit": 1},
        {"index": "main", "partition": "P", "limit": 0},
        {"index": "main", "partition": "P", "limit": 1, "prefix": "a", "upto": "b"},
        {"index": "main", "partition": "P", "limit": 1, "above": "a", "upto": "b"},
        {
            "index": "main",
            "partition": "P",
            "limit": 1,
            "above": "a",
            "after": Cursor("a", "P", "a"),
        },
        {"index": "main", "partition": "P", "limit": 1, "prefix": ""},
    ):
        with pytest.raises(ValueError, match=r".+"):
            await table.query(**query)  # type: ignore[arg-type]

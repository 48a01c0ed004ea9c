"""Rules of items that all adapters of ``table`` keep.

Adapters that store items themselves (SQLite, a dictionary) call these functions; for DynamoDB,
which has conditions of its own, the contract suite checks the same rules.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from comfyq.ports.table import INDEXES, Cursor, Item, Key, Put, Sum, Write, check_key

NO_TTL = 2**63


def stored(item: Item) -> dict[str, Any]:
    """The item as it is kept: without None, wherever it stands."""
    return {
        name: _stored(value) if isinstance(value, dict | list) else value
        for name, value in item.items()
        if value is not None
    }


def _stored(value: Any) -> Any:
    if isinstance(value, dict):
        return stored(value)
    return [
        _stored(each) if isinstance(each, dict | list) else each
        for each in value
        if each is not None
    ]


def live(item: Item | None, now: datetime) -> Item | None:
    """The item, or None where none stands or the one that does has expired."""
    if item is None or item.get("ttl", NO_TTL) <= now.timestamp():
        return None
    return item


def holds(write: Write, stored: Item | None) -> bool:
    """Return whether the write's condition holds for ``stored`` (None: there is no live item)."""
    if isinstance(write, Put) and write.absent:
        return stored is None
    return write.version is None or (stored is not None and stored.get("version") == write.version)


def added(
    item: Item | None, key: Key, by: int, *, least: int, most: int, ttl: int
) -> tuple[Sum, Put | None]:
    """Return what ``Table.add`` answers over the live ``item``, and what it writes."""
    number = least if item is None else max(item["n"], least)
    if number > most:
        return Sum(number, added=False), None
    pk, sk = key
    return Sum(number + by, added=True), Put({"pk": pk, "sk": sk, "n": number + by, "ttl": ttl})


def projected(index: str, item: Item) -> Item:
    """Project an item as a query of the index returns it: its keys and the declared attributes."""
    chosen = INDEXES[index]
    if chosen.projection is None:
        return item
    names = ("pk", "sk", chosen.partition, chosen.sort, *chosen.projection)
    return {name: item[name] for name in names if name in item}


def check_query(
    index: str,
    partition: str,
    *,
    limit: int,
    bounds: Mapping[str, str | None],
    after: Cursor | None,
) -> None:
    """Refuse a query that not every engine takes.

    Raises:
        ValueError: an unknown index, an empty partition or bound, several bounds, no limit.
        TooLarge: a partition or bound over the limit of a key.
    """
    if index not in INDEXES:
        raise ValueError(f"no index {index!r}; there are {', '.join(INDEXES)}")
    if limit < 1:
        raise ValueError(f"a page of {limit} items")
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    if len(given) > 1:
        raise ValueError(f"a query has one bound, not {' and '.join(given)}")
    if "above" in given and after is not None:
        raise ValueError("a query begins above a key or after a page, not at both")
    check_key((partition, *given.values()))

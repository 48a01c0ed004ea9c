"""Units that DynamoDB bills for calls: write units of 1 KB, read units of 4 KB.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from comfyq.adapters.dynamodb.values import load
from comfyq.ports.table import INDEXES, MAIN, Index, Item, size_of

WRITE_BYTES, READ_BYTES = 1024, 4096
TRANSACTION = 2  # times the units

Parameters = Mapping[str, Any]


@dataclass
class Units:
    """Adds up what calls cost, as far as sizes and projections tell it."""

    writes: float = 0
    reads: float = 0
    _items: dict[tuple[str, str], Item] = field(default_factory=dict)

    def wrote(self, operation: str, params: Parameters) -> None:
        match operation:
            case "PutItem":
                self._put(load(params["Item"]), times=1)
            case "UpdateItem":
                self.writes += 1
            case "DeleteItem":
                self._delete(load(params["Key"]), times=1)
            case "TransactWriteItems":
                for step in params["TransactItems"]:
                    if "Put" in step:
                        self._put(load(step["Put"]["Item"]), times=TRANSACTION)
                    else:
                        self._delete(load(step["Delete"]["Key"]), times=TRANSACTION)
            case _:
                pass  # it reads

    def read(self, operation: str, params: Parameters, answer: Parameters) -> None:
        """A consistent read costs a unit for each 4 KB, an index half of it."""
        if operation == "GetItem":
            self.reads += _units(answer.get("Item"), READ_BYTES)
        if operation == "Query":
            found = sum(size_of(load(item)) for item in answer["Items"])
            share = 1 if params.get("ConsistentRead") else 0.5
            self.reads += share * max(1, math.ceil(found / READ_BYTES))

    def _put(self, item: Item, *, times: int) -> None:
        key = item["pk"], item["sk"]
        self.writes += times * max(1, math.ceil(size_of(dict(item)) / WRITE_BYTES))
        self.writes += _index_units(self._items.get(key), item)
        self._items[key] = item

    def _delete(self, key: Item, *, times: int) -> None:
        old = self._items.pop((key["pk"], key["sk"]), None)
        self.writes += times + (_index_units(old, None) if old is not None else 0)


def _index_units(old: Item | None, new: Item | None) -> int:
    """An entry that moves is deleted and put; one that keeps all it shows costs nothing."""
    total = 0
    for name, index in INDEXES.items():
        if name != MAIN:
            before, after = _entry(index, old), _entry(index, new)
            moved = before and after and before[:2] != after[:2]
            total += 0 if before == after else 2 if moved else 1
    return total


def _entry(index: Index, item: Item | None) -> tuple[Any, ...]:
    """Return the projection of an item in an index; empty if the item is not in it."""
    if item is None or item.get(index.partition) is None or item.get(index.sort) is None:
        return ()
    shown = (*(index.projection or ()), "ttl")
    return (item[index.partition], item[index.sort], *(item.get(name) for name in shown))


def _units(attributes: Parameters | None, unit_bytes: int) -> int:
    size = size_of(load(attributes)) if attributes else 0
    return max(1, math.ceil(size / unit_bytes))

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from comfyq.ports.table import INDEXES, Cursor

LAST = 0x10FFFF  # the last code point
BEFORE_SURROGATES, AFTER_SURROGATES = 0xD7FF, 0xE000


@dataclass(frozen=True, slots=True)
class Select:
    """A query of an index, as one SELECT of (body, sort, pk, sk).

    SQLite orders text by its UTF-8 bytes, as DynamoDB does.
    """

    index: str
    partition: str
    prefix: str | None
    upto: str | None
    above: str | None
    descending: bool
    after: Cursor | None

    def statement(self, now: datetime, *, limit: int) -> tuple[str, tuple[Any, ...]]:
        """The SQL and its arguments."""
        index = INDEXES[self.index]
        sort = index.sort
        order = "DESC" if self.descending else "ASC"
        where = f"{index.partition} = ? AND {sort} IS NOT NULL AND (ttl IS NULL OR ttl > ?)"
        arguments: list[Any] = [self.partition, now.timestamp()]
        for condition, values in self._bounds(sort):
            where += f" AND {condition}"
            arguments += values
        return (
            f"SELECT body, {sort}, pk, sk FROM item WHERE {where}"
            f" ORDER BY {sort} {order}, pk {order}, sk {order} LIMIT ?",
            (*arguments, limit),
        )

    def _bounds(self, sort: str) -> list[tuple[str, tuple[Any, ...]]]:
        bounds: list[tuple[str, tuple[Any, ...]]] = []
        if self.prefix is not None:
            bounds.append((f"{sort} >= ?", (self.prefix,)))
            if (end := successor(self.prefix)) is not None:
                bounds.append((f"{sort} < ?", (end,)))
        if self.upto is not None:
            bounds.append((f"{sort} <= ?", (self.upto,)))
        if self.above is not None:
            bounds.append((f"{sort} > ?", (self.above,)))
        if self.after is not None:
            bounds.append(
                (f"({sort}, pk, sk) {'<' if self.descending else '>'} (?, ?, ?)", self.after)
            )
        return bounds


def successor(prefix: str) -> str | None:
    """The first string after all that begin with ``prefix``; None where there is none."""
    head = prefix.rstrip(chr(LAST))
    if not head:
        return None
    last = ord(head[-1])
    return head[:-1] + chr(AFTER_SURROGATES if last == BEFORE_SURROGATES else last + 1)

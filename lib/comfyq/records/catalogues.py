"""Catalogues that workers have published, and when each was last named.

The catalogues themselves stand in asset storage, under ``key_of`` their id: they may pass the size
of an item. An item owns its object, so it does not expire by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from comfyq.ports.table import Cursor, Delete, Item, Put, Table
from comfyq.records.times import from_ms, to_ms

PARTITION = "CATALOGUE"
PAGE = 100


@dataclass(frozen=True, slots=True)
class Published:
    """A catalogue in asset storage."""

    id: str  # hash of its essence
    seen_at: datetime  # when a worker last published it
    fetches: bool = False  # that worker fetches locked models


class CatalogueRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def note(self, catalogue: Published) -> None:
        item = {"pk": PARTITION, "sk": catalogue.id, "seen": to_ms(catalogue.seen_at)}
        await self._table.write(Put(item | ({"fetches": True} if catalogue.fetches else {})))

    async def all(self) -> Sequence[Published]:
        """Those that are stored, the one that was seen last first."""
        items: list[Item] = []
        after: Cursor | None = None
        while True:
            page = await self._table.query("main", PARTITION, limit=PAGE, after=after)
            items += page.items
            after = page.cursor
            if after is None:
                break
        known = [
            Published(item["sk"], from_ms(item["seen"]), item.get("fetches", False))
            for item in items
        ]
        return sorted(known, key=lambda each: each.seen_at, reverse=True)

    async def remove(self, catalogue_id: str) -> None:
        await self._table.write(Delete((PARTITION, catalogue_id)))


def key_of(catalogue_id: str) -> str:
    return f"catalogues/{catalogue_id}.json.gz"

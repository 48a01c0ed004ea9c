"""The item ``STORE/KIND``: the kind of ComfyUI that a table's jobs are for."""

from contextlib import suppress
from dataclasses import dataclass

from comfyq.domain.store_kind import StoreKind
from comfyq.ports.table import ConditionFailed, Key, Put, Table

KEY: Key = ("STORE", "KIND")


@dataclass(frozen=True, slots=True)
class StoredKind:
    """A store's kind as it was read; ``version`` grows with every write."""

    kind: StoreKind | None = None  # None: no ComfyUI has worked here yet
    version: int | None = None


class StoreKindRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def read(self) -> StoredKind:
        """Return the store's kind as it is now, by a consistent read."""
        item = await self._table.get(KEY)
        return (
            StoredKind() if item is None else StoredKind(StoreKind(item["kind"]), item["version"])
        )

    async def kind(self) -> StoreKind | None:
        return (await self.read()).kind

    async def change(self, seen: StoredKind, new: StoreKind) -> None:
        """Make the store ``new`` unless it was written since ``seen``; who needs to know reads it
        again."""
        item = {"pk": KEY[0], "sk": KEY[1], "kind": str(new), "version": (seen.version or 0) + 1}
        with suppress(ConditionFailed):
            await self._table.write(Put(item, absent=seen.version is None, version=seen.version))

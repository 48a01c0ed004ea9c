"""The item ``STORE/KIND``: the kind of ComfyUI that a table's jobs are for."""

from contextlib import suppress

from comfyq.domain.store_kind import StoreKind
from comfyq.ports.table import ConditionFailed, Key, Put, Table

KEY: Key = ("STORE", "KIND")
VERSIONS = {None: 0, StoreKind.SIMULATED: 1, StoreKind.REAL: 2}  # it only grows


class StoreKindRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def kind(self) -> StoreKind | None:
        """Return it as it is now, by a consistent read; None: no ComfyUI has worked here yet."""
        item = await self._table.get(KEY)
        return None if item is None else StoreKind(item["kind"])

    async def change(self, old: StoreKind | None, new: StoreKind) -> None:
        """Make the store ``new`` if it is ``old``; who needs to know reads it again."""
        item = {"pk": KEY[0], "sk": KEY[1], "kind": str(new), "version": VERSIONS[new]}
        over = None if old is None else VERSIONS[old]
        with suppress(ConditionFailed):
            await self._table.write(Put(item, absent=old is None, version=over))

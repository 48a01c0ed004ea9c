"""What belongs to a tenant in partitions of its own, found by the item of each that the index
``tenant`` lists: batches, dead letters, announced files, keys of idempotency, reusable results."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from comfyq.domain.caller import TenantId
from comfyq.ports.table import MAX_WRITES, Delete, Table


@dataclass(frozen=True, slots=True)
class Portion:
    """What of a tenant's data one call has deleted."""

    deleted: int
    is_last: bool  # nothing else was seen


class TenantPartitions:
    """``listed_under`` names the tenant's partition of the index, without the tenant. ``first`` is
    called with the partition of each before that is deleted."""

    def __init__(
        self,
        table: Table,
        *,
        listed_under: str,
        first: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._table = table
        self._listed_under = listed_under
        self._first = first

    async def delete_some(self, tenant: TenantId, *, most: int) -> Portion:
        """Delete up to ``most`` of the tenant's partitions; the index lags."""
        partition = f"{self._listed_under}#{tenant}"
        page = await self._table.query("tenant", partition, limit=most)
        deleted = 0
        for item in page.items:
            deleted += await self._delete(item["pk"], item["sk"])
        return Portion(deleted, page.cursor is None)

    async def _delete(self, pk: str, listed_sk: str) -> bool:
        """Delete a partition, the listed item last, so that a deletion which was cut off finds it
        again; return whether it was there."""
        if await self._table.get((pk, listed_sk)) is None:
            return False
        if self._first is not None:
            await self._first(pk)
        while True:
            page = await self._table.query("main", pk, limit=MAX_WRITES - 1)
            keys = [(pk, item["sk"]) for item in page.items if item["sk"] != listed_sk]
            if page.cursor is None:
                await self._table.write(*map(Delete, keys), Delete((pk, listed_sk)))
                return True
            await self._table.write(*map(Delete, keys))

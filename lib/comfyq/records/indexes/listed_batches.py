"""A tenant's batches by age, as an index lists them, which lags behind the batches themselves."""

from collections.abc import Sequence

from comfyq.aio.tasks import limited
from comfyq.domain.caller import TenantId
from comfyq.domain.submission.batch import Batch
from comfyq.ports.table import Cursor, Table
from comfyq.records.batches.items import LISTED_UNDER, batch_of

AT_ONCE = 10  # batches of a page that are read at the same time


class ListedBatches:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def of_tenant(
        self, tenant: TenantId, *, limit: int, after: Cursor | None = None
    ) -> tuple[Sequence[Batch], Cursor | None]:
        """Return a page of a tenant's batches, newest first and without their refusals, and where
        the next page begins."""
        page = await self._table.query(
            "tenant", f"{LISTED_UNDER}#{tenant}", limit=limit, after=after, descending=True
        )
        keys = [(item["pk"], item["sk"]) for item in page.items]
        items = await limited(AT_ONCE, keys, self._table.get)
        return [batch_of(item, {}) for item in items.values() if item is not None], page.cursor

"""Numbers of jobs that wait for a worker, by tenant."""

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobStatus
from comfyq.ports.table import Cursor, Table
from comfyq.records.job_items import status_partition

PAGE = 1_000


class WaitingRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def count(self, tenant: TenantId, *, most: int) -> int:
        """Count a tenant's jobs that ComfyUI has not started, up to ``most``; the index lags."""
        partition = status_partition(tenant, JobStatus.QUEUED)
        counted = 0
        after: Cursor | None = None
        while counted < most:
            limit = min(PAGE, most - counted)
            page = await self._table.query("status", partition, limit=limit, after=after)
            counted, after = counted + len(page.items), page.cursor
            if after is None:
                break
        return counted

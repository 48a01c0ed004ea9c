"""Numbers of jobs that wait for a worker; the indexes that they are read from lag."""

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobStatus
from comfyq.ports.table import Cursor, Table
from comfyq.records.job_items import ASIDE_PARTITION, status_partition

PAGE = 1_000


class WaitingRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def count(self, tenant: TenantId, *, most: int) -> int:
        """Count a tenant's jobs that ComfyUI has not started, up to ``most``."""
        partition = status_partition(tenant, JobStatus.QUEUED)
        return await self._count("status", partition, most=most)

    async def count_aside(self, *, most: int) -> int:
        """Count the jobs that are set aside, up to ``most``."""
        return await self._count("ready", ASIDE_PARTITION, most=most)

    async def _count(self, index: str, partition: str, *, most: int) -> int:
        counted = 0
        after: Cursor | None = None
        while counted < most:
            limit = min(PAGE, most - counted)
            page = await self._table.query(index, partition, limit=limit, after=after)
            counted, after = counted + len(page.items), page.cursor
            if after is None:
                break
        return counted

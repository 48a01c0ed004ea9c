"""Jobs whose own receiver answered 410: ``JOB#id`` / ``HOOKGONE``, gone with their job or after
KEPT."""

from datetime import datetime, timedelta

from comfyq.domain.job import JobId
from comfyq.ports.table import Delete, Put, Table
from comfyq.records.times import to_ms

PLACE = "HOOKGONE"
KEPT = timedelta(days=7)  # a job that is deleted meanwhile leaves nothing behind for long


class GoneReceiverRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def note(self, job_id: JobId, *, now: datetime) -> None:
        """Note that nothing is to be sent to the URL of a job's own request any more."""
        ttl = to_ms(now + KEPT) // 1000
        await self._table.write(Put({"pk": f"JOB#{job_id}", "sk": PLACE, "ttl": ttl}))

    async def forget(self, job_id: JobId) -> None:
        """Let what is told of a job be sent again."""
        await self._table.write(Delete((f"JOB#{job_id}", PLACE)))

    async def has(self, job_id: JobId) -> bool:
        return await self._table.get((f"JOB#{job_id}", PLACE)) is not None

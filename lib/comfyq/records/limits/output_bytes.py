"""``MADE#tenant`` / day: the bytes of the outputs of jobs that ended on that day of UTC.

They are added right after a job's end is stored, and taken away after the job is deleted, so that
no end waits for another one of its tenant. What a crash in between leaves uncounted, or counted,
matters no more when the jobs of that day have been deleted: days before are not read.
"""

from collections.abc import Sequence
from datetime import UTC, timedelta

from comfyq.aio.logs import log
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import DomainError
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job
from comfyq.ports.clock import Clock
from comfyq.ports.table import MAX_WRITES, Delete, Table
from comfyq.records.times import to_ms

NO_BOUND = 2**53
KEPT = timedelta(days=12 * 366)  # longer than any job is kept
PAGE = 400  # days that one query reads


class OutputBytes:
    def __init__(self, table: Table, *, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def count(self, job: Job, outputs: Sequence[Output]) -> None:
        """Count the outputs of a job that has just succeeded."""
        await self._add(job, _bytes_of(outputs))

    async def uncount(self, job: Job, outputs: Sequence[Output]) -> None:
        """Count the outputs of a job no more that was deleted."""
        await self._add(job, -_bytes_of(outputs))

    async def of(self, tenant: TenantId, *, kept: timedelta) -> int:
        """Return the bytes of a tenant's outputs, whose jobs are kept for so long; raises
        TableUnavailable."""
        first = (self._clock.now() - kept).date() - timedelta(days=2)
        total, after = 0, None
        while True:
            page = await self._table.query(
                "main", _partition(tenant), above=first.isoformat(), limit=PAGE, after=after
            )
            total += sum(max(0, int(item["n"])) for item in page.items)
            if (after := page.cursor) is None:
                return total

    async def _add(self, job: Job, size: int) -> None:
        """Add to the day on which a job ended. If that fails, the job is stored or deleted all the
        same, which matters more."""
        if not size or job.ended_at is None:
            return
        key = (_partition(job.tenant), job.ended_at.astimezone(UTC).date().isoformat())
        ttl = to_ms(job.ended_at + KEPT) // 1000
        try:
            await self._table.add(key, size, most=NO_BOUND, ttl=ttl)
        except DomainError as away:
            log.warning("output_bytes_not_counted", job=job.id, bytes=size, reason=str(away))


async def forget_output_bytes(table: Table, tenant: TenantId) -> None:
    """Delete the numbers of a tenant of which no job is there any more."""
    while (page := await table.query("main", _partition(tenant), limit=MAX_WRITES)).items:
        await table.write(*(Delete((each["pk"], each["sk"])) for each in page.items))


def _bytes_of(outputs: Sequence[Output]) -> int:
    return sum(output.size for output in outputs if output.key)


def _partition(tenant: TenantId) -> str:
    return f"MADE#{tenant}"

"""What jobs ask for, as far as workers must know it to find waiting ones: model families, and
whether jobs are claimed in another order than their doorbells come in."""

from collections.abc import Sequence

from comfyq.domain.job import Job
from comfyq.domain.job.model import NORMAL_PRIORITY
from comfyq.ports.clock import Clock
from comfyq.ports.table import Put, Table
from comfyq.records.times import to_ms

FAMILIES = "FAMILY"
MOST = 200  # families that workers look for; jobs of others still come through the queue
LINES = "LINE"  # a tenant's jobs, and those of them with another priority
LINE_KEPT_S = 8 * 86_400  # no job waits for longer
LINE_NOTED_S = 86_400  # a process notes a line again after that time


class DemandRecords:
    def __init__(self, table: Table, *, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._families: set[str] = set()
        self._lines: dict[str, int] = {}  # when each was noted, epoch seconds

    async def note(self, job: Job) -> None:
        """Make known what a job asks for, before it is stored; costs a write for each family once
        in a process, and for each tenant once a day."""
        if job.family not in self._families:
            await self._table.write(Put({"pk": FAMILIES, "sk": job.family}))
            self._families.add(job.family)
        await self._note_line(job.tenant)
        if job.priority != NORMAL_PRIORITY:
            await self._note_line(f"{job.tenant}#priority")

    async def families(self) -> Sequence[str]:
        page = await self._table.query("main", FAMILIES, limit=MOST)
        return [item["sk"] for item in page.items]

    async def is_plain(self) -> bool:
        """Return whether all jobs are one tenant's and have the same priority: then the order of
        their doorbells will do."""
        return len((await self._table.query("main", LINES, limit=2)).items) < 2

    async def _note_line(self, line: str) -> None:
        now_s = to_ms(self._clock.now()) // 1000
        if now_s - self._lines.get(line, 0) >= LINE_NOTED_S:
            item = {"pk": LINES, "sk": line, "ttl": now_s + LINE_KEPT_S}
            await self._table.write(Put(item), synced=False)
            self._lines[line] = now_s

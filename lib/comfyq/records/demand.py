"""What jobs ask for, as far as workers must know it to find waiting ones: model families, and
whether jobs are claimed in another order than their doorbells come in."""

from collections.abc import Sequence
from dataclasses import replace

from comfyq.domain.caller import TenantId
from comfyq.domain.job import Job
from comfyq.domain.job.model import NORMAL_PRIORITY
from comfyq.ports.clock import Clock
from comfyq.ports.table import Item, Put, Table
from comfyq.records.times import to_ms

FAMILIES = "FAMILY"
OTHERS = "#others"  # the family of jobs whose own has no room in the list
MOST = 100  # families in the list, each of which workers look for at each choice
READ_MOST = 400  # more than MOST: processes that write at once exceed it, former versions did too
LINES = "LINE"  # a tenant's jobs, and those of them with another priority
KEPT_S = 8 * 86_400  # no job waits for longer
DATED_AT_ONCE = 25  # families that a former version has stored for ever
NOTED_S = 86_400  # a process notes a family or a line again after that time
REFUSED_S = 300  # a tenant's family that had no room is looked up again after that time
REFUSED = 1_000  # of them that are remembered


class DemandRecords:
    def __init__(self, table: Table, *, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._families: dict[str, int] = {}  # when each was noted, epoch seconds
        self._refused: dict[tuple[TenantId, str], int] = {}  # when each had no room
        self._lines: dict[str, int] = {}

    async def note(self, job: Job) -> Job:
        """Make known what a job asks for, before it is stored, and return it in the family that
        workers find it in; costs a read and a write for each family, and a write for each tenant,
        once a day in a process."""
        job = await self._placed(job)
        await self._note_line(job.tenant)
        if job.priority != NORMAL_PRIORITY:
            await self._note_line(f"{job.tenant}#priority")
        return job

    async def families(self) -> Sequence[str]:
        return [item["sk"] for item in await self._listed()]

    async def _listed(self) -> Sequence[Item]:
        return (await self._table.query("main", FAMILIES, limit=READ_MOST)).items

    async def _placed(self, job: Job) -> Job:
        if self._is_noted(self._families, job.family):
            return job
        if self._has_no_room(job) and self._is_noted(self._families, OTHERS):
            return replace(job, family=OTHERS)
        listed = await self._listed()
        await self._date([item for item in listed if "ttl" not in item])
        tenants = {item["sk"]: item.get("tenant") for item in listed}
        brought = sum(tenant == job.tenant for tenant in tenants.values())
        # As many as are free for others: each further tenant still finds room for some.
        is_full = brought >= MOST - len(tenants)
        if is_full and job.family not in tenants:
            self._refuse(job)
            job = replace(job, family=OTHERS)
        if not self._is_noted(self._families, job.family):
            tenant = tenants.get(job.family, job.tenant)
            await self._note(self._families, FAMILIES, job.family, tenant=tenant)
        return job

    def _has_no_room(self, job: Job) -> bool:
        return self._now_s() - self._refused.get((job.tenant, job.family), 0) < REFUSED_S

    def _refuse(self, job: Job) -> None:
        """Remember a tenant's family without room: each of its jobs would read the whole list."""
        self._refused.pop((job.tenant, job.family), None)
        self._refused[job.tenant, job.family] = self._now_s()
        if len(self._refused) > REFUSED:
            self._refused.pop(next(iter(self._refused)))

    async def _date(self, items: Sequence[Item]) -> None:
        """Let families end that a former version has stored for ever, some at each call."""
        ttl = self._now_s() + KEPT_S
        for item in items[:DATED_AT_ONCE]:
            await self._table.write(Put({**item, "ttl": ttl}), synced=False)

    async def is_plain(self) -> bool:
        """Return whether all jobs are one tenant's and have the same priority: then the order of
        their doorbells will do."""
        return len((await self._table.query("main", LINES, limit=2)).items) < 2

    async def tenants(self) -> Sequence[TenantId]:
        """Return the tenants that have had jobs lately, or the first two of more."""
        lines = (await self._table.query("main", LINES, limit=3)).items  # a tenant has two at most
        return [*dict.fromkeys(TenantId(line["sk"].partition("#")[0]) for line in lines)]

    async def _note_line(self, line: str) -> None:
        if not self._is_noted(self._lines, line):
            await self._note(self._lines, LINES, line, synced=False)

    def _is_noted(self, noted: dict[str, int], name: str) -> bool:
        return self._now_s() - noted.get(name, 0) < NOTED_S

    async def _note(
        self,
        noted: dict[str, int],
        partition: str,
        name: str,
        *,
        tenant: TenantId | None = None,
        synced: bool = True,
    ) -> None:
        now_s = self._now_s()
        item: Item = {"pk": partition, "sk": name, "ttl": now_s + KEPT_S}
        brought_by = {} if tenant is None else {"tenant": tenant}
        await self._table.write(Put({**item, **brought_by}), synced=synced)
        noted[name] = now_s

    def _now_s(self) -> int:
        return to_ms(self._clock.now()) // 1000

"""The limit on a tenant's jobs that workers hold at once: ``RUNNING#tenant``, which lists them.

A claim changes the list in its own transaction, so no more are ever held. An end does not: what is
listed and not held any more is dropped when the list is full.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from comfyq.aio.tasks import limited
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import TooManyRunning
from comfyq.domain.job import Job, JobId
from comfyq.ports.table import ConditionFailed, Delete, Item, Put, Table
from comfyq.records.job_items import meta_key

READS = 10  # listed jobs that are read at the same time


class RunningJobs:
    def __init__(self, table: Table, *, most_of: Callable[[TenantId], Awaitable[int]]) -> None:
        self._table = table
        self.most_of = most_of

    async def enter(self, job: Job) -> Put:
        """Return the write that lists a job, for the transaction of its claim.

        Raises:
            TooManyRunning: its tenant has as many as it may have.
        """
        most = await self.most_of(job.tenant)
        item = await self._table.get(_key(job.tenant))
        others = [each for each in _listed(item) if each != job.id]
        if len(others) >= most:
            others = await _held(self._table, others)
        if len(others) >= most:
            raise TooManyRunning(
                f"{len(others)} jobs of tenant {job.tenant} are with workers, as many as may be "
                f"at once ({most})"
            )
        pk, sk = _key(job.tenant)
        version = None if item is None else item["version"]
        listed = {"version": (version or 0) + 1, "most": most, "jobs": [*others, job.id]}
        return Put({"pk": pk, "sk": sk, **listed}, absent=item is None, version=version)

    async def are_full(self, tenant: TenantId) -> bool:
        """Return whether a tenant has as many as it may have."""
        most = await self.most_of(tenant)
        listed = _listed(await self._table.get(_key(tenant)))
        return len(listed) >= most and len(await _held(self._table, listed)) >= most


async def are_held_back(table: Table, tenant: TenantId) -> bool:
    """Return whether workers hold as many jobs of a tenant as they may, by the limit of the worker
    that claimed last: a process that claims nothing need not know it."""
    item = await table.get(_key(tenant))
    if item is None or "most" not in item:
        return False
    return len(await _held(table, _listed(item))) >= int(item["most"])


async def _held(table: Table, job_ids: Sequence[JobId]) -> list[JobId]:
    items = await limited(READS, job_ids, lambda job_id: table.get(meta_key(job_id)))
    return [job_id for job_id, item in items.items() if item is not None and "worker" in item]


def _listed(item: Item | None) -> Sequence[JobId]:
    return () if item is None else item["jobs"]


def _key(tenant: TenantId) -> tuple[str, str]:
    return f"RUNNING#{tenant}", "-"


async def forget_running(table: Table, tenant: TenantId) -> None:
    """Delete the list of a tenant of which no job is there any more, unless one is claimed now."""
    item = await table.get(_key(tenant))
    if item is not None:
        with suppress(ConditionFailed):
            await table.write(Delete(_key(tenant), version=item["version"]))

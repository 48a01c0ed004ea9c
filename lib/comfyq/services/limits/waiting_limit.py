"""The limit on a tenant's waiting jobs.

Counting reads an index entry a job, so a count serves until half of the room that it found is used
up by this process, and for some seconds: several processes at once may go a little over the limit.
"""

import asyncio
from dataclasses import dataclass, field
from time import monotonic

from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import TooLarge, TooManyWaiting
from comfyq.records.indexes.waiting_jobs import WaitingRecords
from comfyq.services.limits.tenant_limits import TenantLimits

COUNT_S = 5.0  # maximum age of a count
RECOUNT_S = 1.0  # a tenant without room is counted at most so often
RETRY_AFTER_S = 10
TENANTS = 1_000  # whose counts are remembered


@dataclass(slots=True)
class Count:
    """A tenant's waiting jobs at one time, and those that were accepted since."""

    counted: int = 0
    at: float = float("-inf")  # monotonic
    accepted: int = 0
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by the one who counts


class WaitingLimit:
    def __init__(
        self, *, waiting: WaitingRecords, limits: TenantLimits, count_s: float = COUNT_S
    ) -> None:
        self._waiting = waiting
        self._limits = limits
        self._count_s = count_s
        self._counts: dict[TenantId, Count] = {}

    async def require_possible(self, caller: Caller, jobs: int) -> None:
        """Raise TooLarge if ``jobs`` of the caller's tenant may never wait together."""
        limits = await self._limits.of(caller.tenant)
        if jobs > limits.waiting_jobs:
            raise TooLarge(
                f"{jobs} jobs at once are more than may wait, which is {limits.waiting_jobs} "
                f"({limits.source('waiting_jobs')}): send them in smaller batches"
            )

    async def acquire(self, caller: Caller, jobs: int = 1) -> None:
        """Make room for ``jobs`` of the caller's tenant, for all of them or none.

        Raises:
            TooManyWaiting: its waiting jobs and these are more than it may have.
        """
        limits = await self._limits.of(caller.tenant)
        cap, source = limits.waiting_jobs, limits.source("waiting_jobs")
        count = await self._counted(caller.tenant, jobs, cap)
        waiting = count.counted + count.accepted
        if waiting + jobs > cap:
            raise TooManyWaiting(
                f"{waiting} of your jobs wait already, and with {jobs} more they would be over "
                f"{cap} ({source}); send again when some have been run, or cancel some",
                retry_after_s=RETRY_AFTER_S,
            )
        count.accepted += jobs

    def release(self, tenant: TenantId, jobs: int) -> None:
        """Give up room that was made for jobs which were refused afterwards. If the tenant's jobs
        were counted meanwhile, that room is free already, and a little too much is given up."""
        if (count := self._counts.get(tenant)) is not None:
            count.accepted = max(0, count.accepted - jobs)

    async def used(self, tenant: TenantId) -> tuple[int, int]:
        """Return how many of a tenant's jobs wait, up to how many may, and how many may."""
        cap = (await self._limits.of(tenant)).waiting_jobs
        count = await self._counted(tenant, 0, cap)
        return min(cap, count.counted + count.accepted), cap

    async def _counted(self, tenant: TenantId, jobs: int, cap: int) -> Count:
        """Return a count that serves for ``jobs`` more."""
        count = self._count_of(tenant)
        if self._is_stale(count, jobs, cap):
            async with count.counting:
                if self._is_stale(count, jobs, cap):  # else another request has counted meanwhile
                    await self._recount(tenant, count, cap)
        return count

    def _is_stale(self, count: Count, jobs: int, cap: int) -> bool:
        """Return whether to count again: sooner if half of the room that was found is used up."""
        is_short = 2 * (count.accepted + jobs) > cap - count.counted
        most_age_s = min(RECOUNT_S, self._count_s) if is_short else self._count_s
        return monotonic() - count.at >= most_age_s

    def _count_of(self, tenant: TenantId) -> Count:
        if (count := self._counts.get(tenant)) is None:
            while len(self._counts) >= TENANTS:
                self._counts.pop(next(iter(self._counts)))
            self._counts[tenant] = count = Count()
        return count

    async def _recount(self, tenant: TenantId, count: Count, cap: int) -> None:
        accepted_before = count.accepted
        count.counted = await self._waiting.count(tenant, most=cap)
        count.accepted -= accepted_before  # those that were accepted meanwhile may not be counted
        count.at = monotonic()

"""The limit on a tenant's waiting jobs.

Counting reads an index entry a job, so a count serves until half of the room that it found is used
up by this process, and for some seconds: several processes at once may go a little over the limit.
"""

from dataclasses import dataclass
from time import monotonic

from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import TooManyWaiting
from comfyq.records.waiting_jobs import WaitingRecords

COUNT_S = 5.0  # maximum age of a count
RECOUNT_S = 1.0  # a tenant without room is counted at most so often
RETRY_AFTER_S = 10
TENANTS = 1_000  # whose counts are remembered


@dataclass(slots=True)
class Count:
    """A tenant's waiting jobs at one time, and those that were accepted since."""

    counted: int
    at: float  # monotonic
    accepted: int = 0


class WaitingLimit:
    def __init__(self, *, waiting: WaitingRecords, cap: int, count_s: float = COUNT_S) -> None:
        self._waiting = waiting
        self._cap = cap
        self._count_s = count_s
        self._counts: dict[TenantId, Count] = {}

    async def acquire(self, caller: Caller, jobs: int = 1) -> None:
        """Make room for ``jobs`` of the caller's tenant, for all of them or none.

        Raises:
            TooManyWaiting: its waiting jobs and these are more than it may have.
        """
        count = self._counts.get(caller.tenant)
        if count is None or self._is_stale(count, jobs):
            count = await self._recount(caller.tenant)
        waiting = count.counted + count.accepted
        if waiting + jobs > self._cap:
            raise TooManyWaiting(
                f"{waiting} of your jobs wait already, and with {jobs} more they would be over "
                f"{self._cap} (COMFYQ_WAITING_JOBS); send again when some have been run, "
                "or cancel some",
                retry_after_s=RETRY_AFTER_S,
            )
        count.accepted += jobs

    def _is_stale(self, count: Count, jobs: int) -> bool:
        age_s = monotonic() - count.at
        if count.counted + count.accepted + jobs > self._cap:
            return age_s >= min(RECOUNT_S, self._count_s)
        used_up = 2 * (count.accepted + jobs) > self._cap - count.counted
        return age_s >= self._count_s or (used_up and age_s >= min(RECOUNT_S, self._count_s))

    async def _recount(self, tenant: TenantId) -> Count:
        counted = await self._waiting.count(tenant, most=self._cap)
        while len(self._counts) >= TENANTS:
            self._counts.pop(next(iter(self._counts)))
        self._counts[tenant] = count = Count(counted, monotonic())
        return count

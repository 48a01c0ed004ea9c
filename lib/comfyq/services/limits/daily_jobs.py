"""The limit on the jobs that a tenant may have made in a day of UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import DailyJobsUsedUp, TooLarge
from comfyq.ports.clock import Clock
from comfyq.records.limits.used import UsedRecords
from comfyq.services.limits.tenant_limits import TenantLimits


@dataclass(frozen=True, slots=True)
class Today:
    """A tenant's jobs of the day that runs."""

    limit: int | None  # None: there is none, and nobody counts
    used: int | None
    ends_at: datetime


class DailyJobs:
    """Counts jobs by one conditional write where there is a limit, and by none without."""

    def __init__(self, *, records: UsedRecords, limits: TenantLimits, clock: Clock) -> None:
        self._records = records
        self._limits = limits
        self._clock = clock

    async def count(self, caller: Caller, jobs: int) -> None:
        """Count ``jobs`` of the caller's tenant, all of them or none.

        Raises:
            DailyJobsUsedUp: they and those before are more than it may make today.
            TooLarge: they alone are more than it may make a day.
        """
        tenant, now = caller.tenant, self._clock.now()
        limit = (await self._limits.of(tenant)).jobs_per_day
        if limit is None:
            return
        if jobs > limit:
            raise TooLarge(
                f"{jobs} jobs at once are more than your tenant may make a day, which is {limit} "
                "(COMFYQ_JOBS_PER_DAY): send them in smaller batches, on several days"
            )
        used, counted = await self._records.count_jobs(tenant, jobs, most=limit, now=now)
        if counted:
            return
        wait_s = -((now - _end_of(now)) // timedelta(seconds=1))
        raise DailyJobsUsedUp(
            f"your tenant has made {used} of the {limit} jobs that it may make a day "
            f"(COMFYQ_JOBS_PER_DAY), too many for {jobs} more; the next day begins in {wait_s} s, "
            "at 00:00 UTC",
            retry_after_s=wait_s,
        )

    async def uncount(self, caller: Caller, jobs: int) -> None:
        """Take back the count of jobs that were not made after all."""
        now = self._clock.now()
        if (await self._limits.of(caller.tenant)).jobs_per_day is not None:
            await self._records.count_jobs(caller.tenant, -jobs, most=2**53, now=now)

    async def today(self, tenant: TenantId) -> Today:
        """Read how many jobs a tenant has made today."""
        now = self._clock.now()
        limit = (await self._limits.of(tenant)).jobs_per_day
        used = None if limit is None else await self._records.jobs_of(tenant, now.date())
        return Today(limit, used, _end_of(now))


def _end_of(now: datetime) -> datetime:
    """Return when the day of UTC ends."""
    return datetime.combine(now.date(), datetime.min.time(), now.tzinfo) + timedelta(days=1)

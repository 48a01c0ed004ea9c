"""The limit on the jobs that a tenant may have made in a day of UTC."""

from dataclasses import dataclass
from datetime import date, datetime

from comfyq.aio.logs import log
from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import DailyJobsUsedUp, DomainError, TooLarge
from comfyq.domain.token_bucket import seconds
from comfyq.ports.clock import Clock
from comfyq.records.limits.used import UsedRecords, end_of, to_us
from comfyq.services.limits.tenant_limits import TenantLimits


@dataclass(frozen=True, slots=True)
class Today:
    """A tenant's jobs of the day that runs."""

    limit: int | None  # None: there is none, and nobody counts
    used: int | None
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class CountedJobs:
    """Jobs that were counted before they were stored."""

    records: UsedRecords
    tenant: TenantId
    day: date | None  # in which they were counted; None: there was no limit, and nobody counted

    async def take_back(self, jobs: int) -> None:
        """Count those no more that were not stored after all. If that fails they stay counted: the
        caller has an answer to give that matters more."""
        if not jobs or self.day is None:
            return
        try:
            await self.records.uncount_jobs(self.tenant, jobs, day=self.day)
        except DomainError as away:
            log.warning("jobs_still_counted", tenant=self.tenant, jobs=jobs, reason=str(away))


class DailyJobs:
    """Counts jobs by one conditional write where there is a limit, and by none without."""

    def __init__(self, *, records: UsedRecords, limits: TenantLimits, clock: Clock) -> None:
        self._records = records
        self._limits = limits
        self._clock = clock

    async def require_possible(self, caller: Caller, jobs: int) -> None:
        """Raise TooLarge if the caller's tenant may make ``jobs`` on no day."""
        limits = await self._limits.of(caller.tenant)
        limit, source = limits.jobs_per_day, limits.source("jobs_per_day")
        if limit is not None and jobs > limit:
            raise TooLarge(
                f"{jobs} jobs at once are more than your tenant may make a day, which is {limit} "
                f"({source}): send them in smaller batches, on several days"
            )

    async def count(self, caller: Caller, jobs: int) -> CountedJobs:
        """Count ``jobs`` of the caller's tenant, all of them or none.

        Raises:
            DailyJobsUsedUp: they and those before are more than it may make today.
        """
        tenant, now = caller.tenant, self._clock.now()
        limits = await self._limits.of(tenant)
        limit, source = limits.jobs_per_day, limits.source("jobs_per_day")
        if limit is None:
            return CountedJobs(self._records, tenant, None)
        day = now.date()
        used, counted = await self._records.count_jobs(tenant, jobs, most=limit, day=day)
        if counted:
            return CountedJobs(self._records, tenant, day)
        wait_s = seconds(to_us(end_of(day)) - to_us(now))
        raise DailyJobsUsedUp(
            f"your tenant has made {used} of the {limit} jobs that it may make a day "
            f"({source}), too many for {jobs} more; the next day begins in {wait_s} s, "
            "at 00:00 UTC",
            retry_after_s=wait_s,
        )

    async def today(self, tenant: TenantId) -> Today:
        """Read how many jobs a tenant has made today."""
        day = self._clock.now().date()
        limit = (await self._limits.of(tenant)).jobs_per_day
        used = None if limit is None else await self._records.jobs_of(tenant, day)
        return Today(limit, used, end_of(day))

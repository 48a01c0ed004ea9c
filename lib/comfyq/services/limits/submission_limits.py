"""All limits on what a tenant may submit."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import DomainError, StaleJob, TooLarge
from comfyq.records.idempotency import KeyTaken
from comfyq.records.retry_notes import AlreadyRetried
from comfyq.services.limits.daily_jobs import CountedJobs, DailyJobs
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.services.limits.tenant_limits import TenantLimits
from comfyq.services.limits.waiting_limit import WaitingLimit

NOT_STORED = (KeyTaken, StaleJob, AlreadyRetried, TooLarge)  # by these nothing was stored


class SubmissionLimits:
    """Asked before a request is read, and once more before its jobs are stored."""

    def __init__(
        self, *, tenants: TenantLimits, rate: RateLimit, waiting: WaitingLimit, daily: DailyJobs
    ) -> None:
        self._tenants = tenants
        self.rate = rate
        self.waiting = waiting
        self.daily = daily

    async def require_open(self, tenant: TenantId) -> None:
        """Raise DataBeingDeleted while all data of the tenant is being deleted."""
        await self._tenants.require_open(tenant)

    async def admit(self, caller: Caller, requests: int = 1, *, queued: bool = False) -> None:
        """Count requests, and make room for their jobs to wait.

        Those that come from a queue (``queued``) were accepted by it: the rate does not apply.

        Raises:
            RateLimited: too many were sent; TooManyWaiting: too many of the tenant's jobs wait.
            TooLarge: they are more than may ever wait.
        """
        if not queued:
            await self.rate.acquire(caller, requests)
        await self.waiting.acquire(caller, requests)

    @contextmanager
    def released(self, caller: Caller, jobs: int = 1) -> Iterator[None]:
        """Give up the room of jobs, for which ``admit`` has made it, if they are refused inside."""
        try:
            yield
        except (DomainError, *NOT_STORED):
            self.waiting.release(caller.tenant, jobs)
            raise

    @asynccontextmanager
    async def counted(self, caller: Caller, jobs: int = 1) -> AsyncIterator[CountedJobs]:
        """Count jobs that are stored inside, if they are stored there for the first time.

        Raises:
            DailyJobsUsedUp, TooLarge: they would be too many for today, or for any day.
        """
        with self.released(caller, jobs):
            counted = await self.daily.count(caller, jobs)
            try:
                yield counted
            except NOT_STORED:
                await counted.take_back(jobs)
                raise

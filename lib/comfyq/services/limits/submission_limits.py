"""All limits on what a tenant may submit."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import DomainError, StaleJob, TooLarge
from comfyq.records.idempotency import KeyTaken
from comfyq.records.retry_notes import AlreadyRetried
from comfyq.services.limits.daily_jobs import CountedJobs, DailyJobs
from comfyq.services.limits.output_limit import OutputLimit
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.services.limits.tenant_limits import TenantLimits
from comfyq.services.limits.waiting_limit import WaitingLimit

NOT_STORED = (KeyTaken, StaleJob, AlreadyRetried, TooLarge)  # by these nothing was stored


class SubmissionLimits:
    """Asked before a request is read, and once more before its jobs are stored."""

    def __init__(
        self,
        *,
        tenants: TenantLimits,
        rate: RateLimit,
        waiting: WaitingLimit,
        daily: DailyJobs,
        outputs: OutputLimit,
    ) -> None:
        self._tenants = tenants
        self.rate = rate
        self.waiting = waiting
        self.daily = daily
        self.outputs = outputs

    async def require_open(self, tenant: TenantId) -> None:
        """Raise DataBeingDeleted while all data of the tenant is being deleted."""
        await self._tenants.require_open(tenant)

    async def admit(self, caller: Caller, requests: int = 1, *, queued: bool = False) -> None:
        """Make room for the jobs of requests to wait, and count the requests: what is refused for
        want of room counts towards no rate.

        Those that come from a queue (``queued``) were accepted by it: the rate does not apply.

        Raises:
            TooLarge: they are more than may ever wait, or be made in a day.
            OutputsFull: the outputs of the tenant's jobs take as many bytes as they may.
            RateLimited: too many were sent; TooManyWaiting: too many of the tenant's jobs wait.
        """
        await self.waiting.require_possible(caller, requests)
        await self.daily.require_possible(caller, requests)
        await self.outputs.require_room(caller.tenant)
        if not queued:  # a client that is known to send too much makes nobody count waiting jobs
            await self.rate.require_room(caller, requests)
        await self.waiting.acquire(caller, requests)
        if not queued:
            with self.released(caller, requests):
                await self.rate.acquire(caller, requests)

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
            DailyJobsUsedUp: they would be too many for today.
        """
        with self.released(caller, jobs):
            counted = await self.daily.count(caller, jobs)
            try:
                yield counted
            except NOT_STORED:
                await counted.take_back(jobs)
                raise

"""The limits on what a tenant may submit: requests a minute, and waiting jobs."""

from comfyq.aio.tasks import all_of
from comfyq.domain.caller import Caller
from comfyq.domain.errors import RateLimited
from comfyq.ports.clock import Clock
from comfyq.records.limits.request_counts import RequestCounts
from comfyq.records.times import to_ms
from comfyq.services.jobs.waiting_limit import WaitingLimit

WINDOW_S = 60


class RateLimit:
    """Count each tenant's requests in windows of a minute, one atomic update a request."""

    def __init__(
        self,
        *,
        counts: RequestCounts,
        clock: Clock,
        requests_per_minute: int | None,
        waiting: WaitingLimit,
    ) -> None:
        self._counts = counts
        self._clock = clock
        self._cap = requests_per_minute  # None: there is no limit
        self.waiting = waiting

    async def admit(self, caller: Caller, jobs: int = 1) -> None:
        """Count ``jobs`` requests of the caller's tenant, and make room for them to wait.

        Raises:
            RateLimited: see ``acquire``; TooManyWaiting: too many of its jobs wait.
        """
        await self.acquire(caller, jobs)
        await self.waiting.acquire(caller, jobs)

    async def acquire(self, caller: Caller, requests: int = 1) -> None:
        """Count ``requests`` for the caller's tenant.

        Raises:
            RateLimited: the tenant has used up what it may send in this minute.
        """
        if self._cap is None:
            return
        now_s = to_ms(self._clock.now()) // 1000
        window = now_s // WINDOW_S
        ends_s = (window + 1) * WINDOW_S
        counts = (
            self._counts.count(caller.tenant, window=window, cap=self._cap, ttl=ends_s)
            for _ in range(requests)
        )
        if not all(await all_of(counts)):
            message = f"more than {self._cap} requests in this minute; wait until it is over"
            raise RateLimited(message, retry_after_s=ends_s - now_s)

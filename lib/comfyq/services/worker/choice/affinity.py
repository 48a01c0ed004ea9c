"""Choosing a waiting job by the models that ComfyUI holds.

The choice reads the table, not the queue, so no message is received only to be put back. The
chosen job is claimed like any other; its doorbell is dropped when it arrives.
"""

from datetime import timedelta

from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.services.worker.choice.ready_jobs import ReadyJobs


class Affinity:
    """Prefer jobs of the family that was claimed last, until others have waited too long."""

    def __init__(self, *, ready: ReadyJobs, clock: Clock, max_wait_s: float) -> None:
        self._ready = ready
        self._clock = clock
        self._max_wait = timedelta(seconds=max_wait_s)
        self._family: str | None = None

    def loaded(self, family: str) -> None:
        """Note that ComfyUI loads this family's models."""
        self._family = family

    async def choose(self) -> JobId | None:
        """Return a job to claim before the queue is polled; None if the queue's order will do.

        That is so while only one family waits. A job of another family that has waited for
        ``max_wait_s`` comes first.
        """
        if self._family is None:
            return None
        others = [family for family in await self._ready.families() if family != self._family]
        longest = await self._ready.oldest(others)
        if longest is None:
            return None
        if self._clock.now() - longest.since >= self._max_wait:
            return longest.id
        fitting = await self._ready.oldest([self._family])
        return fitting.id if fitting else None

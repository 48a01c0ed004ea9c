"""Choosing a waiting job by the models that ComfyUI holds.

The choice reads the table, not the queue, so no message is received only to be put back. The
chosen job is claimed like any other; its doorbell is dropped when it arrives.
"""

from collections.abc import Sequence
from datetime import timedelta
from time import monotonic

from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.records.families import FamilyRecords
from comfyq.records.jobs import JobRecords, Waiting

FAMILIES_S = 5.0  # maximum age of the cached list of families


class Affinity:
    """Prefer jobs of the family that was claimed last, until others have waited too long."""

    def __init__(
        self,
        *,
        records: JobRecords,
        families: FamilyRecords,
        clock: Clock,
        max_wait_s: float,
    ) -> None:
        self._records = records
        self._families = families
        self._clock = clock
        self._max_wait = timedelta(seconds=max_wait_s)
        self._family: str | None = None
        self._known: Sequence[str] = ()
        self._known_at = float("-inf")

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
        others = [family for family in await self._families_known() if family != self._family]
        oldest = [job for family in others if (job := await self._oldest(family)) is not None]
        if not oldest:
            return None
        longest = min(oldest, key=lambda job: job.since)
        if self._clock.now() - longest.since >= self._max_wait:
            return longest.id
        fitting = await self._oldest(self._family)
        return fitting.id if fitting else None

    async def _oldest(self, family: str) -> Waiting | None:
        """Return the longest waiting job of a family."""
        return next(iter(await self._records.ready(family, limit=1)), None)

    async def _families_known(self) -> Sequence[str]:
        if monotonic() - self._known_at > FAMILIES_S:
            self._known = await self._families.known()
            self._known_at = monotonic()
        return self._known

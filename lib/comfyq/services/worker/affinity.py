"""Choosing a waiting job by the models that ComfyUI holds.

The choice is made from the table, not from the queue: nothing is received only to be put back.
The claim of what was chosen is the ordinary one; its doorbell is dropped when it comes.
"""

from collections.abc import Sequence
from datetime import timedelta
from time import monotonic

from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.records.families import FamilyRecords
from comfyq.records.jobs import JobRecords, Waiting
from comfyq.services.worker.capabilities import Capabilities

MOST_DECLINED = 24  # waiting jobs that are looked past, of one family
FAMILIES_S = 5.0  # the list of families may be that old


class Affinity:
    """Prefers jobs of the family that was claimed last, within a bound of fairness."""

    def __init__(
        self,
        *,
        records: JobRecords,
        families: FamilyRecords,
        capabilities: Capabilities,
        clock: Clock,
        max_wait_s: float,
    ) -> None:
        self._records = records
        self._families = families
        self._capabilities = capabilities
        self._clock = clock
        self._max_wait = timedelta(seconds=max_wait_s)
        self._family: str | None = None
        self._known: Sequence[str] = ()
        self._known_at = float("-inf")

    def loaded(self, family: str) -> None:
        """ComfyUI will hold this family's models."""
        self._family = family

    async def choose(self) -> JobId | None:
        """A job to claim before the queue is asked; None: any that the queue rings for is right.

        While one family alone waits, the queue's order is as good. A job of another family that
        has been passed over for ``max_wait_s`` comes first.
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
        """The one that has waited longest of those that this ComfyUI may run."""
        declined = min(self._capabilities.declined, MOST_DECLINED)
        for job in await self._records.ready(family, limit=1 + declined):
            if not self._capabilities.declines(job.id):
                return job
        return None

    async def _families_known(self) -> Sequence[str]:
        if monotonic() - self._known_at > FAMILIES_S:
            self._known = await self._families.known()
            self._known_at = monotonic()
        return self._known

"""Reading the jobs that any worker may claim, by model family."""

from collections.abc import Iterable, Sequence
from time import monotonic

from comfyq.records.families import FamilyRecords
from comfyq.records.indexes.listed_jobs import Waiting
from comfyq.records.jobs import JobRecords

FAMILIES_S = 5.0  # maximum age of the cached list of families


class ReadyJobs:
    def __init__(self, *, records: JobRecords, families: FamilyRecords) -> None:
        self._records = records
        self._families = families
        self._known: Sequence[str] = ()
        self._known_at = float("-inf")

    async def families(self) -> Sequence[str]:
        """Return the families that jobs have asked for."""
        if monotonic() - self._known_at > FAMILIES_S:
            self._known = await self._families.known()
            self._known_at = monotonic()
        return self._known

    async def oldest(self, families: Iterable[str]) -> Waiting | None:
        """Return the longest waiting job of these families."""
        oldest = [job for each in families for job in await self._records.ready(each, limit=1)]
        return min(oldest, key=lambda job: job.since, default=None)

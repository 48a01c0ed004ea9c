"""Choosing among a tenant's waiting jobs by the models that ComfyUI holds."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from comfyq.records.indexes.ready_jobs import Waiting


class Affinity:
    """Prefer jobs of the family that was claimed last, until others have waited too long."""

    def __init__(self, *, max_wait_s: float) -> None:
        self._max_wait = timedelta(seconds=max_wait_s)
        self.family: str | None = None  # whose models ComfyUI loads

    def best(self, jobs: Sequence[Waiting], *, now: datetime) -> Waiting:
        """Return the job to claim next of one tenant's, which are in order.

        It is the first of the family that is loaded, unless the first of all has a higher priority
        or has waited for ``max_wait_s``.
        """
        first = jobs[0]
        fitting = next((job for job in jobs if job.family == self.family), first)
        if first.lead > fitting.lead or now - first.since >= self._max_wait:
            return first
        return fitting

"""The jobs of a tenant that a client asks to see in a list."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from comfyq.domain.job import Job, JobStatus
from comfyq.domain.submission.batch import BatchId


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What jobs have in common; a job must have all of it."""

    statuses: frozenset[JobStatus] | None = None
    workflow: str | None = None
    batch: BatchId | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None  # created then or later
    before: datetime | None = None

    def has(self, job: Job) -> bool:
        """Return whether a job is selected, its batch aside, which the job does not know."""
        return (
            (self.statuses is None or job.status in self.statuses)
            and self.workflow in (None, job.workflow)
            and self.labels.items() <= job.labels.items()
            and (self.since is None or job.created_at >= self.since)
            and (self.before is None or job.created_at < self.before)
        )


EVERY = Selection()

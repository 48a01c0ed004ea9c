"""How far a batch has come, from the jobs in the places of its requests."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from comfyq.domain.job import Job
from comfyq.domain.job.shown_status import STATUSES
from comfyq.domain.submission.batch import Batch, BatchId

GOING_ON = ("queued", "running")
REFUSED, GONE = "refused", "gone"


@dataclass(frozen=True, slots=True)
class BatchProgress:
    batch_id: BatchId
    size: int  # requests
    counts: Mapping[str, int]  # requests by the status of their job, or "refused" or "gone"
    progress: float  # mean of its requests
    seq: int  # sum of its jobs' versions: grows with each change, falls if one of them is deleted

    @property
    def done(self) -> bool:
        return not any(self.counts.get(status) for status in GOING_ON)


def progress_of(batch: Batch, jobs: Mapping[int, Job]) -> BatchProgress:
    """Return a batch's progress; a request without a job was refused, or its job is gone."""
    counts = Counter[str](STATUSES[job.status] for job in jobs.values())
    counts[REFUSED] = sum(index not in jobs for index in batch.refusals)
    counts[GONE] = batch.size - len(jobs) - counts[REFUSED]
    left = sum(1 - _share(job) for job in jobs.values())
    return BatchProgress(
        batch_id=batch.id,
        size=batch.size,
        counts=counts,
        progress=max(0.0, 1 - left / batch.size),
        seq=sum(job.version for job in jobs.values()),
    )


def _share(job: Job) -> float:
    return 1.0 if job.status.terminal else job.progress.fraction

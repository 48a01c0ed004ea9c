"""How far a batch has come, from the jobs in the places of its requests."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from comfyq.domain.job import Job
from comfyq.domain.job.shown_status import STATUSES
from comfyq.domain.submission.batch import Batch, BatchId

GOING_ON = ("queued", "running")
QUEUED, REFUSED, GONE = "queued", "refused", "gone"

GONE_SEQ = 10**9  # more than the version that a job comes to; a retry begins above that of its job
BATCH_SEQ = 10**12  # more than all jobs of a batch; below 2**53 for the first 9,000 versions


@dataclass(frozen=True, slots=True)
class BatchProgress:
    batch_id: BatchId
    size: int  # requests
    counts: Mapping[str, int]  # requests by the status of their job, or "refused" or "gone"
    progress: float  # mean of its requests
    seq: int  # grows with each change

    @property
    def done(self) -> bool:
        return not any(self.counts.get(status) for status in GOING_ON)


def progress_of(batch: Batch, jobs: Mapping[int, Job]) -> BatchProgress:
    """Return a batch's progress, from the newest job of each request.

    A request without a job was refused, or its job is gone; while the batch is being stored, the
    job waits to be.
    """
    counts = Counter[str](STATUSES[job.status] for job in jobs.values())
    counts[REFUSED] = sum(index not in jobs for index in batch.refusals)
    missing = batch.size - len(jobs) - counts[REFUSED]
    counts[QUEUED if batch.storing else GONE] += missing
    left = sum(1 - _share(job) for job in jobs.values())
    left += missing if batch.storing else 0
    return BatchProgress(
        batch_id=batch.id,
        size=batch.size,
        counts=counts,
        progress=max(0.0, 1 - left / batch.size),
        seq=_seq(batch, jobs, gone=counts[GONE]),
    )


def _seq(batch: Batch, jobs: Mapping[int, Job], *, gone: int) -> int:
    """Return a number that grows when a job changes, is tried again, or is deleted, and when the
    batch does; it falls only if a retry is deleted, because the job before it is shown again."""
    versions = sum(job.version for job in jobs.values())
    return batch.version * BATCH_SEQ + gone * GONE_SEQ + versions


def _share(job: Job) -> float:
    return 1.0 if job.status.terminal else job.progress.fraction

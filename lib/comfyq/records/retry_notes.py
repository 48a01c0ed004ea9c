"""Retries: ``JOB#id`` / ``RETRY`` names the job that does a job's work again.

It is written in the transaction of that job and deleted with it or with the earlier job, so a job
has one retry at most; a further one is the retry of the newest.
"""

from collections.abc import Sequence
from typing import Any

from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import Retried
from comfyq.ports.table import ConditionFailed, Key, Put

RETRY = "RETRY"


class AlreadyRetried(Exception):
    """Another retry of the same job was stored first."""

    def __init__(self, job_id: JobId) -> None:
        super().__init__(job_id)
        self.job_id = job_id


def retry_key(job_id: JobId) -> Key:
    return f"JOB#{job_id}", RETRY


def retry_puts(job: Job, batch_id: str | None = None) -> list[Put]:
    """Return what is stored beside a new job: if it is a retry, the note at the earlier job."""
    if job.retry_of is None:
        return []
    pk, sk = retry_key(job.retry_of)
    batch = {} if batch_id is None else {"batch": batch_id}
    return [Put({"pk": pk, "sk": sk, "job": job.id, **batch}, absent=True)]


def raise_if_retried(refused: ConditionFailed, job: Job, *, position: int) -> None:
    """Raise AlreadyRetried if another job's note stood at ``position`` of the refused writes."""
    note = refused.found.get(position)
    if job.retry_of is not None and note is not None and note["job"] != job.id:
        raise AlreadyRetried(JobId(note["job"])) from refused


def retried_values(retried: Retried | None) -> dict[str, object]:
    if retried is None:
        return {}
    return {"retried": [retried.batch_id, retried.size, list(retried.indexes)]}


def retried_of(stored: Sequence[Any] | None) -> Retried | None:
    if stored is None:
        return None
    batch_id, size, indexes = stored
    return Retried(batch_id, int(size), tuple(map(int, indexes)))

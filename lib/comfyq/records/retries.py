"""Retries of jobs, found by the notes that are stored with them."""

from dataclasses import dataclass

from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.retry import UNSUCCESSFUL
from comfyq.ports.table import Table
from comfyq.records.jobs import JobRecords
from comfyq.records.retry_notes import retry_key


@dataclass(frozen=True, slots=True)
class NewestJob:
    """The newest job that does some work; ``batch`` is the batch that it was made with, if it is
    the retry of a batch's job."""

    job: Job
    batch: BatchId | None = None


class RetryRecords:
    """Find the retries of jobs."""

    def __init__(self, table: Table, jobs: JobRecords) -> None:
        self._table = table
        self._jobs = jobs

    async def newest(self, job: Job) -> NewestJob:
        """Return the last retry of retries of a job; the job itself if it was not tried again."""
        newest = NewestJob(job)
        while newest.job.status in UNSUCCESSFUL:
            note = await self._table.get(retry_key(newest.job.id))
            if note is None:
                break
            try:
                newest = NewestJob(await self._jobs.get(JobId(note["job"])), note.get("batch"))
            except JobNotFound:
                break  # it is being deleted
        return newest

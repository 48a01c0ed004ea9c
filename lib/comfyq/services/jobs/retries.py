"""Trying jobs again that have ended without results: as new jobs, which name the old ones."""

import hashlib
from collections.abc import Sequence

from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller
from comfyq.domain.errors import NotRetriable
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.retry import UNSUCCESSFUL, Retry, retry_of
from comfyq.services.jobs.accepted import Accepted
from comfyq.services.jobs.batch_submission import BatchAccepted, BatchSubmission
from comfyq.services.jobs.batches import Batches
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.jobs.submission import Submission

AT_ONCE = 10  # jobs of a batch that are read at the same time


class Retries:
    def __init__(
        self,
        *,
        queries: JobQueries,
        submission: Submission,
        batches: Batches,
        batch_submission: BatchSubmission,
    ) -> None:
        self._queries = queries
        self._submission = submission
        self._batches = batches
        self._batch_submission = batch_submission

    async def retry(
        self, caller: Caller, job_id: JobId, *, idempotency_key: str | None = None
    ) -> Accepted:
        """Accept a new job that does the work of one that failed or was canceled.

        Raises:
            JobNotFound.
            NotRetriable: the job goes on, has succeeded, or was refused.
            RateLimited, IdempotencyMismatch, InvalidParameters, TableUnavailable: as a submission.
        """
        retry = await self._retry_of(await self._queries.get(caller, job_id))
        return await self._submission.submit(caller, retry, idempotency_key=idempotency_key)

    async def retry_batch(
        self, caller: Caller, batch_id: BatchId, *, idempotency_key: str | None = None
    ) -> BatchAccepted:
        """Accept a new batch of those jobs of a batch that failed or were canceled.

        Raises:
            BatchNotFound.
            NotRetriable: none of them has.
            RateLimited, IdempotencyMismatch, InvalidParameters, TableUnavailable: as a submission.
        """
        state = await self._batches.get(caller, batch_id)
        jobs = [job for _, job in sorted(state.jobs.items()) if job.status in UNSUCCESSFUL]
        if not jobs:
            raise NotRetriable(
                f"no job of batch {batch_id} has failed or was canceled; jobs that go on, have "
                "succeeded or were refused are not tried again"
            )
        retries = await limited(AT_ONCE, range(len(jobs)), lambda n: self._retry_of(jobs[n]))
        return await self._batch_submission.submit(
            caller,
            list(retries.values()),
            digest=_digest_of(batch_id, jobs),
            idempotency_key=idempotency_key,
        )

    async def _retry_of(self, job: Job) -> Retry:
        spec, _ = await self._queries.request_and_outputs(job)
        return retry_of(job, spec)


def _digest_of(batch_id: BatchId, jobs: Sequence[Job]) -> str:
    """Hash a batch's retry; it is another one once more of the jobs have failed."""
    text = "\n".join((f"retry of batch {batch_id}", *(job.id for job in jobs)))
    return hashlib.sha256(text.encode()).hexdigest()

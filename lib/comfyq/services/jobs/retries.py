"""Trying jobs again that have ended without results: as new jobs, which name the old ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller
from comfyq.domain.errors import NotRetriable
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import Batch, BatchId, Retried
from comfyq.domain.submission.retry import UNSUCCESSFUL, Retry, retry_of
from comfyq.records.jobs import JobRecords
from comfyq.records.retries import RetryRecords
from comfyq.records.retry_notes import AlreadyRetried
from comfyq.services.jobs.accepted import Accepted, stored_answer
from comfyq.services.jobs.batch_submission import BatchAccepted, BatchSubmission
from comfyq.services.jobs.batches import Batches, BatchState
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.jobs.submission import Submission
from comfyq.services.notify.announcer import Announcer

AT_ONCE = 10  # jobs of a batch that are read at the same time


class Retries:
    def __init__(
        self,
        *,
        queries: JobQueries,
        jobs: JobRecords,
        records: RetryRecords,
        submission: Submission,
        batches: Batches,
        batch_submission: BatchSubmission,
        announcer: Announcer,
    ) -> None:
        self._queries = queries
        self._jobs = jobs
        self._records = records
        self._submission = submission
        self._batches = batches
        self._batch_submission = batch_submission
        self._announcer = announcer

    async def retry(
        self, caller: Caller, job_id: JobId, *, idempotency_key: str | None = None
    ) -> Accepted:
        """Accept a new job that does the work of one that failed or was canceled.

        A job that was tried again already has its newest retry as the answer, unless that failed or
        was canceled too: then the new job is the retry of that one.

        Raises:
            JobNotFound.
            NotRetriable: the job goes on, has succeeded, or was refused.
            RateLimited, IdempotencyMismatch, InvalidParameters, TableUnavailable: as a submission.
        """
        job = await self._queries.get(caller, job_id)
        newest = (await self._records.newest(job)).job
        if newest.id != job.id and newest.status not in UNSUCCESSFUL:
            return await stored_answer(self._jobs, newest, replayed=True)
        retry = await self._retry_of(newest, asked=job.id)
        try:
            accepted = await self._submission.submit(caller, retry, idempotency_key=idempotency_key)
        except AlreadyRetried as earlier:
            other = await self._jobs.get(earlier.job_id)
            return await stored_answer(self._jobs, other, replayed=True)
        await self._announcer.retried(accepted.job)
        return accepted

    async def retry_batch(
        self, caller: Caller, batch_id: BatchId, *, idempotency_key: str | None = None
    ) -> BatchAccepted:
        """Accept a new batch of those jobs of a batch that failed or were canceled, and so did
        their retries.

        If all of them are tried again in one batch already, that one is the answer, as it is for
        the same key.

        Raises:
            BatchNotFound.
            NotRetriable: none of them has.
            RateLimited, IdempotencyMismatch, InvalidParameters, TableUnavailable: as a submission.
        """
        state = await self._batches.get(caller, batch_id)
        digest = hashlib.sha256(f"retry of batch {batch_id}".encode()).hexdigest()
        if idempotency_key is not None:
            earlier = await self._jobs.idempotent(caller.tenant, idempotency_key)
            if earlier is not None and earlier[0] == digest:
                return await self._stored(caller, BatchId(earlier[1]))
        failed = {n: job for n, job in sorted(state.jobs.items()) if job.status in UNSUCCESSFUL}
        if not failed:
            if len(state.retried_in) == 1:
                return await self._stored(caller, *state.retried_in)
            raise _nothing_to_retry(state)
        retries = await limited(AT_ONCE, failed, lambda n: self._retry_of(failed[n]))
        accepted = await self._batch_submission.submit(
            caller,
            [retries[n] for n in failed],
            digest=digest,
            idempotency_key=idempotency_key,
            retried=_retried(state.batch, list(failed)),
        )
        made = accepted.jobs
        await limited(AT_ONCE, made, lambda n: self._announcer.retried(made[n].job))
        return accepted

    async def _retry_of(self, job: Job, *, asked: JobId | None = None) -> Retry:
        return retry_of(job, await self._jobs.spec(job.id), asked=asked)

    async def _stored(self, caller: Caller, batch_id: BatchId) -> BatchAccepted:
        state = await self._batches.get(caller, batch_id)
        answers = await limited(
            AT_ONCE, state.jobs, lambda n: stored_answer(self._jobs, state.jobs[n])
        )
        return BatchAccepted(state.batch, answers, replayed=True)


def _retried(batch: Batch, indexes: Sequence[int]) -> Retried:
    """Return the place of a batch's jobs in the first batch, if it is itself a retry."""
    first = batch.retried
    if first is None:
        return Retried(batch.id, batch.size, tuple(indexes))
    return replace(first, indexes=tuple(first.indexes[n] for n in indexes))


def _nothing_to_retry(state: BatchState) -> NotRetriable:
    batch_id = state.batch.id
    if state.retried_in:
        others = ", ".join(sorted(state.retried_in))
        return NotRetriable(f"the failed jobs of batch {batch_id} are tried again in {others}")
    return NotRetriable(
        f"no job of batch {batch_id} has failed or was canceled; jobs that go on, have "
        "succeeded or were refused are not tried again"
    )

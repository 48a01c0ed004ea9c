"""The jobs of one HTTP request that is answered with what they make: they are submitted, and waited
for.

A client that leaves cannot ask for what it did not get, so its jobs are canceled; those of a
request with an idempotency key go on, since the same request gets them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request as HTTPRequest

from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller
from comfyq.domain.errors import DomainError, FieldError, InvalidParameters, InvalidRequest
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.request import Request
from comfyq.edges.api.open_answers.batch_wait import BatchWaitServices, held_for_batch
from comfyq.edges.api.open_answers.preferred_wait import WaitServices, held
from comfyq.ports.notifier import TooManyStreams
from comfyq.services.jobs.batch_submission import BatchAccepted, BatchSubmission
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.jobs.idempotency import digest_of, digest_of_all
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.jobs.submission import Submission
from comfyq.services.notify.job_waits import Seen

AT_ONCE = 10  # jobs that are read at the same time
FIRST = "requests.0."  # in a batch's refusal, before the fields of its first request


class RequestedJobServices(WaitServices, BatchWaitServices, Protocol):
    """The services that these jobs need."""

    @property
    def submission(self) -> Submission: ...

    @property
    def batch_submission(self) -> BatchSubmission: ...

    @property
    def cancellation(self) -> Cancellation: ...

    @property
    def queries(self) -> JobQueries: ...


def has_failed(job: Job) -> bool:
    return job.status.terminal and job.status is not JobStatus.SUCCEEDED


@dataclass(frozen=True, slots=True)
class RequestedJobs:
    """Submits and waits for the jobs of ``http``, for ``patience_s`` at most.

    As soon as one of them ``spoils`` the answer, nobody waits for the others, which are canceled.
    """

    http: HTTPRequest
    services: RequestedJobServices
    caller: Caller
    key: str | None  # of idempotency
    patience_s: float
    spoils: Callable[[Job], bool] = has_failed
    seen: Seen | None = None  # called with their frames, where these are pushed

    async def ended(self, requests: Sequence[Request]) -> Sequence[Job]:
        """Submit requests, each with a job of its own; return the jobs as they are when all have
        ended, one has spoilt the answer, the client has left, or the time is over.

        Raises:
            Whatever refuses one of the requests; then none of them has a job that goes on.
        """
        jobs, batch_id = await self._submitted(requests)
        try:
            jobs = await self._waited(jobs, batch_id)
        except (DomainError, TooManyStreams):
            await self._give_up(jobs)
            raise
        if any(map(self.spoils, jobs)):
            await self._cancel(jobs)
        elif not all(job.status.terminal for job in jobs) and await self.http.is_disconnected():
            await self._give_up(jobs)
        return jobs

    async def _submitted(self, requests: Sequence[Request]) -> tuple[Sequence[Job], BatchId | None]:
        """Submit requests; return their jobs, and the batch that they are if there are several."""
        if len(requests) == 1:
            submit = self.services.submission.submit
            accepted = await submit(self.caller, requests[0], idempotency_key=self.key)
            return [accepted.job], None
        batch = await self._submitted_batch(requests)
        jobs = [batch.jobs[index].job for index in sorted(batch.jobs)]
        if len(jobs) < len(requests):
            await self._cancel(jobs)
            why = next(iter(batch.batch.refusals.values()), None)
            raise InvalidRequest(why.message if why else "its jobs were deleted; use a new key")
        return jobs, batch.batch.id

    async def _submitted_batch(self, requests: Sequence[Request]) -> BatchAccepted:
        """Accept all of several requests, or none."""
        digest = await digest_of_all([digest_of(request) for request in requests])
        submission = self.services.batch_submission
        try:
            batch = await submission.submit(
                self.caller, requests, digest=digest, idempotency_key=self.key
            )
        except InvalidParameters as refusal:  # of each request alike
            fields = [each for each in refusal.fields if each.field.startswith(FIRST)]
            if not fields:
                raise
            own = [FieldError(each.field.removeprefix(FIRST), each.message) for each in fields]
            raise InvalidParameters(own) from refusal
        await submission.note(batch)
        return batch

    async def _waited(self, jobs: Sequence[Job], batch_id: BatchId | None) -> Sequence[Job]:
        if batch_id is None:
            [job] = jobs
            if job.status.terminal:
                return jobs
            held_job = await held(
                self.http,
                self.services,
                self.caller,
                job,
                within_s=self.patience_s,
                seen=self.seen,
            )
            return [held_job]
        seen = {job.id: job for job in jobs}

        async def is_enough() -> bool:
            going = [job.id for job in seen.values() if not job.status.terminal]
            seen.update(await limited(AT_ONCE, going, self._job))
            return any(map(self.spoils, seen.values())) or all(
                job.status.terminal for job in seen.values()
            )

        if not await is_enough():
            await held_for_batch(
                self.http,
                self.services,
                self.caller,
                batch_id,
                within_s=self.patience_s,
                is_enough=is_enough,
                seen=self.seen,
            )
        return list(seen.values())

    async def _job(self, job_id: JobId) -> Job:
        return await self.services.queries.get(self.caller, job_id)

    async def _give_up(self, jobs: Sequence[Job]) -> None:
        """Cancel jobs that nobody can ask for."""
        if self.key is None:
            await self._cancel(jobs)

    async def _cancel(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if not job.status.terminal:
                with suppress(DomainError):  # it ends by itself, then
                    await self.services.cancellation.cancel(self.caller, job.id)

"""Making the pictures of one request: its jobs are submitted, waited for, and shown.

A client that leaves cannot ask for what it did not get, so its jobs are canceled; those of a
request with an idempotency key go on, since the same request gets them.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Response
from fastapi import Request as HTTPRequest

from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller, Scope
from comfyq.domain.errors import DomainError, FieldError, InvalidParameters, InvalidRequest
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.request import Request
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import links_of, services_of, streams_of
from comfyq.edges.api.open_answers.batch_wait import BatchWaitServices, held_for_batch
from comfyq.edges.api.open_answers.preferred_wait import LONGEST_S, WaitServices, held
from comfyq.edges.api.serving.inline_files import room_for_files
from comfyq.edges.api.submitting import IdempotencyKey
from comfyq.edges.openai.answers import PictureAnswers, PictureServices
from comfyq.ports.notifier import TooManyStreams
from comfyq.services.jobs.batch_submission import BatchAccepted, BatchSubmission
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.jobs.idempotency import digest_of, digest_of_all
from comfyq.services.jobs.submission import Submission

PATIENCE = "x-stainless-read-timeout"  # seconds for which OpenAI's clients wait for an answer
LONGEST_HELD_S = 590.0  # where answers can be held open: its clients wait for 600 unless told
SPARE_S = 2.0  # before the client gives up, so that it is told what becomes of its jobs
AT_ONCE = 10  # jobs that are read at the same time
FIRST = "requests.0."  # in a batch's refusal, before the fields of its first request


class MakingServices(WaitServices, BatchWaitServices, PictureServices, Protocol):
    """The services that making pictures needs."""

    @property
    def submission(self) -> Submission: ...

    @property
    def batch_submission(self) -> BatchSubmission: ...

    @property
    def cancellation(self) -> Cancellation: ...


@dataclass(frozen=True, slots=True)
class Making:
    """One HTTP request for pictures."""

    http: HTTPRequest
    services: MakingServices
    caller: Caller
    answers: PictureAnswers
    key: str | None
    patience_s: float

    @property
    def base_url(self) -> str:
        return self.answers.links.base_url

    async def answer(self, requests: Sequence[Request], response_format: str | None) -> Response:
        """Make the pictures of requests, each by a job of its own, and answer when all are made.

        Raises:
            Whatever refuses one of the requests; then none of them has a job that goes on.
        """
        jobs, batch_id = await self._submitted(requests)
        try:
            jobs = await self._waited(jobs, batch_id)
        except (DomainError, TooManyStreams):
            await self._give_up(jobs)
            raise
        failed = next((job for job in jobs if _has_failed(job)), None)
        if failed is not None:
            await self._cancel(jobs)
            return self.answers.failure(failed, jobs)
        if all(job.status.terminal for job in jobs):
            return await self.answers.pictures(jobs, response_format)
        if await self.http.is_disconnected():
            await self._give_up(jobs)
        return self.answers.unfinished(jobs, waited_s=self.patience_s, key=self.key)

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
        """Return jobs as they are when all have ended, one has failed, or the time is over."""
        if batch_id is None:
            [job] = jobs
            if job.status.terminal:
                return jobs
            within_s = self.patience_s
            return [await held(self.http, self.services, self.caller, job, within_s=within_s)]
        seen = {job.id: job for job in jobs}

        async def is_enough() -> bool:
            going = [job.id for job in seen.values() if not job.status.terminal]
            seen.update(await limited(AT_ONCE, going, self._job))
            return any(map(_has_failed, seen.values())) or all(
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


def _has_failed(job: Job) -> bool:
    return job.status.terminal and job.status is not JobStatus.SUCCEEDED


def patience_s(request: HTTPRequest, *, can_hold: bool) -> float:
    """Return for how long a client waits for an answer, and may be let wait."""
    longest_s = LONGEST_HELD_S if can_hold else LONGEST_S
    try:
        told_s = float(request.headers.get(PATIENCE, ""))
    except ValueError:
        return longest_s
    if not told_s > 0:
        return longest_s
    return min(longest_s, told_s - min(SPARE_S, told_s / 2))


async def making_of(
    http: HTTPRequest,
    caller: Annotated[Caller, needs(Scope.SUBMIT, Scope.READ)],
    idempotency_key: IdempotencyKey = None,
) -> Making:
    services = await services_of(http)
    can_hold = await streams_of(http) is not None
    answers = PictureAnswers(services, await links_of(http), room_for_files(can_hold=can_hold))
    patience = patience_s(http, can_hold=can_hold)
    return Making(http, services, caller, answers, idempotency_key, patience)


MakingOf = Annotated[Making, Depends(making_of)]

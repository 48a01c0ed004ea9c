"""Making the pictures of one request: its jobs are waited for, and shown."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Response
from fastapi import Request as HTTPRequest

from comfyq.domain.caller import Caller, Scope
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.submission.request import Request
from comfyq.edges.a1111.answers import PictureAnswers
from comfyq.edges.a1111.previews import keeping
from comfyq.edges.a1111.values import Asked
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import links_of, services_of, streams_of
from comfyq.edges.api.open_answers.picture_requests import PictureRequest
from comfyq.edges.api.open_answers.preferred_wait import LONGEST_S
from comfyq.edges.api.open_answers.requested_jobs import RequestedJobs, has_failed
from comfyq.edges.api.serving.inline_files import room_for_files
from comfyq.edges.api.submitting import IdempotencyKey
from comfyq.wire.a1111.requests import TextToImage

LONGEST_HELD_S = 3_600.0  # where answers can be held open: most of its clients wait forever


class Making(PictureRequest[PictureAnswers]):
    async def answer(self, body: TextToImage, asked: Asked) -> Response:
        """Make the pictures of a request, and answer when all are made, or with those that were
        made before others were interrupted.

        Raises:
            Whatever refuses one of the requests; then none of them has a job that goes on.
        """
        jobs = await self.jobs.ended(asked.requests)
        refusal = self._refusal(jobs)
        return await self.answers.made(jobs, body, asked.comments) if refusal is None else refusal

    async def upscaled(self, request: Request) -> Response:
        """Make a larger picture, and answer when it is made. Raises what ``answer`` raises."""
        jobs = await self.jobs.ended([request])
        refusal = self._refusal(jobs)
        return await self.answers.upscaled(jobs) if refusal is None else refusal

    def _refusal(self, jobs: Sequence[Job]) -> Response | None:
        failed = [job for job in jobs if has_failed(job)]
        spoilt = next((job for job in failed if spoils(job)), None)
        if spoilt is not None:
            return self.answers.failure(spoilt, jobs)
        if len(failed) == len(jobs):
            return self.answers.failure(failed[0], jobs)
        if all(job.status.terminal for job in jobs):
            return None
        return self.answers.unfinished(jobs, waited_s=self.jobs.patience_s, key=self.jobs.key)


def spoils(job: Job) -> bool:
    """Tell if a job leaves nothing to answer with but its error; an interrupted one does not."""
    return has_failed(job) and job.status is not JobStatus.CANCELED


async def making_of(
    http: HTTPRequest,
    caller: Annotated[Caller, needs(Scope.SUBMIT, Scope.READ)],
    idempotency_key: IdempotencyKey = None,
) -> Making:
    services = await services_of(http)
    can_hold = await streams_of(http) is not None
    patience = LONGEST_HELD_S if can_hold else LONGEST_S
    seen = keeping(services.newest_previews)
    jobs = RequestedJobs(http, services, caller, idempotency_key, patience, spoils, seen)
    room = room_for_files(can_hold=can_hold)
    return Making(jobs, PictureAnswers(services, caller, await links_of(http), room))


MakingOf = Annotated[Making, Depends(making_of)]

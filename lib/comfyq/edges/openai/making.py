"""Making the pictures of one request: its jobs are waited for, and shown."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Response
from fastapi import Request as HTTPRequest

from comfyq.domain.caller import Caller, Scope
from comfyq.domain.submission.request import Request
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import links_of, services_of, streams_of
from comfyq.edges.api.open_answers.picture_requests import PictureRequest
from comfyq.edges.api.open_answers.preferred_wait import LONGEST_S
from comfyq.edges.api.open_answers.requested_jobs import RequestedJobs, has_failed
from comfyq.edges.api.serving.inline_files import room_for_files
from comfyq.edges.api.submitting import IdempotencyKey
from comfyq.edges.openai.answers import PictureAnswers

PATIENCE = "x-stainless-read-timeout"  # seconds for which OpenAI's clients wait for an answer
LONGEST_HELD_S = 590.0  # where answers can be held open: its clients wait for 600 unless told
SPARE_S = 2.0  # before the client gives up, so that it is told what becomes of its jobs


class Making(PictureRequest[PictureAnswers]):
    async def answer(self, requests: Sequence[Request], response_format: str | None) -> Response:
        """Make the pictures of requests, each by a job of its own, and answer when all are made.

        Raises:
            Whatever refuses one of the requests; then none of them has a job that goes on.
        """
        jobs = await self.jobs.ended(requests)
        failed = next((job for job in jobs if has_failed(job)), None)
        if failed is not None:
            return self.answers.failure(failed, jobs)
        if all(job.status.terminal for job in jobs):
            return await self.answers.pictures(jobs, response_format)
        return self.answers.unfinished(jobs, waited_s=self.jobs.patience_s, key=self.jobs.key)


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
    patience = patience_s(http, can_hold=can_hold)
    jobs = RequestedJobs(http, services, caller, idempotency_key, patience)
    answers = PictureAnswers(services, await links_of(http), room_for_files(can_hold=can_hold))
    return Making(jobs, answers)


MakingOf = Annotated[Making, Depends(making_of)]

"""Submission over HTTP: what all its routes share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import Depends, Header, Query, Response
from fastapi import Request as HTTPRequest
from fastapi.responses import JSONResponse

from comfyq.domain.caller import Caller, Scope
from comfyq.domain.errors import DomainError, FieldError, InvalidRequest, WorkflowNotFound
from comfyq.domain.job import Job
from comfyq.domain.submission.admission import AdmittedRequest
from comfyq.domain.submission.request import Request
from comfyq.edges.api.authentication import Submitter
from comfyq.edges.api.dependencies import links_of, services_of
from comfyq.edges.api.job_views import JobViews
from comfyq.edges.api.links import Links
from comfyq.edges.api.open_answers.preferred_wait import HEADER, WaitServices, applied, waited
from comfyq.services.jobs.accepted import Accepted
from comfyq.services.jobs.estimates import Estimates
from comfyq.services.jobs.queries import Asked, JobQueries
from comfyq.services.jobs.submission import Submission
from comfyq.wire.generate.jobs import JobView
from comfyq.wire.generate.rehearsals import Rehearsal

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same key with the same body, within 24 hours, gives the first answer.",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
    ),
]
DryRun = Annotated[
    bool, Query(description="Check the request and show the graph that would run; make no job.")
]

ACCEPTED: dict[str, Any] = {
    "description": "Accepted; it will end.",
    "headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}, **HEADER},
}
NOT_RUN: dict[str, Any] = {
    "model": JobView | Rehearsal,
    "description": "With `reuse`, if you may read: a job that has the outputs of an earlier one, "
    "`reused_from`. "
    "With `dry_run`: no job was made. With `Prefer: wait`: the job has ended.",
}


class UnknownWorkflow(InvalidRequest):
    """The request's body names a workflow that does not exist: 422, not 404."""

    code = WorkflowNotFound.code


@contextmanager
def naming_the_workflow() -> Iterator[None]:
    try:
        yield
    except WorkflowNotFound as missing:
        raise UnknownWorkflow(
            f"workflow: {missing}", [FieldError("workflow", str(missing))]
        ) from missing


class SubmissionServices(WaitServices, Protocol):
    """The services that routes which submit call."""

    @property
    def submission(self) -> Submission: ...

    @property
    def queries(self) -> JobQueries: ...

    @property
    def estimates(self) -> Estimates: ...


@dataclass(frozen=True, slots=True)
class Submitting:
    """The dependencies of a route that submits, beside the request itself."""

    http: HTTPRequest
    services: SubmissionServices
    caller: Caller
    links: Links
    response: Response
    dry_run: bool
    idempotency_key: str | None

    async def submit(self, request: Request) -> JobView | Response:
        """Submit or rehearse a request, and answer."""
        request = replace(request, base_url=self.links.base_url)
        submission = self.services.submission
        if self.dry_run:
            return rehearsed(await submission.rehearse(self.caller, request))
        accepted = await submission.submit(
            self.caller, request, idempotency_key=self.idempotency_key
        )
        shown = answer_to(accepted, self.response, self.links)
        return await self._after_waiting(accepted) or shown

    async def _after_waiting(self, accepted: Accepted) -> JobView | None:
        """Hold the request as it prefers; None: it is answered like every other.

        A caller that may not read is not told how the job has ended, nor is one whose key was
        revoked meanwhile.
        """
        if Scope.READ not in self.caller.scopes or accepted.job.reused_from is not None:
            return None
        try:
            job, wait_s = await waited(self.http, self.services, self.caller, accepted.job)
            if not wait_s:
                return None
            shown = await self._shown(job, accepted)
        except DomainError:
            return None  # the job is accepted, whatever could not be read since
        self.response.headers.update(applied(wait_s))
        if job.status.terminal:
            self.response.status_code = HTTPStatus.OK
        return shown

    async def _shown(self, job: Job, accepted: Accepted) -> JobView:
        """Show a job as it is after a wait."""
        views = JobViews(self.links)
        if job.status.terminal:
            return await views.whole(self.services.queries, job)
        estimate = await self.services.estimates.estimate(job)
        return views.live(job, estimate, asked=Asked.of(accepted.spec))


def answer_to(accepted: Accepted, response: Response, links: Links) -> JobView:
    """Show an accepted job, and set the headers and status of the response."""
    response.headers["Location"] = links.job(accepted.job.id)
    if accepted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    shown = JobViews(links).accepted(accepted)
    if shown.reused_from is not None:
        response.status_code = HTTPStatus.OK
    return shown


async def submitting_of(
    http: HTTPRequest,
    caller: Submitter,
    response: Response,
    dry_run: DryRun = False,
    idempotency_key: IdempotencyKey = None,
) -> Submitting:
    services, links = await services_of(http), await links_of(http)
    return Submitting(http, services, caller, links, response, dry_run, idempotency_key)


Submits = Annotated[Submitting, Depends(submitting_of)]


def rehearsed(admitted: AdmittedRequest) -> Response:
    return JSONResponse(Rehearsal.of(admitted).model_dump(mode="json"), HTTPStatus.OK)

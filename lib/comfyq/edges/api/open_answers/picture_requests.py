"""Requests of APIs whose answer has the pictures themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, Protocol, TypeVar

from comfyq.domain.caller import Caller
from comfyq.domain.job import Job, JobStatus
from comfyq.edges.api.links import Links
from comfyq.edges.api.open_answers.requested_jobs import RequestedJobs, RequestedJobServices
from comfyq.services.files.downloads import Downloads
from comfyq.services.files.uploads import Uploads
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.wire.generate.statuses import error_text, failure_of

JOBS = "X-Comfyq-Jobs"  # ids of the jobs that an answer is about
INPUT_ERRORS = ("input-",)  # of jobs that failed by what their client sent


class PictureServices(Protocol):
    """The services that reading pictures needs."""

    @property
    def queries(self) -> JobQueries: ...

    @property
    def downloads(self) -> Downloads: ...


class MakingServices(RequestedJobServices, PictureServices, Protocol):
    """The services that making pictures needs."""


class PictureRouteServices(MakingServices, Protocol):
    """The services that routes call which make pictures, also of pictures that are sent."""

    @property
    def library(self) -> WorkflowLibrary: ...

    @property
    def uploads(self) -> Uploads: ...

    @property
    def rate_limit(self) -> RateLimit: ...


class Answers(Protocol):
    """Makes the answers of one API."""

    @property
    def links(self) -> Links: ...


AnswersT = TypeVar("AnswersT", bound=Answers)


@dataclass(frozen=True, slots=True)
class PictureRequest(Generic[AnswersT]):
    """One HTTP request for pictures, whose jobs are waited for."""

    jobs: RequestedJobs
    answers: AnswersT

    @property
    def caller(self) -> Caller:
        return self.jobs.caller

    @property
    def base_url(self) -> str:
        return self.answers.links.base_url


def why_none(job: Job, *, canceled: str) -> tuple[HTTPStatus, str, str]:
    """Return status, code and text of the answer for a job that has made nothing; ``canceled`` is
    the API's own word for it."""
    error = failure_of(job)
    if error is None:
        status = f"was {canceled}" if job.status is JobStatus.CANCELED else "made nothing"
        return HTTPStatus.CONFLICT, "job-canceled", f"job {job.id} {status}"
    is_clients = error.code.startswith(INPUT_ERRORS)
    code = HTTPStatus.BAD_REQUEST if is_clients else HTTPStatus.INTERNAL_SERVER_ERROR
    return code, error.code, f"job {job.id} failed: {error_text(error)}"


def header_of(jobs: Sequence[Job]) -> dict[str, str]:
    """Return the header that names the jobs of an answer."""
    return {JOBS: ",".join(job.id for job in jobs)}

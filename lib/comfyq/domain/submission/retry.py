"""A client's request to run the work of an earlier job once more."""

from dataclasses import dataclass

from comfyq.domain.errors import NotRetriable
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.job.shown_status import STATUSES
from comfyq.domain.submission.spec import Spec

UNSUCCESSFUL = frozenset({JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED})


@dataclass(frozen=True, slots=True)
class Retry:
    """An earlier job and its work, which a new job does again: same graph, seed and files."""

    job: Job
    spec: Spec
    asked: JobId  # the job that the client named: this one, or one whose retry this is


def retry_of(job: Job, spec: Spec, *, asked: JobId | None = None) -> Retry:
    """Return the retry of a job that has ended without results.

    Raises:
        NotRetriable: it goes on or has succeeded, or its request could never be run.
    """
    if job.status not in UNSUCCESSFUL:
        raise NotRetriable(
            f"job {job.id} is {STATUSES[job.status]}; only a job that failed or was canceled can "
            "be tried again: submit its request once more to have another"
        )
    if not spec.graph:
        raise NotRetriable(
            f"job {job.id} has no graph, because its request could not be run; correct the "
            "request and submit it, or redrive its dead letter"
        )
    if spec.has_partner_key:
        raise NotRetriable(
            f"the key of partner nodes that job {job.id} was sent with was erased when it ended; "
            "submit its graph once more, with the key"
        )
    return Retry(job, spec, asked or job.id)

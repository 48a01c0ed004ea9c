"""The error of a job, as answers and frames show it."""

from comfyq.domain.job import Job, JobError
from comfyq.domain.job.client_text import for_clients
from comfyq.domain.job.estimate import NOTHING, Estimate
from comfyq.domain.job.shown_status import STATUSES

MODELS = "its models, which its worker fetches"


def failure_of(job: Job) -> JobError | None:
    """Return why the job failed; the error of an attempt that will be repeated is not the job's."""
    return job.error if STATUSES[job.status] == "failed" else None


def waits_for(job: Job, estimate: Estimate = NOTHING) -> str | None:
    """Return what a queued job waits for: what it needs, or else any worker that takes jobs."""
    if job.progress.provisioning is not None:
        return MODELS
    if job.is_aside or estimate.waits_for is None:
        return job.note if job.is_aside else None
    return for_clients(estimate.waits_for)


def error_text(error: JobError) -> str:
    """Return what a client is told of an error: no tracebacks, nothing of the worker's paths."""
    return for_clients(whole_error_text(error))


def whole_error_text(error: JobError) -> str:
    """Return everything that is known of an error, for operators who read the job's story."""
    return "\n".join((error.message, *error.details))

"""One line of the log for a job's acceptance, its start and its end, and their metrics.

They name nothing that the client wrote: no prompt, no parameters.
"""

from datetime import datetime

from comfyq.aio.logs import log
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.job.attempt import Attempt
from comfyq.domain.job.shown_status import STATUSES
from comfyq.telemetry.job_numbers import count_accepted, count_changed

REASON_CHARS = 200


def log_accepted(job: Job) -> None:
    """Log and count a stored new job, and its end if it was stored as ended."""
    count_accepted(job)
    log.info("job_accepted", job=job.id, workflow=job.workflow)
    if job.status.terminal:
        _log_end(job)


def log_changed(before: Job, after: Job, ended: Attempt | None) -> None:
    """Log a stored change that is a job's start or its end, and count it, and an attempt's end."""
    count_changed(before, after, ended)
    if after.status is before.status:
        return
    if after.status is JobStatus.RUNNING:
        log.info(
            "job_started",
            job=after.id,
            workflow=after.workflow,
            attempt=after.attempt,
            waited_s=_seconds(after.created_at, after.started_at),
        )
    elif after.status.terminal:
        _log_end(after)


def _log_end(job: Job) -> None:
    log.info(
        "job_ended",
        job=job.id,
        workflow=job.workflow,
        status=STATUSES[job.status],
        attempts=job.attempt,
        waited_s=_seconds(job.created_at, job.started_at or job.ended_at),
        ran_s=_seconds(job.started_at, job.ended_at),
        **_failure(job),
    )


def _failure(job: Job) -> dict[str, str]:
    """Say why a job failed; of a request that was refused the code alone, for it may be quoted."""
    if job.error is None or job.status is JobStatus.SUCCEEDED:
        return {}
    if not job.attempt:
        return {"error": job.error.code}
    reason = job.error.message.partition("\n")[0][:REASON_CHARS]
    return {"error": job.error.code, "reason": reason}


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds(), 3)

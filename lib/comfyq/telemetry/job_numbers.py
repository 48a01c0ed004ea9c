"""The metrics of jobs and attempts, counted when a change of a job is stored."""

from comfyq.domain.job import Job, JobStatus
from comfyq.domain.job.attempt import Attempt
from comfyq.telemetry.numbers import ACCEPTED, ATTEMPTS, ENDED, FAILURES, WAIT_SECONDS

REFUSED = "refused"  # instead of a workflow that there may not be: its name is a client's text


def count_accepted(job: Job) -> None:
    """Count a stored new job, and its end if it was stored as ended."""
    workflow = REFUSED if job.status is JobStatus.FAILED else job.workflow
    ACCEPTED.add(workflow)
    if job.status.terminal:
        _count_end(job, workflow)


def count_changed(before: Job, after: Job, ended: Attempt | None) -> None:
    """Count a stored change, and the attempt that it ended."""
    if ended is not None:
        ATTEMPTS.add(after.workflow, ended.verdict)
    if after.failures > before.failures and after.error is not None:
        FAILURES.add(after.error.code)
    if after.status is before.status:
        return
    if after.status is JobStatus.RUNNING and before.started_at is None and after.started_at:
        WAIT_SECONDS.observe((after.started_at - after.created_at).total_seconds(), after.workflow)
    if after.status.terminal:
        _count_end(after, after.workflow)


def _count_end(job: Job, workflow: str) -> None:
    ENDED.add(workflow, str(job.status))
    if job.status is JobStatus.FAILED and not job.failures and job.error is not None:
        FAILURES.add(job.error.code)  # without an attempt that counted

"""What clients, and services on their behalf, do with a job."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from comfyq.domain.errors import IllegalTransition
from comfyq.domain.job.model import Job, JobError, JobStatus, Trigger
from comfyq.domain.job.transitions import RING_AFTER, apply, end


def submitted(**fields: Any) -> Job:
    """A new job; ``fields`` are those of Job without ``due_at``."""
    return Job(**fields, due_at=fields["created_at"] + RING_AFTER)


def refuse(job: Job, *, now: datetime, error: JobError) -> Job:
    """End a job that was never to be had: its request cannot be run."""
    return end(job, Trigger.FAIL, now=now, error=error)


def reuse(job: Job, *, of: Job, now: datetime) -> Job:
    """End a job that nobody has stored yet with the results of ``of``, which has succeeded."""
    return end(job, Trigger.REUSE, now=now, progress=of.progress, reused_from=of.id)


def keep(job: Job, *, until: datetime) -> Job:
    """Keep a job that has succeeded, and its results, at least ``until`` then.

    Raises:
        IllegalTransition: it did not succeed.
    """
    if job.status is not JobStatus.SUCCEEDED:
        raise IllegalTransition(f"{job.id} has no results to keep")
    if job.kept_until is not None and until <= job.kept_until:
        return job
    due_at = job.due_at if job.end_pending else max(job.due_at, until)
    return replace(job, kept_until=until, due_at=due_at, version=job.version + 1)


def ring(job: Job, *, now: datetime) -> Job:
    """Note that the queue has been sent a doorbell for a job that waits.

    Raises:
        IllegalTransition: it has been claimed or has ended; nothing waits for a doorbell.
    """
    if job.lease is not None:
        raise IllegalTransition(f"{job.id} is claimed")
    return apply(job, Trigger.RING, now=now, rung_at=now)


def request_cancel(job: Job, *, now: datetime) -> Job:
    """Cancel a job that nobody holds now; ask the worker that holds it to stop.

    Cancelling a job that has ended, or twice, changes nothing and returns the same job.
    """
    if job.status.terminal or job.cancel_requested:
        return job
    if job.lease is None:
        return end(job, Trigger.CANCEL, now=now, cancel_requested=True)
    return replace(job, cancel_requested=True, version=job.version + 1)

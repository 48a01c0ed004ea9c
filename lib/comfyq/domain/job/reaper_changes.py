"""Changes of a job that become due by time, before and after its end."""

from dataclasses import replace
from datetime import datetime, timedelta

from comfyq.domain.errors import IllegalTransition, LeaseLost
from comfyq.domain.job.model import (
    NO_ABLE_WORKER,
    Job,
    JobError,
    JobStatus,
    Trigger,
    WorkerId,
    shortened,
)
from comfyq.domain.job.transitions import (
    ANNOUNCE_AFTER,
    due,
    end,
    queue_deadline,
    vacate,
    wait_deadline,
)

ANNOUNCE_FOR = timedelta(minutes=10)  # after a job's end; then unreached followers must poll
DEADLINE_SLACK = timedelta(seconds=30)  # the holder ends an overdue run first, and stops ComfyUI


def evict(job: Job, *, worker: WorkerId, now: datetime) -> Job:
    """End the lease of a worker that is known to be dead.

    Raises:
        LeaseLost: the job is no longer that worker's.
    """
    if job.lease is None or job.lease.worker != worker:
        raise LeaseLost(f"{job.id} is not held by {worker}")
    return vacate(job, now=now)


def reap(job: Job, *, now: datetime) -> Job:
    """Settle what is due by time.

    Ends a job that was canceled and abandoned, or that waited or ran for too long; frees a lapsed
    lease; gives a job that needs nothing yet a new ``due_at``. A job that only waits for a doorbell
    is returned unchanged.
    """
    if job.status.terminal:
        raise IllegalTransition(f"{job.id} has ended")
    overdue = run_deadline(job)
    if overdue is not None and now >= overdue + DEADLINE_SLACK:
        ran = f"not finished within {job.limits.run_timeout_s} s of its start"
        outcome = replace(job, error=JobError("deadline", ran))
        return end(job, Trigger.FAIL, now=now, outcome=outcome)
    if job.lease is not None and now < job.lease.expires_at:
        return replace(job, due_at=due(job), version=job.version + 1)
    if job.cancel_requested:
        return end(job, Trigger.CANCEL, now=now)
    if job.status is JobStatus.QUEUED and now >= queue_deadline(job):
        waited = f"waited for a worker for more than {job.limits.queue_timeout_s} s"
        trigger = Trigger.EXPIRE if job.started_at is None else Trigger.FAIL
        return end(job, trigger, now=now, outcome=replace(job, error=JobError("deadline", waited)))
    if job.is_aside and now >= wait_deadline(job):
        outcome = replace(job, error=JobError(NO_ABLE_WORKER, _unsuited(job)))
        return end(job, Trigger.FAIL, now=now, outcome=outcome)
    return job if job.lease is None else vacate(job, now=now)


def announced(job: Job, *, now: datetime, retention: timedelta) -> Job:
    """Note that all followers were posted the end; the job is next due for deletion."""
    if job.ended_at is None or not job.end_pending:
        raise IllegalTransition(f"{job.id} has no end to announce")
    due_at = max(job.ended_at + retention, job.kept_until or job.ended_at)
    return replace(job, end_pending=False, due_at=due_at, version=job.version + 1)


def spare(job: Job, *, until: datetime, now: datetime) -> Job:
    """Put off the deletion of an ended job whose results others have."""
    if not job.status.terminal or job.end_pending:
        raise IllegalTransition(f"{job.id} is not about to be deleted")
    return replace(job, due_at=until, kept_until=until, barred_until=None, version=job.version + 1)


def unannounced(job: Job, *, now: datetime) -> Job:
    """Note that a follower could not be posted the end; the reaper tries again for ANNOUNCE_FOR."""
    if job.ended_at is None or not job.end_pending:
        raise IllegalTransition(f"{job.id} has no end to announce")
    return replace(job, due_at=now + ANNOUNCE_AFTER, version=job.version + 1)


def _unsuited(job: Job) -> str:
    waited = f"no worker that is able to run it came within {job.limits.unsuited_timeout_s} s"
    return waited if job.note is None else shortened(f"{waited}: {job.note}")


def run_deadline(job: Job) -> datetime | None:
    if job.status is not JobStatus.RUNNING or job.started_at is None:
        return None
    return job.started_at + timedelta(seconds=job.limits.run_timeout_s)

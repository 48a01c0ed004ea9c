"""Changes of a job by clients, and by services on their behalf."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import IllegalTransition
from comfyq.domain.job.model import (
    NORMAL_PRIORITY,
    Job,
    JobError,
    JobId,
    JobStatus,
    Limits,
    Trigger,
    shortened,
)
from comfyq.domain.job.transitions import RING_AFTER, apply, due, end
from comfyq.domain.webhook.events import WebhookEvent

# SQS delivers a message again for 14 days at most; keys of idempotency are kept for one.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
BARRED_FOR = timedelta(days=15)


def submitted(
    *,
    id: JobId,
    tenant: TenantId,
    workflow: str,
    created_at: datetime,
    family: str = "any",
    limits: Limits | None = None,
    unsuited: str | None = None,
    link_key: str | None = None,
    seed: int | None = None,
    retry_of: JobId | None = None,
    priority: int = NORMAL_PRIORITY,
    trace: str | None = None,
    title: str | None = None,
    labels: Mapping[str, str] | None = None,
    webhook_events: tuple[WebhookEvent, ...] = (),
) -> Job:
    """Make a new job; one is set aside that is ``unsuited``, which says why no known worker is able
    to run it."""
    job = Job(
        id=id,
        tenant=tenant,
        workflow=workflow,
        seed=seed,
        retry_of=retry_of,
        trace=trace,
        title=title,
        labels=labels or {},
        webhook_events=webhook_events,
        family=family,
        created_at=created_at,
        priority=priority,
        limits=limits or Limits(),
        link_key=link_key,
        due_at=created_at + RING_AFTER,
        unsuited_since=None if unsuited is None else created_at,
        note=None if unsuited is None else shortened(unsuited),
    )
    return job if unsuited is None else replace(job, due_at=due(job))


def refuse(job: Job, *, now: datetime, error: JobError) -> Job:
    """End a new job as failed, because its request cannot be run."""
    return end(job, Trigger.FAIL, now=now, outcome=replace(job, error=error))


def reuse(job: Job, *, of: Job, now: datetime) -> Job:
    """End a job that is not stored yet as succeeded, with the results of the job ``of``."""
    outcome = replace(
        job, progress=of.progress, simulated=of.simulated, warnings=of.warnings, reused_from=of.id
    )
    return end(job, Trigger.REUSE, now=now, outcome=outcome)


def keep(job: Job, *, until: datetime, now: datetime) -> Job:
    """Postpone the deletion of a succeeded job and its results to ``until`` or later.

    Raises:
        IllegalTransition: the job has not succeeded.
    """
    if job.status is not JobStatus.SUCCEEDED:
        raise IllegalTransition(f"{job.id} has no results to keep")
    if job.kept_until is not None and until <= job.kept_until:
        return job
    due_at = job.due_at if job.end_pending else max(job.due_at, until)
    return replace(job, kept_until=until, due_at=due_at, version=job.version + 1)


def condemn(job: Job, *, now: datetime) -> Job:
    """Make an ended job due for its deletion: from then on its results are not reused.

    Whoever deletes it bars its id. Condemning it twice changes nothing and returns the same job.
    If others have its results, so that its deletion may be refused, ``kept_until`` is when it would
    have been due.

    Raises:
        IllegalTransition: the job has not ended.
    """
    if not job.status.terminal:
        raise IllegalTransition(f"{job.id} has not ended")
    if job.barred_until is not None:
        return job
    return replace(
        job,
        end_pending=False,
        due_at=now,
        kept_until=None if job.kept_until is None else max(job.kept_until, job.due_at),
        barred_until=now + BARRED_FOR,
        version=job.version + 1,
    )


def ring(job: Job, *, now: datetime) -> Job:
    """Note that a doorbell was sent for a waiting job.

    Raises:
        IllegalTransition: the job is claimed or has ended, so it needs no doorbell.
    """
    if job.lease is not None:
        raise IllegalTransition(f"{job.id} is claimed")
    return apply(replace(job, rung_at=now), Trigger.RING, now=now)


def request_cancel(job: Job, *, now: datetime) -> Job:
    """Cancel a job that no worker holds at once; flag a held one, for its worker to stop.

    Canceling a job that has ended, or twice, changes nothing and returns the same job.
    """
    if job.status.terminal or job.cancel_requested:
        return job
    if job.lease is None:
        return end(replace(job, cancel_requested=True), Trigger.CANCEL, now=now)
    return replace(job, cancel_requested=True, version=job.version + 1)

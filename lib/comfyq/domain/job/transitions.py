"""What every change of a job is made of: the table is applied here, and nowhere else."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from comfyq.domain.errors import IllegalTransition, LeaseLost
from comfyq.domain.job.model import TRANSITIONS, Job, Lease, Trigger
from comfyq.domain.job.progress import Progress

RING_AFTER = timedelta(seconds=5)  # a job whose first ring is not noted by then is rung again
RING_AGAIN = timedelta(hours=1)
ANNOUNCE_AFTER = timedelta(seconds=10)
LEASE_SLACK = timedelta(seconds=1)  # a lapsed lease is looked at a little later than it lapses


def apply(job: Job, trigger: Trigger, *, now: datetime | None = None, **changes: Any) -> Job:
    """``now`` is None for the frequent writes of a running job, which must not move ``due_at``:
    that would rewrite an index entry each time."""
    try:
        status = TRANSITIONS[job.status, trigger]
    except KeyError:
        raise IllegalTransition(f"cannot {trigger} a {job.status} job") from None
    changed = replace(job, status=status, version=job.version + 1, **changes)
    return changed if now is None else replace(changed, due_at=due(changed))


def end(job: Job, trigger: Trigger, *, now: datetime, **changes: Any) -> Job:
    """The one way to a terminal status; a requested cancel outranks every other end."""
    if job.cancel_requested and trigger is not Trigger.CANCEL:
        trigger, changes = Trigger.CANCEL, {}
    fields = {"lease": None, "started_attempt": 0, "ended_at": now, "end_pending": True}
    ended = apply(job, trigger, now=now, **(fields | changes))
    return replace(ended, due_at=now + ANNOUNCE_AFTER)


def requeue(job: Job, trigger: Trigger, *, now: datetime, **changes: Any) -> Job:
    """Its holder still has the doorbell and shows it again, so the job counts as rung."""
    fields = {
        "started_attempt": 0,
        "settled_attempt": job.attempt,
        "adopted_attempt": 0,
        "lease": None,
        "rung_at": now,
        "progress": Progress(),
    }
    return apply(job, trigger, now=now, **(fields | changes))


def vacate(job: Job, *, now: datetime) -> Job:
    """The holder is gone without a verdict: claimable at once, rung at the reaper's next look."""
    if job.cancel_requested:
        return end(job, Trigger.CANCEL, now=now)
    gone = f"worker {job.lease.worker if job.lease else 'unknown'} is gone"
    left = {
        "note": gone,
        "started_attempt": job.started_attempt,
        "settled_attempt": job.settled_attempt,
        "rung_at": None,
    }
    return replace(requeue(job, Trigger.RELEASE, now=now, **left), due_at=now)


def held(job: Job, token: int) -> Lease:
    if job.lease is None or job.attempt != token:
        raise LeaseLost(f"{job.id}: attempt {token} was superseded by {job.attempt}")
    return job.lease


def due(job: Job) -> datetime:
    """When time alone may next change the job, or a doorbell may have been lost."""
    if job.lease is not None:
        return job.lease.expires_at + LEASE_SLACK
    rung = job.rung_at or job.created_at
    again = rung + (RING_AGAIN if job.rung_at else RING_AFTER)
    if job.not_before is not None:
        again = min(again, job.not_before + RING_AFTER)
    return min(again, queue_deadline(job))


def queue_deadline(job: Job) -> datetime:
    """How long a job may wait: from its submission, or from its last claim if it was started."""
    waits_since = job.created_at
    if job.started_at is not None and job.claimed_at is not None:
        waits_since = job.claimed_at + timedelta(seconds=job.limits.run_timeout_s)
    return waits_since + timedelta(seconds=job.limits.queue_timeout_s)

"""The building blocks of every change of a job: the transition table is applied here only."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol
from zlib import crc32

from comfyq.domain.errors import IllegalTransition, LeaseLost
from comfyq.domain.job.model import TRANSITIONS, Job, JobStatus, Lease, Trigger
from comfyq.domain.job.progress import Progress

RING_AFTER = timedelta(seconds=5)  # then a job without a recorded doorbell is sent one
RING_AGAIN = timedelta(hours=1)  # first pause: the doorbell is there still, unless it was lost
RING_AGAIN_LONGEST = timedelta(hours=4)
RING_ASIDE = timedelta(minutes=10)  # first pause before a job that was set aside is sent one
RING_ASIDE_LONGEST = timedelta(hours=4)
ANNOUNCE_AFTER = timedelta(seconds=10)
LEASE_SLACK = timedelta(seconds=1)  # the reaper checks a lease that long after it lapses


class Change(Protocol):
    """A function that returns the changed job, or the same object if nothing changes."""

    def __call__(self, job: Job, /, *, now: datetime) -> Job: ...


def apply(job: Job, trigger: Trigger, *, now: datetime | None = None) -> Job:
    """Apply a transition to ``job``, whose other fields the caller has already replaced.

    ``now`` is None for the frequent writes of a running job, which must not move ``due_at``:
    that would rewrite an index entry each time.
    """
    due_at = job.due_at if now is None else due(job)  # which its status does not change
    return replace(job, status=after(job, trigger), version=job.version + 1, due_at=due_at)


def after(job: Job, trigger: Trigger) -> JobStatus:
    """Return the status to which ``trigger`` brings the job; raises IllegalTransition."""
    try:
        return TRANSITIONS[job.status, trigger]
    except KeyError:
        raise IllegalTransition(f"cannot {trigger} a {job.status} job") from None


def end(job: Job, trigger: Trigger, *, now: datetime, outcome: Job | None = None) -> Job:
    """Bring a job to a terminal status; there is no other way to one.

    ``outcome`` is the job with the fields that this end sets. A requested cancel outranks every
    other end, and then ``outcome`` is dropped.
    """
    if job.cancel_requested and trigger is not Trigger.CANCEL:
        trigger, outcome = Trigger.CANCEL, None
    left = outcome or job
    return replace(
        left,
        status=after(left, trigger),
        version=left.version + 1,
        lease=None,
        started_attempt=0,
        ended_at=now,
        end_pending=True,
        due_at=now + ANNOUNCE_AFTER,
    )


def requeue(job: Job, trigger: Trigger, *, now: datetime) -> Job:
    """Let a job wait again. Its holder makes its doorbell visible again, so none need be sent."""
    waiting = replace(
        job,
        started_attempt=0,
        settled_attempt=job.attempt,
        adopted_attempt=0,
        simulated=False,
        lease=None,
        rung_at=now,
        progress=Progress(),
    )
    return apply(waiting, trigger, now=now)


def vacate(job: Job, *, now: datetime) -> Job:
    """Free a job whose holder is gone: it is claimable at once, and the reaper sends a doorbell."""
    if job.cancel_requested:
        return end(job, Trigger.CANCEL, now=now)
    gone = f"worker {job.lease.worker if job.lease else 'unknown'} is gone"
    return replace(
        requeue(replace(job, note=gone), Trigger.RELEASE, now=now),
        started_attempt=job.started_attempt,  # without a verdict, the next attempt may adopt it
        settled_attempt=job.settled_attempt,
        rung_at=None,
        due_at=now,
    )


def held(job: Job, token: int) -> Lease:
    """Return the lease of attempt ``token``; raises LeaseLost where a later one has the job."""
    if job.lease is None or job.attempt != token:
        raise LeaseLost(f"{job.id}: attempt {token} was superseded by {job.attempt}")
    return job.lease


def due(job: Job) -> datetime:
    """Return when time alone may next change the job, or a doorbell may have been lost."""
    if job.lease is not None:
        return lapse_of(job.lease)
    if job.unsuited_since is not None:
        return min(_rings_aside(job, job.unsuited_since), wait_deadline(job))
    rung = job.rung_at or job.created_at
    again = rung + (_ring_pause(job, rung) if job.rung_at else RING_AFTER)
    if job.not_before is not None and (job.rung_at is None or job.rung_at < job.not_before):
        # The doorbell that was sent then may have come before anybody could claim the job.
        again = min(again, job.not_before + RING_AFTER)
    return min(again, queue_deadline(job))


def lapse_of(lease: Lease) -> datetime:
    """Return when the reaper checks a lease."""
    return lease.expires_at + LEASE_SLACK


def queue_deadline(job: Job) -> datetime:
    """Return when a waiting job expires: counted from its submission, or from its last claim."""
    waits_since = job.created_at
    if job.started_at is not None and job.claimed_at is not None:
        waits_since = job.claimed_at + timedelta(seconds=job.limits.run_timeout_s)
    return waits_since + timedelta(seconds=job.limits.queue_timeout_s)


def wait_deadline(job: Job) -> datetime:
    """Return when a waiting job ends: as ``queue_deadline``, or sooner if no worker is able to run
    it."""
    if job.unsuited_since is None or job.is_suited:
        return queue_deadline(job)
    unsuited = job.unsuited_since + timedelta(seconds=job.limits.unsuited_timeout_s)
    return min(queue_deadline(job), unsuited)


def _ring_pause(job: Job, rung: datetime) -> timedelta:
    """Return how long no doorbell is sent after one: as long as the job has waited until then."""
    waited = rung - (job.claimed_at or job.created_at)
    return min(max(waited, RING_AGAIN), RING_AGAIN_LONGEST)


def _rings_aside(job: Job, since: datetime) -> datetime:
    """Return when a job that was set aside is sent a doorbell, which starts workers where none is.

    The pause doubles each time. It is longer by up to itself, depending on the job's id: thousands
    of jobs that were set aside at once are not rung for at once.
    """
    rung = max(job.rung_at or since, since)
    pause = min(max(rung - since, RING_ASIDE), RING_ASIDE_LONGEST)
    return rung + pause * (1 + crc32(job.id.encode()) / 2**32)

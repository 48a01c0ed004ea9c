"""A job's life, as a table and the pure functions that apply it.

Rule 1: whatever decides a status lives in this file.
Rule 2: this file has no clock, no I/O and no randomness; callers pass ``now``.

Cancellation is a flag, not a status: a request can arrive while a worker holds the job, and the
status must go on telling the truth about what that worker is doing. A job with the flag always
ends ``canceled``, whatever else happens.

``attempt`` is the fencing token and nothing else. ``failures`` counts attempts that ended badly
after ComfyUI had started them, and alone meets ``max_attempts``. A claimed job stays ``queued``
until ComfyUI starts it. A worker that dies leaves ``started_attempt`` behind; the next attempt
either adopts what that one left in ComfyUI or forfeits it, which counts.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NewType

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import IllegalTransition, LeaseHeld, LeaseLost
from comfyq.domain.progress import Progress

JobId = NewType("JobId", str)
WorkerId = NewType("WorkerId", str)

MAX_CLAIMS = 20  # ends a job that is claimed and given back for ever
RING_AFTER = timedelta(seconds=5)  # a job whose first ring is not noted by then is rung again
RING_AGAIN = timedelta(hours=1)
ANNOUNCE_AFTER = timedelta(seconds=10)
ANNOUNCE_FOR = timedelta(minutes=10)  # then whoever could not be told has to ask
PASS_FIRST = timedelta(seconds=1)  # before somebody else may claim what a worker cannot run
PASS_LONGEST = timedelta(minutes=1)
LEASE_SLACK = timedelta(seconds=1)  # a lapsed lease is looked at a little later than it lapses
DEADLINE_SLACK = timedelta(seconds=30)  # the holder ends an overdue run first, and stops ComfyUI

STORAGE_REFUSED = "storage-refused"  # the error of a job whose results could not be stored


class JobStatus(StrEnum):
    QUEUED = "queued"  # waits for a worker, or for ComfyUI to start it
    RUNNING = "running"  # ComfyUI has started it
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"  # never started in time

    @property
    def terminal(self) -> bool:
        return not any(status is self for status, _ in TRANSITIONS)


class Trigger(StrEnum):
    RING = "ring"
    CLAIM = "claim"
    RENEW = "renew"
    ADOPT = "adopt"
    START = "start"
    ADVANCE = "advance"
    FORFEIT = "forfeit"
    RELEASE = "release"
    RETRY = "retry"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REUSE = "reuse"


_QUEUED, _RUNNING = JobStatus.QUEUED, JobStatus.RUNNING

TRANSITIONS = {
    (_QUEUED, Trigger.RING): _QUEUED,
    (_QUEUED, Trigger.CLAIM): _QUEUED,
    (_QUEUED, Trigger.RENEW): _QUEUED,
    (_QUEUED, Trigger.ADOPT): _QUEUED,
    (_QUEUED, Trigger.FORFEIT): _QUEUED,
    (_QUEUED, Trigger.START): _RUNNING,
    (_QUEUED, Trigger.RELEASE): _QUEUED,
    (_QUEUED, Trigger.RETRY): _QUEUED,
    (_QUEUED, Trigger.FAIL): JobStatus.FAILED,
    (_QUEUED, Trigger.CANCEL): JobStatus.CANCELED,
    (_QUEUED, Trigger.EXPIRE): JobStatus.EXPIRED,
    (_QUEUED, Trigger.REUSE): JobStatus.SUCCEEDED,  # it has the results of an earlier job
    (_RUNNING, Trigger.CLAIM): _QUEUED,  # takes over a lapsed lease
    (_RUNNING, Trigger.RENEW): _RUNNING,
    (_RUNNING, Trigger.ADVANCE): _RUNNING,
    (_RUNNING, Trigger.RELEASE): _QUEUED,
    (_RUNNING, Trigger.RETRY): _QUEUED,
    (_RUNNING, Trigger.SUCCEED): JobStatus.SUCCEEDED,
    (_RUNNING, Trigger.FAIL): JobStatus.FAILED,
    (_RUNNING, Trigger.CANCEL): JobStatus.CANCELED,
}


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one job until ``expires_at``."""

    worker: WorkerId
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, for the client."""

    code: str  # stable: "node-error", "invalid-graph", "out-of-memory", "deadline" …
    message: str
    node: str | None = None  # node id, where one is to blame
    details: tuple[str, ...] = ()  # one line each: field, class, the names that exist


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a job may wait and run; from its workflow, fixed when it is submitted."""

    queue_timeout_s: int = 86_400  # from submission to the first start; then it expires
    run_timeout_s: int = 3_600  # of one attempt, from start to end
    stall_s: int = 300  # without a sign of progress
    max_attempts: int = 3  # failures that end the job


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: JobId
    tenant: TenantId
    workflow: str
    family: str = "any"  # models it needs, as one word: jobs of a family share loaded models
    created_at: datetime
    limits: Limits = field(default_factory=Limits)
    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0  # claims so far; the fencing token of the current one
    started_attempt: int = 0  # the attempt that ComfyUI started and that has no verdict yet
    settled_attempt: int = 0  # the newest attempt with a verdict; later ones may be adopted
    adopted_attempt: int = 0  # whose prompt the holder goes on with; 0: it has its own
    failures: int = 0
    passes: int = 0  # attempts that its worker's ComfyUI was not fit for
    lease: Lease | None = None
    not_before: datetime | None = None  # a retry waits until then
    cancel_requested: bool = False
    progress: Progress = field(default_factory=Progress)
    started_at: datetime | None = None  # of the current or last attempt
    ended_at: datetime | None = None
    error: JobError | None = None  # why it failed, or why its last attempt did
    note: str | None = None  # why its last attempt was given back
    claimed_at: datetime | None = None  # by the holder
    rung_at: datetime | None = None  # the queue is known to have had a doorbell then
    end_pending: bool = False  # the end is stored but not yet announced
    reused_from: JobId | None = None  # the job that made its results
    kept_until: datetime | None = None  # later jobs have its results until then
    due_at: datetime  # when the reaper must look at it next
    version: int = 1  # grows by one on every write; the table compares it

    @property
    def unsettled(self) -> bool:
        """An earlier attempt was started in ComfyUI and left there by its worker."""
        return 0 < self.started_attempt < self.attempt


def submitted(**fields: Any) -> Job:
    """A new job; ``fields`` are those of Job without ``due_at``."""
    return Job(**fields, due_at=fields["created_at"] + RING_AFTER)


def refuse(job: Job, *, now: datetime, error: JobError) -> Job:
    """End a job that was never to be had: its request cannot be run."""
    return _end(job, Trigger.FAIL, now=now, error=error)


def reuse(job: Job, *, of: Job, now: datetime) -> Job:
    """End a job that nobody has stored yet with the results of ``of``, which has succeeded."""
    return _end(job, Trigger.REUSE, now=now, progress=of.progress, reused_from=of.id)


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
    return _apply(job, Trigger.RING, now=now, rung_at=now)


def claim(job: Job, *, worker: WorkerId, now: datetime, ttl: timedelta) -> Job:
    """Begin the next attempt, or settle what nobody else can settle any more.

    A worker retakes its own lease at once: ids are locked, so its former process is gone.
    The result may have ended: canceled, or failed after MAX_CLAIMS.

    Raises:
        LeaseHeld: another worker's lease has not expired, or a retry waits; ``until`` says when.
        IllegalTransition: the job has ended.
    """
    if job.lease is not None and job.lease.worker != worker and now < job.lease.expires_at:
        raise LeaseHeld(until=job.lease.expires_at)
    if job.cancel_requested:
        return _end(job, Trigger.CANCEL, now=now)
    if job.lease is None and job.not_before is not None and now < job.not_before:
        raise LeaseHeld(until=job.not_before)
    if job.attempt - job.passes >= MAX_CLAIMS:
        error = JobError("too-many-attempts", f"claimed {job.attempt} times without a result")
        return _end(job, Trigger.FAIL, now=now, error=error)
    return _apply(
        job,
        Trigger.CLAIM,
        now=now,
        attempt=job.attempt + 1,
        lease=Lease(worker, expires_at=now + ttl),
        claimed_at=now,
        adopted_attempt=0,
        not_before=None,
        progress=Progress(),
    )


def renew(job: Job, *, token: int, now: datetime, ttl: timedelta) -> Job:
    """Push the lease's end to ``now + ttl``; raises LeaseLost for a superseded attempt."""
    lease = Lease(_held(job, token).worker, expires_at=now + ttl)
    return _apply(job, Trigger.RENEW, lease=lease)


def adopt(job: Job, *, token: int, attempt: int) -> Job:
    """The holder goes on with the prompt that an earlier attempt left in ComfyUI.

    Whoever lost that attempt, and only slept, can so tell that its prompt is in use.
    """
    _held(job, token)
    return _apply(job, Trigger.ADOPT, adopted_attempt=attempt)


def start(job: Job, *, token: int, now: datetime) -> Job:
    """ComfyUI has started this attempt, or goes on with one that it adopted.

    Starting twice changes nothing and returns the same job: the first answer may have been lost.
    """
    _held(job, token)
    if job.started_attempt == token:
        return job
    return _apply(job, Trigger.START, now=now, started_at=now, started_attempt=token)


def forfeit(job: Job, *, token: int, now: datetime, reason: str) -> Job:
    """Count an earlier attempt that left nothing to adopt; it may be the job's last failure."""
    _held(job, token)
    failures = job.failures + 1
    if failures >= job.limits.max_attempts:
        error = JobError("worker-lost", reason)
        return _end(job, Trigger.FAIL, now=now, failures=failures, error=error)
    return _apply(job, Trigger.FORFEIT, failures=failures, started_attempt=0)


def advance(job: Job, *, token: int, now: datetime, ttl: timedelta, progress: Progress) -> Job:
    """Show progress; the same write renews the lease."""
    lease = Lease(_held(job, token).worker, expires_at=now + ttl)
    return _apply(job, Trigger.ADVANCE, lease=lease, progress=progress)


def release(
    job: Job, *, token: int, now: datetime, reason: str, retry_in: timedelta = timedelta(0)
) -> Job:
    """Give the job back, uncounted: it is claimable at once, or after ``retry_in``."""
    _held(job, token)
    if job.cancel_requested:
        return _end(job, Trigger.CANCEL, now=now)
    not_before = now + retry_in if retry_in else None
    return _requeue(job, Trigger.RELEASE, now=now, note=reason, not_before=not_before)


def pass_on(job: Job, *, token: int, now: datetime, reason: str) -> Job:
    """Give the job back for a worker that can run it. Each time it waits longer, and it is not
    counted: a job may wait for a model until its queue time-out."""
    wait = min(PASS_FIRST * 2 ** min(job.passes, 20), PASS_LONGEST)
    released = release(job, token=token, now=now, reason=reason, retry_in=wait)
    return replace(released, passes=job.passes + 1)


def fail(
    job: Job, *, token: int, now: datetime, error: JobError, retry_in: timedelta | None
) -> Job:
    """End the attempt badly.

    With ``retry_in`` the cause may pass: the job is queued again while failures remain.
    """
    _held(job, token)
    failures = job.failures + 1
    if retry_in is None or job.cancel_requested or failures >= job.limits.max_attempts:
        return _end(job, Trigger.FAIL, now=now, failures=failures, error=error)
    again = {"failures": failures, "error": error, "not_before": now + retry_in}
    return _requeue(job, Trigger.RETRY, now=now, **again)


def succeed(job: Job, *, token: int, now: datetime, steps: int = 0) -> Job:
    """``steps`` are what its sampler took, for whoever looks at it afterwards."""
    _held(job, token)
    done = Progress(fraction=1.0, step=steps, max_steps=steps)
    return _end(job, Trigger.SUCCEED, now=now, progress=done, error=None)


def recover(job: Job, *, token: int) -> Job:
    """What this attempt rendered could be stored after all. The job stays failed, as it was told.

    Raises:
        IllegalTransition: it did not end because that attempt's results could not be stored.
    """
    code = job.error.code if job.status is JobStatus.FAILED and job.error else None
    if code != STORAGE_REFUSED or job.attempt != token:
        raise IllegalTransition(f"{job.id} waits for no results of attempt {token}")
    return replace(job, version=job.version + 1)


def request_cancel(job: Job, *, now: datetime) -> Job:
    """Cancel a job that nobody holds now; ask the worker that holds it to stop.

    Cancelling a job that has ended, or twice, changes nothing and returns the same job.
    """
    if job.status.terminal or job.cancel_requested:
        return job
    if job.lease is None:
        return _end(job, Trigger.CANCEL, now=now, cancel_requested=True)
    return replace(job, cancel_requested=True, version=job.version + 1)


def confirm_cancel(job: Job, *, token: int, now: datetime) -> Job:
    """The holder has stopped."""
    _held(job, token)
    return _end(job, Trigger.CANCEL, now=now)


def evict(job: Job, *, worker: WorkerId, now: datetime) -> Job:
    """End the lease of a worker that is known to be dead.

    Raises:
        LeaseLost: the job is no longer that worker's.
    """
    if job.lease is None or job.lease.worker != worker:
        raise LeaseLost(f"{job.id} is not held by {worker}")
    return _vacate(job, now=now)


def reap(job: Job, *, now: datetime) -> Job:
    """Settle what time alone decides.

    Ends what was cancelled and abandoned and what waited or ran for too long, frees a lapsed
    lease, and gives a job that needs nothing yet a new ``due_at``. A job that only waits for a
    doorbell comes back as it is.
    """
    if job.status.terminal:
        raise IllegalTransition(f"{job.id} has ended")
    overdue = run_deadline(job)
    if overdue is not None and now >= overdue + DEADLINE_SLACK:
        ran = f"not finished within {job.limits.run_timeout_s} s of its start"
        return _end(job, Trigger.FAIL, now=now, error=JobError("deadline", ran))
    if job.lease is not None and now < job.lease.expires_at:
        return replace(job, due_at=due(job), version=job.version + 1)
    if job.cancel_requested:
        return _end(job, Trigger.CANCEL, now=now)
    if job.status is JobStatus.QUEUED and now >= queue_deadline(job):
        waited = f"waited for a worker for more than {job.limits.queue_timeout_s} s"
        trigger = Trigger.EXPIRE if job.started_at is None else Trigger.FAIL
        return _end(job, trigger, now=now, error=JobError("deadline", waited))
    return job if job.lease is None else _vacate(job, now=now)


def announced(job: Job, *, retention: timedelta) -> Job:
    """The end has reached whoever follows; next, the reaper deletes the job."""
    if job.ended_at is None or not job.end_pending:
        raise IllegalTransition(f"{job.id} has no end to announce")
    due_at = max(job.ended_at + retention, job.kept_until or job.ended_at)
    return replace(job, end_pending=False, due_at=due_at, version=job.version + 1)


def unannounced(job: Job, *, now: datetime) -> Job:
    """Not everybody could be told of the end; the reaper tries again, for a while."""
    if job.ended_at is None or not job.end_pending:
        raise IllegalTransition(f"{job.id} has no end to announce")
    return replace(job, due_at=now + ANNOUNCE_AFTER, version=job.version + 1)


def queue_deadline(job: Job) -> datetime:
    """How long a job may wait: from its submission, or from its last claim if it was started."""
    waits_since = job.created_at
    if job.started_at is not None and job.claimed_at is not None:
        waits_since = job.claimed_at + timedelta(seconds=job.limits.run_timeout_s)
    return waits_since + timedelta(seconds=job.limits.queue_timeout_s)


def run_deadline(job: Job) -> datetime | None:
    if job.status is not JobStatus.RUNNING or job.started_at is None:
        return None
    return job.started_at + timedelta(seconds=job.limits.run_timeout_s)


def due(job: Job) -> datetime:
    """When time alone may next change the job, or a doorbell may have been lost."""
    if job.lease is not None:
        return job.lease.expires_at + LEASE_SLACK
    rung = job.rung_at or job.created_at
    again = rung + (RING_AGAIN if job.rung_at else RING_AFTER)
    if job.not_before is not None:
        again = min(again, job.not_before + RING_AFTER)
    return min(again, queue_deadline(job))


def _held(job: Job, token: int) -> Lease:
    if job.lease is None or job.attempt != token:
        raise LeaseLost(f"{job.id}: attempt {token} was superseded by {job.attempt}")
    return job.lease


def _vacate(job: Job, *, now: datetime) -> Job:
    """The holder is gone without a verdict: claimable at once, rung at the reaper's next look."""
    if job.cancel_requested:
        return _end(job, Trigger.CANCEL, now=now)
    gone = f"worker {job.lease.worker if job.lease else 'unknown'} is gone"
    left = {
        "note": gone,
        "started_attempt": job.started_attempt,
        "settled_attempt": job.settled_attempt,
        "rung_at": None,
    }
    return replace(_requeue(job, Trigger.RELEASE, now=now, **left), due_at=now)


def _requeue(job: Job, trigger: Trigger, *, now: datetime, **changes: Any) -> Job:
    """Its holder still has the doorbell and shows it again, so the job counts as rung."""
    fields = {
        "started_attempt": 0,
        "settled_attempt": job.attempt,
        "adopted_attempt": 0,
        "lease": None,
        "rung_at": now,
        "progress": Progress(),
    }
    return _apply(job, trigger, now=now, **(fields | changes))


def _end(job: Job, trigger: Trigger, *, now: datetime, **changes: Any) -> Job:
    """The one way to a terminal status; a requested cancel outranks every other end."""
    if job.cancel_requested and trigger is not Trigger.CANCEL:
        trigger, changes = Trigger.CANCEL, {}
    fields = {"lease": None, "started_attempt": 0, "ended_at": now, "end_pending": True}
    ended = _apply(job, trigger, now=now, **(fields | changes))
    return replace(ended, due_at=now + ANNOUNCE_AFTER)


def _apply(job: Job, trigger: Trigger, *, now: datetime | None = None, **changes: Any) -> Job:
    """``now`` is None for the frequent writes of a running job, which must not move ``due_at``:
    that would rewrite an index entry each time."""
    try:
        status = TRANSITIONS[job.status, trigger]
    except KeyError:
        raise IllegalTransition(f"cannot {trigger} a {job.status} job") from None
    changed = replace(job, status=status, version=job.version + 1, **changes)
    return changed if now is None else replace(changed, due_at=due(changed))

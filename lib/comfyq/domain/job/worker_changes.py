"""Changes of a job by the worker that holds it; ``token`` is its attempt."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from comfyq.domain.errors import IllegalTransition, LeaseHeld
from comfyq.domain.job.model import (
    ENGINE_LOST,
    INTERNAL,
    MAX_WARNING_CHARS,
    MAX_WARNINGS,
    STORAGE_REFUSED,
    Job,
    JobError,
    JobStatus,
    Lease,
    Trigger,
    WorkerId,
    shortened,
)
from comfyq.domain.job.progress import Progress, Provisioning
from comfyq.domain.job.transitions import after, apply, due, end, held, lapse_of, requeue

MAX_CLAIMS = 20  # ends a job that is claimed and given back for ever


def claim(
    job: Job, *, worker: WorkerId, now: datetime, ttl: timedelta, simulated: bool = False
) -> Job:
    """Begin the next attempt, or end a job that must not be tried again.

    The returned job may have ended: canceled, or failed after MAX_CLAIMS claims. ``simulated``
    says that the worker's ComfyUI is a simulator. A worker retakes its own lease at once: worker
    ids are locked, so its former process is gone.

    Raises:
        LeaseHeld: another worker's lease has not expired, or a retry waits; ``until`` says when.
        IllegalTransition: the job has ended.
    """
    if ends_if_claimed(job, worker=worker, now=now):
        if job.cancel_requested:
            return end(job, Trigger.CANCEL, now=now)
        return end(job, Trigger.FAIL, now=now, outcome=replace(job, error=_given_up(job)))
    lease = Lease(worker, expires_at=now + ttl)
    return replace(
        job,
        status=after(job, Trigger.CLAIM),
        version=job.version + 1,
        due_at=lapse_of(lease),
        attempt=job.attempt + 1,
        lease=lease,
        claimed_at=now,
        simulated=simulated,
        adopted_attempt=0,
        unsuited_since=None,
        is_suited=False,
        not_before=None,
        progress=Progress(),
    )


def ends_if_claimed(job: Job, *, worker: WorkerId, now: datetime) -> bool:
    """Return whether a claim ends the job; raises what ``claim`` does."""
    if job.status.terminal:
        raise IllegalTransition(f"cannot {Trigger.CLAIM} a {job.status} job")
    if job.lease is not None and job.lease.worker != worker and now < job.lease.expires_at:
        raise LeaseHeld(until=job.lease.expires_at)
    if job.cancel_requested:
        return True
    if job.lease is None and job.not_before is not None and now < job.not_before:
        raise LeaseHeld(until=job.not_before)
    return job.attempt - job.passes >= MAX_CLAIMS


def renew(job: Job, *, token: int, now: datetime, ttl: timedelta) -> Job:
    """Push the lease's end to ``now + ttl``; raises LeaseLost for a superseded attempt."""
    lease = Lease(held(job, token).worker, expires_at=now + ttl)
    return apply(replace(job, lease=lease), Trigger.RENEW)


def provision(
    job: Job, *, token: int, now: datetime, ttl: timedelta, provisioning: Provisioning | None
) -> Job:
    """Show how far the job's models have come, or None once they are there; the same write renews
    the lease."""
    shown = replace(job, progress=Progress(provisioning=provisioning))
    return renew(shown, token=token, now=now, ttl=ttl)


def adopt(job: Job, *, token: int, now: datetime, attempt: int) -> Job:
    """Note that the holder goes on with the prompt that an earlier attempt left in ComfyUI.

    A former holder that had only stalled sees by this that its prompt is in use.
    """
    held(job, token)
    return apply(replace(job, adopted_attempt=attempt), Trigger.ADOPT)


def start(job: Job, *, token: int, now: datetime) -> Job:
    """Note that ComfyUI runs this attempt's prompt, its own or an adopted one.

    Starting twice changes nothing and returns the same job: the first answer may have been lost.
    """
    lease = held(job, token)
    if job.started_attempt == token:
        return job
    return replace(
        job,
        status=after(job, Trigger.START),
        version=job.version + 1,
        due_at=lapse_of(lease),
        started_at=now,
        started_attempt=token,
        progress=replace(job.progress, provisioning=None),
    )


def forfeit(job: Job, *, token: int, now: datetime, reason: str) -> Job:
    """Count an earlier attempt that left nothing to adopt; it may be the job's last failure."""
    held(job, token)
    counted = replace(job, failures=job.failures + 1)
    if counted.failures >= job.limits.max_attempts:
        outcome = replace(counted, error=JobError("worker-lost", reason))
        return end(job, Trigger.FAIL, now=now, outcome=outcome)
    return apply(replace(counted, started_attempt=0), Trigger.FORFEIT)


def count_loss(job: Job, *, now: datetime, reason: str) -> Job:
    """Count an attempt that was given back and has since been seen to have lost its ComfyUI.

    It may be the last failure of a job that waits; that of a held one is left to its holder.

    Raises:
        IllegalTransition: the job has ended.
    """
    most = job.limits.max_attempts - (job.lease is not None)
    error = JobError(ENGINE_LOST, reason).shortened
    counted = replace(job, failures=min(job.failures + 1, most), error=error, note=None)
    if counted.failures >= job.limits.max_attempts:
        return end(job, Trigger.FAIL, now=now, outcome=counted)
    return apply(counted, Trigger.COUNT_LOSS)


def advance(job: Job, *, token: int, now: datetime, ttl: timedelta, progress: Progress) -> Job:
    """Show progress; the same write renews the lease."""
    lease = Lease(held(job, token).worker, expires_at=now + ttl)
    return apply(replace(job, lease=lease, progress=progress), Trigger.ADVANCE)


def release(
    job: Job, *, token: int, now: datetime, reason: str, retry_in: timedelta = timedelta(0)
) -> Job:
    """Give the job back, uncounted: it is claimable at once, or after ``retry_in``."""
    held(job, token)
    if job.cancel_requested:
        return end(job, Trigger.CANCEL, now=now)
    not_before = now + retry_in if retry_in else None
    released = replace(job, note=shortened(reason), not_before=not_before)
    return requeue(released, Trigger.RELEASE, now=now)


def pass_on(job: Job, *, token: int, now: datetime, reason: str) -> Job:
    """Give the job back and set it aside for a worker that is able to run it; not counted."""
    released = release(job, token=token, now=now, reason=reason)
    if released.status.terminal:
        return released
    aside = replace(released, unsuited_since=now, passes=job.passes + 1)
    return replace(aside, due_at=due(aside))


def set_aside(job: Job, *, now: datetime, reason: str) -> Job:
    """Set a waiting job aside for a worker that is able to run it; a job that is aside already
    stays as it is.

    Raises:
        IllegalTransition: the job is claimed or has ended.
    """
    if job.lease is not None:
        raise IllegalTransition(f"{job.id} is claimed")
    if job.unsuited_since is not None:
        return job
    aside = replace(job, unsuited_since=now, is_suited=False, note=shortened(reason), rung_at=now)
    return apply(aside, Trigger.SET_ASIDE, now=now)


def note_suited(job: Job, *, now: datetime) -> Job:
    """Note that a worker is able to run a job that was set aside: it does not fail for want of one.

    Raises:
        IllegalTransition: the job is not aside any more.
    """
    if not job.is_aside:
        raise IllegalTransition(f"{job.id} is not set aside")
    if job.is_suited:
        return job
    return apply(replace(job, is_suited=True), Trigger.SET_ASIDE, now=now)


def fail(
    job: Job, *, token: int, now: datetime, error: JobError, retry_in: timedelta | None
) -> Job:
    """End the attempt badly.

    With ``retry_in`` the cause may pass: the job is queued again while failures remain.
    """
    held(job, token)
    failed = replace(job, failures=job.failures + 1, error=error.shortened, note=None)
    if retry_in is None or job.cancel_requested or failed.failures >= job.limits.max_attempts:
        return end(job, Trigger.FAIL, now=now, outcome=failed)
    return requeue(replace(failed, not_before=now + retry_in), Trigger.RETRY, now=now)


def crash(job: Job, *, token: int, now: datetime, cause: str, retry_in: timedelta) -> Job:
    """End the attempt by a defect; the same ``cause`` in two attempts ends the job."""
    error = JobError(INTERNAL, cause)
    repeated = job.error == error.shortened
    return fail(job, token=token, now=now, error=error, retry_in=None if repeated else retry_in)


def succeed(
    job: Job,
    *,
    token: int,
    now: datetime,
    steps: int = 0,
    nodes: int = 0,
    warnings: Sequence[str] = (),
) -> Job:
    """End the job as succeeded; ``steps`` is the number of steps of its last sampler, ``nodes``
    that of its graph's nodes, and ``warnings`` say what its results lost."""
    held(job, token)
    done = Progress(1.0, steps, steps, nodes_done=nodes, nodes_total=nodes)
    kept = tuple(shortened(each)[:MAX_WARNING_CHARS] for each in warnings[:MAX_WARNINGS])
    if len(warnings) > MAX_WARNINGS:
        kept += (f"and {len(warnings) - MAX_WARNINGS} more like these",)
    ended = replace(job, progress=done, error=None, warnings=kept)
    return end(job, Trigger.SUCCEED, now=now, outcome=ended)


def recover(job: Job, *, token: int, now: datetime) -> Job:
    """Note that outputs of a failed attempt could be stored after all. The job stays failed.

    Raises:
        IllegalTransition: the job did not fail because that attempt's results were not stored.
    """
    code = job.error.code if job.status is JobStatus.FAILED and job.error else None
    if code != STORAGE_REFUSED or job.attempt != token:
        raise IllegalTransition(f"{job.id} waits for no results of attempt {token}")
    return replace(job, version=job.version + 1)


def confirm_cancel(job: Job, *, token: int, now: datetime) -> Job:
    """End a job whose cancellation was requested, after its holder has stopped it."""
    held(job, token)
    return end(job, Trigger.CANCEL, now=now)


def _given_up(job: Job) -> JobError:
    claimed = f"claimed {job.attempt} times without a result"
    reason = _last_reason(job)
    return JobError("too-many-attempts", claimed if reason is None else f"{claimed}; {reason}")


def _last_reason(job: Job) -> str | None:
    """Return why the attempt before this claim ended without a result."""
    if job.lease is not None:
        return f"the lease of worker {job.lease.worker} lapsed"
    return job.note or (job.error.message if job.error else None)

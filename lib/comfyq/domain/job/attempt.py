"""The record of an ended attempt, kept so that people can see how a job went."""

from dataclasses import dataclass
from datetime import datetime

from comfyq.domain.job import Job, JobStatus, WorkerId

RELEASED, FAILED = "released", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    number: int
    worker: WorkerId
    claimed_at: datetime
    started_at: datetime | None  # None: ComfyUI never began it
    ended_at: datetime
    verdict: str  # succeeded, failed, canceled, released or lost
    reason: str | None


def attempt_ended(before: Job, after: Job, *, now: datetime) -> Attempt | None:
    """Return the attempt that a change ended; None if it ended none."""
    if before.lease is None or before.claimed_at is None or not _ended(before, after):
        return None
    started = before.started_at if before.started_attempt == before.attempt else None
    return Attempt(
        number=before.attempt,
        worker=before.lease.worker,
        claimed_at=before.claimed_at,
        started_at=started,
        ended_at=now,
        verdict=_verdict(before, after),
        reason=_reason(before, after),
    )


def _ended(before: Job, after: Job) -> bool:
    return after.lease is None or after.attempt != before.attempt


def _verdict(before: Job, after: Job) -> str:
    if after.status.terminal:
        return str(after.status)
    if after.failures > before.failures:
        return FAILED
    taken_over = after.attempt != before.attempt or after.started_attempt
    return "lost" if taken_over else RELEASED


def _reason(before: Job, after: Job) -> str | None:
    if after.attempt != before.attempt:
        return "its lease lapsed, or its worker came back without it"
    if after.status is JobStatus.CANCELED:
        return "its cancellation was requested"
    if after.status.terminal or after.failures > before.failures:
        return after.error.message if after.error else None
    return after.note

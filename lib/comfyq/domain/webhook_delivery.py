"""Webhook deliveries: one webhook each, from the change of a job that it tells of to its arrival.

A delivery is stored in the transaction of that change. Whoever sends it takes a lease by a
conditional write, which ``due_at`` has: when that comes, the sender is dead or the next try is
due, and anyone may take it. So a webhook is sent at least once, by one sender at a time.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from comfyq.domain.caller import TenantId
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.job.shown_status import STATUSES
from comfyq.domain.webhook.events import WebhookEvent

DeliveryId = NewType("DeliveryId", str)

LEASE = timedelta(seconds=15)  # a try takes 5 s, and some reads
SKEW = timedelta(seconds=2)  # between the clocks of machines
WINDOW = timedelta(hours=24)  # after an event; then nothing is tried again
PAUSES_S = (5, 30, 120, 600, 3_600, 3 * 3_600, 6 * 3_600)  # the last one again and again
JITTER = 0.2  # of a pause, in either direction
LAST_TRY = timedelta(minutes=5)  # before the end of WINDOW: of who is asked to wait beyond it
VERSIONS = 1_000  # of one delivery: newer progress in its place has none that it may have
MAX_ERROR_CHARS = 300
TIME = "%Y-%m-%d %H:%M:%SZ"


class DeliveryState(StrEnum):
    PENDING = "pending"  # to be sent, or sent again, at ``due_at``
    DELIVERED = "delivered"  # answered 2xx
    FAILED = "failed"  # given up: what went wrong last is its error
    DROPPED = "dropped"  # never to be sent: there is nobody to send it to


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    id: DeliveryId  # `webhook-id`; the same for each try
    job_id: JobId
    tenant: TenantId
    event: WebhookEvent
    at: datetime  # of the event
    due_at: datetime  # the next try, or the end of the lease of one
    until: datetime  # then it is given up
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0  # tries that have begun
    code: int | None = None  # HTTP status of the last answer
    error: str | None = None  # why the last try failed, for people
    leased_until: datetime | None = None  # while it is being sent: the end of its sender's lease
    version: int = 1

    @property
    def is_pending(self) -> bool:
        return self.state is DeliveryState.PENDING

    def is_due(self, now: datetime) -> bool:
        """Return whether it may be taken; a clock may be behind that of whoever has stored it."""
        return self.is_pending and now >= self.due_at - SKEW

    def is_over(self, now: datetime) -> bool:
        """Return whether there was time enough for tries; the first one may come late, after the
        server was away."""
        return self.attempts > 0 and now > self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What came of a try."""

    code: int | None = None  # None: there was no answer
    error: str | None = None  # None: it has arrived
    is_final: bool = False  # trying again is of no use
    not_before: datetime | None = None  # the receiver asked to be left alone until then
    is_tried: bool = True  # False: it was not sent at all


def event_between(before: Job | None, after: Job) -> WebhookEvent | None:
    """Return what a stored change of a job is to its webhook; None: nothing. ``before`` is None
    for a new job."""
    if before is not None and before.status is after.status:
        advanced = after.progress != before.progress and after.status is JobStatus.RUNNING
        return WebhookEvent.PROGRESS if advanced else None
    if after.status.terminal:
        return WebhookEvent(STATUSES[after.status])
    if after.status is JobStatus.RUNNING:
        return WebhookEvent.STARTED
    return WebhookEvent.QUEUED if before is None else None


def delivery_of(job: Job, event: WebhookEvent, *, now: datetime) -> WebhookDelivery:
    """Return the delivery of an event that the change to this version of a job is."""
    return WebhookDelivery(
        id=DeliveryId(f"msg_{job.id}_{job.version}"),
        job_id=job.id,
        tenant=job.tenant,
        event=event,
        at=now,
        due_at=now,
        until=now + WINDOW,
        version=job.version * VERSIONS,
    )


def claimed(delivery: WebhookDelivery, *, now: datetime) -> WebhookDelivery:
    """Begin a try. The caller stores this on condition of the version before, and sends only then:
    so of several senders one does."""
    return replace(
        delivery,
        attempts=delivery.attempts + 1,
        due_at=now + LEASE,
        leased_until=now + LEASE,
        version=delivery.version + 1,
    )


def settled(
    delivery: WebhookDelivery, attempted: Attempted, *, now: datetime, chance: float
) -> WebhookDelivery:
    """End a try; ``chance`` from 0 to 1 spreads the next one against those of others."""
    ended = replace(
        delivery,
        attempts=delivery.attempts - (not attempted.is_tried),
        code=attempted.code,
        error=None if attempted.error is None else attempted.error[:MAX_ERROR_CHARS],
        leased_until=None,
        version=delivery.version + 1,
    )
    if attempted.error is None:
        return replace(ended, state=DeliveryState.DELIVERED)
    if attempted.is_final and attempted.code is None:
        return replace(ended, state=DeliveryState.DROPPED)
    if attempted.is_final or delivery.event is WebhookEvent.PROGRESS:
        return replace(ended, state=DeliveryState.FAILED)
    next_at = now + _pause(delivery.attempts, chance) if attempted.is_tried else now
    if attempted.not_before is not None:
        next_at = max(next_at, attempted.not_before)
    last_at = delivery.until - LAST_TRY
    if attempted.is_tried and attempted.not_before == next_at > last_at > now:
        late = f"that is too late for it, so it is tried once more at {last_at:{TIME}}"
        return replace(ended, due_at=last_at, error=f"{ended.error}; {late}")
    if next_at > delivery.until:
        return replace(given_up(ended), version=ended.version)
    return replace(ended, due_at=next_at)


def given_up(delivery: WebhookDelivery) -> WebhookDelivery:
    """Try no more."""
    why = delivery.error or "no try came to an end"
    return replace(
        delivery,
        state=DeliveryState.FAILED,
        error=f"{why}; given up after {delivery.attempts} tries",
        leased_until=None,
        version=delivery.version + 1,
    )


def put_off(delivery: WebhookDelivery, *, until: datetime, why: str) -> WebhookDelivery:
    """Wait with the next try. What the last one was answered goes with its error: beside another
    one it would be taken for that of a try which there was not."""
    return replace(
        delivery,
        code=None,
        due_at=until,
        error=why[:MAX_ERROR_CHARS],
        version=delivery.version + 1,
    )


def again(delivery: WebhookDelivery, *, now: datetime) -> WebhookDelivery:
    """Send a delivery once more, whatever became of it, under the same id; it has the time for
    all tries anew. One that is being sent is sent again when that lease ends: its sender cannot
    be stopped, and two must not send at once."""
    leased = delivery.leased_until
    if leased is not None and leased <= now:
        leased = None
    return replace(
        delivery,
        state=DeliveryState.PENDING,
        attempts=0,
        code=None,
        error=None,
        due_at=now if leased is None else min(leased, now + LEASE),
        leased_until=leased,
        until=now + WINDOW,
        version=delivery.version + 1,
    )


def _pause(attempts: int, chance: float) -> timedelta:
    pause_s = PAUSES_S[min(max(attempts, 1), len(PAUSES_S)) - 1]
    return timedelta(seconds=pause_s * (1 + JITTER * (2 * chance - 1)))

"""What is stored beside a job's change for its webhook, in the same transaction."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.domain.job import Job, JobId
from comfyq.domain.recency import is_recent
from comfyq.domain.webhook.events import WebhookEvent
from comfyq.domain.webhook_delivery import WebhookDelivery, delivery_of, event_between
from comfyq.ports.webhooks import WebhookDoorbell
from comfyq.records.webhooks.deliveries import key_of

RING_S = 1.0  # that a change of a job waits for its ring
PROGRESS_EVERY = timedelta(seconds=5)
JOBS = 100  # whose last progress is remembered: more than a process runs at once


class WebhookOutbox:
    """Makes the deliveries of changes, and rings for those that are stored."""

    def __init__(self, doorbell: WebhookDoorbell) -> None:
        self._doorbell = doorbell
        self._rings: set[asyncio.Task[None]] = set()  # that have not ended: held, so that they do
        self._late: set[asyncio.Task[None]] = set()  # those of them for which nobody waits any more
        self._progress_at: dict[JobId, datetime] = {}

    def of_change(
        self, before: Job | None, after: Job, *, now: datetime
    ) -> Sequence[WebhookDelivery]:
        """Return what a change of a job is told as; ``before`` is None for a new job."""
        if not after.webhook_events:
            return ()
        event = event_between(before, after)
        if event is None or event not in after.webhook_events:
            return ()
        if event is WebhookEvent.PROGRESS and self._has_told_progress(after.id, now):
            return ()
        return [delivery_of(after, event, now=now)]

    async def ring(self, deliveries: Sequence[WebhookDelivery]) -> None:
        """Have stored deliveries sent now. If nobody is told, the reaper rings for them.

        It takes RING_S at most, and no time while an earlier ring has no answer: a worker does this
        under the lock of a job, whose lease it cannot renew meanwhile.
        """
        if not deliveries:
            return
        self._note_progress(deliveries)
        if self._late:
            log.warning("webhooks_not_rung", count=len(deliveries), reason="no answer to a ring")
            return
        ring = asyncio.create_task(self._rung(deliveries))
        self._rings.add(ring)
        ring.add_done_callback(self._ended)
        await asyncio.wait({ring}, timeout=RING_S)
        if not ring.done():
            self._late.add(ring)

    def _ended(self, ring: asyncio.Task[None]) -> None:
        self._rings.discard(ring)
        self._late.discard(ring)

    async def _rung(self, deliveries: Sequence[WebhookDelivery]) -> None:
        try:
            keys = [key_of(each) for each in deliveries]
            at = max(each.due_at for each in deliveries)
            await self._doorbell.ring(keys, at=at, tenant=deliveries[0].tenant)
        except DomainError as away:
            log.warning("webhooks_not_rung", count=len(deliveries), reason=str(away))

    def _has_told_progress(self, job_id: JobId, now: datetime) -> bool:
        last = self._progress_at.get(job_id)
        return last is not None and is_recent(last, now, within=PROGRESS_EVERY)

    def _note_progress(self, stored: Sequence[WebhookDelivery]) -> None:
        for each in stored:
            if each.event is WebhookEvent.PROGRESS:
                self._progress_at.pop(each.job_id, None)
                self._progress_at[each.job_id] = each.at
                if len(self._progress_at) > JOBS:
                    del self._progress_at[next(iter(self._progress_at))]

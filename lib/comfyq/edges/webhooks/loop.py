"""The sender of webhooks as a task beside the API; several processes may each run one."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from comfyq.aio.logs import log
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import DomainError
from comfyq.domain.recency import is_recent
from comfyq.domain.webhook.target import Receiver
from comfyq.ports.clock import Clock
from comfyq.ports.table import Cursor
from comfyq.ports.webhooks import WebhookKey
from comfyq.services.notify.due_webhooks import AT_ONCE, SHARE, DueWebhooks
from comfyq.services.operations.deadlines import Deadlines

LONGEST_S = 3_600.0  # the reaper wakes it for what other processes have stored
PAUSE = timedelta(seconds=5)  # after a failure of the table
LOOK_ON = timedelta(seconds=1)  # between looks past the oldest page
PAGES = 5  # of such a look, each of which may cost hundreds of reads; the next one goes on there
REST = 9  # times as long as it took there is none after it: the table's time is others' as well


class WebhookLoop:
    """Sends whenever ``deadlines`` says that something is due, up to AT_ONCE at the same time and
    SHARE to one receiver: one that hangs, however much is due there, delays none of the others.

    A tenant has at most as many places as are free: alone half of them, and whatever receivers of
    some tenants hang, others find a place.
    """

    def __init__(self, webhooks: DueWebhooks, deadlines: Deadlines, *, clock: Clock) -> None:
        self._webhooks = webhooks
        self._deadlines = deadlines
        self._clock = clock
        self._sending: dict[WebhookKey, Receiver | None] = {}
        self._shares: Counter[Receiver | None] = Counter()
        self._of_tenants: Counter[TenantId | None] = Counter()
        self._looked_on_at: datetime | None = None  # past the oldest page
        self._looked_to: Cursor | None = None  # where the next such look goes on
        self._rested_at: datetime | None = None  # since when there has been none
        self._rest = timedelta()

    async def run(self) -> None:
        """Send until canceled; what is being sent then is sent again by a successor."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._deadlines.forget()
                try:
                    next_at = await self._begin_due(group)
                except DomainError as away:
                    log.warning("webhooks_not_sent", reason=str(away))
                    next_at = self._clock.now() + PAUSE
                if next_at is not None:
                    self._deadlines.note(next_at)
                await self._deadlines.wait(most_s=LONGEST_S)

    async def _begin_due(self, group: asyncio.TaskGroup) -> datetime | None:
        """Begin to send what is due, as far as there is room, and return when to look again."""
        outlook = await self._webhooks.look()
        await self._begin(outlook.now, group)
        if self._is_full or outlook.rest is None or outlook.next_at is not None:
            return outlook.next_at
        now, last = self._clock.now(), self._looked_on_at
        if last is not None and is_recent(last, now, within=LOOK_ON):
            return last + LOOK_ON
        self._looked_on_at = now
        await self._begin(await self._webhooks.newest(), group)
        if self._rested_at is None or not is_recent(self._rested_at, now, within=self._rest):
            next_at = await self._look_on(outlook.rest, group)
            self._rested_at = self._clock.now()
            self._rest = REST * (self._rested_at - now)
            if self._looked_to is None:
                return next_at
        return self._clock.now() + LOOK_ON

    async def _look_on(self, rest: Cursor, group: asyncio.TaskGroup) -> datetime | None:
        """Look between the oldest page, which ends at ``rest``, and the newest one, beginning where
        the last look has ended. Return when the next delivery is due, if it came to the end."""
        after = self._looked_to or rest
        for _ in range(PAGES):
            if self._is_full:
                break
            outlook = await self._webhooks.look(after)
            await self._begin(outlook.now, group)
            if outlook.rest is None or outlook.next_at is not None:
                self._looked_to = None
                return outlook.next_at
            after = outlook.rest
        self._looked_to = after
        return None

    async def _begin(self, due: Sequence[WebhookKey], group: asyncio.TaskGroup) -> None:
        """Begin to send those for which there is room; the end of any looks for the others."""
        for key in due:
            if self._is_full:
                return
            if key in self._sending:
                continue
            receiver = await self._webhooks.receiver_of(key.job_id)
            if self._has_its_share(receiver):
                continue
            self._sending[key] = receiver
            self._shares[receiver] += 1
            self._of_tenants[_tenant(receiver)] += 1
            task = group.create_task(self._webhooks.send_one(key))
            task.add_done_callback(partial(self._ended, key))

    def _has_its_share(self, receiver: Receiver | None) -> bool:
        """Return whether a receiver, or its tenant, has all places that it may have. Deliveries
        without one share those of a tenant: their jobs were deleted, so they end at once."""
        if receiver is not None and self._shares[receiver] >= SHARE:
            return True
        return self._of_tenants[_tenant(receiver)] >= AT_ONCE - len(self._sending)

    @property
    def _is_full(self) -> bool:
        return len(self._sending) >= AT_ONCE

    def _ended(self, key: WebhookKey, task: asyncio.Task[bool]) -> None:
        """Look again: others may wait for the room, and the same one may have become due anew while
        it was being sent."""
        receiver = self._sending.pop(key)
        self._shares[receiver] -= 1
        self._of_tenants[_tenant(receiver)] -= 1
        self._shares += Counter()  # which leaves those out of which there is none
        self._of_tenants += Counter()
        if task.cancelled():
            return
        was_tried = task.exception() is None and task.result()
        now = self._clock.now()
        self._deadlines.note(now if was_tried else now + PAUSE)


def _tenant(receiver: Receiver | None) -> TenantId | None:
    return None if receiver is None else receiver.tenant

"""Webhook deliveries that are due: found in the index, sent, and rung for where a ring was lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from comfyq.aio.logs import log
from comfyq.aio.tasks import limited
from comfyq.domain.errors import DomainError, Unavailable
from comfyq.domain.job import JobId
from comfyq.domain.recency import is_recent
from comfyq.domain.webhook.target import Receiver
from comfyq.ports.clock import Clock
from comfyq.ports.table import Cursor
from comfyq.ports.webhooks import WebhookDoorbell, WebhookKey
from comfyq.records.webhooks.deliveries import WebhookDeliveryRecords
from comfyq.services.notify.slow_receivers import SLOW

PAGE = 200  # deliveries of a look
AT_ONCE = 50  # that are being sent: so many have to hang before others wait for them
SHARE = 5  # of AT_ONCE that one receiver may have
ROUND = timedelta(seconds=20)  # after so long, a round begins no further page
RECEIVERS = 10_000  # that are remembered, by job
AHEAD = timedelta(hours=1)  # of what is due next


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be sent, as far as the index shows."""

    now: Sequence[WebhookKey]
    next_at: datetime | None  # None: nothing within AHEAD, as far as this page goes
    rest: Cursor | None = None  # where the next page begins; None: there is no more


class DueWebhooks:
    def __init__(
        self,
        *,
        deliveries: WebhookDeliveryRecords,
        send: Callable[[WebhookKey], Awaitable[bool]],
        receiver_of: Callable[[JobId], Awaitable[Receiver]],
        doorbell: WebhookDoorbell,
        clock: Clock,
        ahead: timedelta,
    ) -> None:
        """``make_up`` rings for what is due until ``ahead`` from now; it is negative where a ring
        may still be on its way."""
        self._deliveries = deliveries
        self._send = send
        self._receiver_of = receiver_of
        self._receivers: dict[JobId, Receiver] = {}
        self._doorbell = doorbell
        self._clock = clock
        self._ahead = ahead

    async def make_up(self) -> int:
        """Ring for deliveries, whoever was to ring for them; return for how many late ones. They
        are late until they are sent: ringing once more at once is of no use."""
        now = self._clock.now()
        due = (await self._deliveries.upto(now + self._ahead, limit=PAGE)).due
        late = [each.key for each in due if each.at <= now]
        soon = [each for each in due if each.at > now]
        if late:
            await self._doorbell.ring(late, at=now, tenant=None)
        if soon:  # of which the first is enough: it is looked for the others then
            await self._doorbell.ring([soon[0].key], at=soon[0].at, tenant=None)
        return len(late)

    async def look(self, after: Cursor | None = None) -> Outlook:
        """Return a page of what is due now, the oldest first, and when the next one is."""
        now = self._clock.now()
        page = await self._deliveries.upto(now + AHEAD, limit=PAGE, after=after)
        return Outlook(
            [each.key for each in page.due if each.at <= now],
            min((each.at for each in page.due if each.at > now), default=None),
            page.cursor,
        )

    async def newest(self) -> Sequence[WebhookKey]:
        """Return those that are due now and became so last: however many are older, of which a
        receiver that hangs may have any number, what has just come is among them."""
        now = self._clock.now()
        page = await self._deliveries.upto(now, limit=PAGE, newest_first=True)
        return [each.key for each in page.due]

    async def receiver_of(self, job_id: JobId) -> Receiver | None:
        """Return whom a job's webhooks go to; None if that cannot be said, as sending will tell.

        Raises:
            Unavailable: it cannot be read now.
        """
        known = self._receivers.get(job_id)
        if known is not None:
            return known
        await asyncio.sleep(0)  # many may be read in a row, and the event loop is others' as well
        try:
            receiver = await self._receiver_of(job_id)
        except Unavailable:
            raise
        except DomainError:
            return None
        except Exception:
            log.exception("webhook_receiver_unread", job=job_id)
            return None
        self._receivers[job_id] = receiver
        if len(self._receivers) > RECEIVERS:
            del self._receivers[next(iter(self._receivers))]
        return receiver

    async def send_round(self) -> None:
        """Send what is due now, the oldest first; no page of it is begun after ROUND. To a receiver
        that hangs nothing more is sent in this round, which would else be over with what is due
        there: 5 s for each SHARE of them."""
        began, places, hanging = self._clock.now(), asyncio.Semaphore(AT_ONCE), set[Receiver]()
        outlook = await self.look()
        while True:
            await self._send_page(outlook.now, places, hanging)
            if outlook.rest is None or outlook.next_at is not None:
                return
            if not is_recent(began, self._clock.now(), within=ROUND):
                return
            outlook = await self.look(outlook.rest)

    async def _send_page(
        self, due: Sequence[WebhookKey], places: asyncio.Semaphore, hanging: set[Receiver]
    ) -> None:
        of_receivers: dict[Receiver | None, list[WebhookKey]] = {}
        for key in due:
            of_receivers.setdefault(await self.receiver_of(key.job_id), []).append(key)

        async def send(receiver: Receiver | None, key: WebhookKey) -> None:
            async with places:
                if receiver is not None and receiver in hanging:
                    return
                began = self._clock.now()
                await self.send_one(key)
                if receiver is not None and self._clock.now() - began >= SLOW:
                    hanging.add(receiver)

        async def send_all(receiver: Receiver | None) -> None:
            await limited(SHARE, of_receivers[receiver], partial(send, receiver))

        await limited(len(of_receivers), of_receivers, send_all)

    async def send_one(self, key: WebhookKey) -> bool:
        """Send a delivery if it is due, and return whether it was tried: one that cannot be sent
        must not stop the others."""
        try:
            return await self._send(key)
        except DomainError as away:
            log.warning("webhook_not_sent", job=key.job_id, reason=str(away))
        except Exception:
            log.exception("webhook_not_sent", job=key.job_id)
        return False

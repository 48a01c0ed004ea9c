"""Deliveries that are due: found in the index, sent, and rung for where a ring was lost."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from comfyq.aio.logs import log
from comfyq.aio.tasks import limited
from comfyq.domain.errors import DomainError
from comfyq.ports.clock import Clock
from comfyq.ports.webhooks import DeliveryDoorbell, DeliveryKey
from comfyq.records.webhooks.deliveries import DeliveryRecords

PAGE = 200  # deliveries of a look
AT_ONCE = 50  # that are being sent: so many have to hang before others wait for them
AHEAD = timedelta(hours=1)  # of what is due next


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be sent, as far as the index shows."""

    now: Sequence[DeliveryKey]
    next_at: datetime | None  # None: nothing within AHEAD


class DueWebhooks:
    def __init__(
        self,
        *,
        deliveries: DeliveryRecords,
        send: Callable[[DeliveryKey], Awaitable[bool]],
        doorbell: DeliveryDoorbell,
        clock: Clock,
        ahead: timedelta,
    ) -> None:
        """``make_up`` rings for what is due until ``ahead`` from now; it is negative where a ring
        may still be on its way."""
        self._deliveries = deliveries
        self._send = send
        self._doorbell = doorbell
        self._clock = clock
        self._ahead = ahead

    async def make_up(self) -> int:
        """Ring for deliveries, whoever was to ring for them; return for how many late ones."""
        now = self._clock.now()
        due = await self._deliveries.upto(now + self._ahead, limit=PAGE)
        late = [each.key for each in due if each.at <= now]
        soon = [each for each in due if each.at > now]
        if late:
            await self._doorbell.ring(late, at=now)
        if soon:  # of which the first is enough: it is looked for the others then
            await self._doorbell.ring([soon[0].key], at=soon[0].at)
        return len(late)

    async def look(self) -> Outlook:
        """Return what is due now, the oldest first, and when the next one is."""
        now = self._clock.now()
        page = await self._deliveries.upto(now + AHEAD, limit=PAGE)
        return Outlook(
            [each.key for each in page if each.at <= now],
            min((each.at for each in page if each.at > now), default=None),
        )

    async def send_due(self, may_go_on: Callable[[], bool] = lambda: True) -> datetime | None:
        """Send what is due now, in rounds, until nothing is left or ``may_go_on`` says no; return
        when the next one is due."""
        while True:
            outlook = await self.look()
            tried = await limited(AT_ONCE, outlook.now, self.send_one)
            if not any(tried.values()) or not may_go_on():
                return outlook.next_at

    async def send_one(self, key: DeliveryKey) -> bool:
        """Send a delivery if it is due, and return whether it was tried: one that cannot be sent
        must not stop the others."""
        try:
            return await self._send(key)
        except DomainError as away:
            log.warning("webhook_not_sent", job=key.job_id, reason=str(away))
        except Exception:
            log.exception("webhook_not_sent", job=key.job_id)
        return False

"""Deliveries that are due: found in the index, sent, and rung for where a ring was lost."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from comfyq.aio.logs import log
from comfyq.aio.tasks import limited
from comfyq.domain.errors import DomainError
from comfyq.ports.clock import Clock
from comfyq.ports.webhooks import DeliveryDoorbell, DeliveryKey
from comfyq.records.webhooks.deliveries import DeliveryRecords

PAGE = 100  # deliveries of a round
AT_ONCE = 50  # that are being sent: a receiver that hangs delays others by a try of its own


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
        for each in due:
            await self._doorbell.ring([each.key], at=max(each.at, now))
        return sum(each.at < now + min(self._ahead, timedelta(0)) for each in due)

    async def send_due(self, may_go_on: Callable[[], bool] = lambda: True) -> datetime | None:
        """Send what is due now, in rounds, until nothing is left or ``may_go_on`` says no.

        Returns when the next one is due, as far as the index shows; the past: there is more to do.
        """
        while True:
            now = self._clock.now()
            page = await self._deliveries.upto(now + timedelta(hours=1), limit=PAGE)
            keys = [each.key for each in page if each.at <= now]
            later = min((each.at for each in page if each.at > now), default=None)
            tried = await limited(AT_ONCE, keys, self._send_one)
            if not any(tried.values()):  # nothing was due, or the index lags
                return later if not keys else now + timedelta(seconds=1)
            if not may_go_on():
                return now

    async def _send_one(self, key: DeliveryKey) -> bool:
        """One bad delivery must not stop the others."""
        try:
            return await self._send(key)
        except DomainError as away:
            log.warning("webhook_not_sent", job=key.job_id, reason=str(away))
        except Exception:
            log.exception("webhook_not_sent", job=key.job_id)
        return False

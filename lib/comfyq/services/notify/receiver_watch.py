"""Who of the receivers fails, and since when: those that fail for days are paused."""

from collections.abc import Sequence
from datetime import datetime

from comfyq.aio.logs import log
from comfyq.domain.caller import TenantId
from comfyq.domain.webhook.failing_receiver import FailingReceiver, failed, taken
from comfyq.domain.webhook.urls import origin_of
from comfyq.domain.webhook_delivery import Attempted
from comfyq.ports.clock import Clock
from comfyq.records.webhooks.failing_receivers import FailingReceiverRecords


class ReceiverWatch:
    def __init__(self, *, records: FailingReceiverRecords, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def of_tenant(self, tenant: TenantId) -> Sequence[FailingReceiver]:
        """Return those of a tenant's receivers that fail now, paused ones among them."""
        return await self._records.of_tenant(tenant)

    async def paused(self, tenant: TenantId | None = None) -> int:
        """Return how many receivers are paused now, of a tenant or of all."""
        return await self._records.paused(tenant, now=self._clock.now())

    async def pause_of(self, tenant: TenantId, url: str) -> FailingReceiver | None:
        """Return the receiver of a URL if nothing is to be sent there now.

        Of those who ask once an hour is over, one may send.
        """
        now = self._clock.now()
        known = await self._records.get(tenant, origin_of(url))
        if known is None or known.paused_until is None:
            return None
        if not known.waits(now):
            known = taken(known, now=now)
            if await self._records.save(tenant, known, now=now):
                return None
        return known

    async def note(self, tenant: TenantId, url: str, attempted: Attempted) -> None:
        """Note what came of a try: one that arrives ends a pause."""
        origin, now = origin_of(url), self._clock.now()
        known = await self._records.get(tenant, origin)
        if attempted.error is None or attempted.is_final:  # an answer of one that is well
            if known is not None:
                await self._records.forget(tenant, origin)
            return
        if known is None:
            new = FailingReceiver(origin=origin, since=now, failed_at=now, error=attempted.error)
            await self._records.save(tenant, new, now=now)
            return
        after = failed(known, attempted.error, now=now)
        if after is known or not await self._records.save(tenant, after, now=now):
            return
        if known.paused_until is None and after.paused_until is not None:
            _log(tenant, after, now)

    async def resume(self, tenant: TenantId, url: str) -> None:
        """End the pause of a URL's receiver: somebody says that it works again."""
        await self._records.forget(tenant, origin_of(url))


def _log(tenant: TenantId, receiver: FailingReceiver, now: datetime) -> None:
    log.error(
        "webhook_receiver_paused",
        tenant=tenant,
        receiver=receiver.origin,
        failing_for_s=int((now - receiver.since).total_seconds()),
        reason=receiver.error,
    )

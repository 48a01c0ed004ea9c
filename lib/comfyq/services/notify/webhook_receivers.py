"""Where a job's webhooks go, as it is said when one is sent."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from comfyq.aio.logs import log
from comfyq.domain.job import Job
from comfyq.domain.tenant import Tenant
from comfyq.domain.webhook.failing_receiver import FailingReceiver
from comfyq.domain.webhook.target import WebhookTarget
from comfyq.domain.webhook.urls import origin_of
from comfyq.ports.clock import Clock
from comfyq.records.tenants import TenantRecords
from comfyq.records.webhooks.gone import GoneReceiverRecords
from comfyq.services.notify.receiver_watch import ReceiverWatch
from comfyq.services.notify.webhook_courier import GONE


class NoReceiver(Exception):
    """Nobody is to be told; the message says why."""


class ReceiverPaused(Exception):
    """Nothing is sent now; the message says why."""

    def __init__(self, receiver: FailingReceiver, until: datetime) -> None:
        super().__init__(
            f"{receiver.origin} is paused, since nothing has arrived there from "
            f"{receiver.since:%Y-%m-%d %H:%M}Z on: {receiver.error}"
        )
        self.until = until


class WebhookReceivers:
    def __init__(
        self,
        *,
        tenants: TenantRecords,
        gone: GoneReceiverRecords,
        watch: ReceiverWatch,
        clock: Clock,
    ) -> None:
        self._tenants = tenants
        self._gone = gone
        self._watch = watch
        self._clock = clock

    async def open_url_of(self, job: Job, target: WebhookTarget) -> str:
        """Return where to send what is told of a job now; raises ReceiverPaused as well as
        ``url_of`` does."""
        url = await self.url_of(job, target)
        paused = await self._watch.pause_of(job.tenant, url)
        if paused is not None and paused.paused_until is not None:
            raise ReceiverPaused(paused, paused.paused_until)
        return url

    async def url_of(self, job: Job, target: WebhookTarget) -> str:
        """Return where to send what is told of a job.

        Raises:
            NoReceiver: its receiver wants nothing any more, or the tenant has no default now.
            TableUnavailable.
        """
        if target.url is not None:
            if await self._gone.has(job.id):
                raise NoReceiver(GONE)
            return target.url
        default = (await self._tenants.get(job.tenant)).webhook
        if default is None:
            raise NoReceiver("the tenant has no default webhook any more")
        if default.gone_at is not None:
            raise NoReceiver(f"{GONE}; `comfyq webhooks set` begins anew")
        return default.url

    async def resume(self, job: Job, target: WebhookTarget) -> None:
        """Have what is told of a job sent although its receiver failed, or wanted no more."""
        await self._gone.forget(job.id)
        with suppress(NoReceiver):
            await self._watch.resume(job.tenant, await self.url_of(job, target))

    async def note_gone(self, job: Job, target: WebhookTarget, url: str) -> None:
        """Note that the receiver at ``url`` answered 410: it is sent nothing more of this job, or
        as the tenant's default nothing at all."""
        now = self._clock.now()
        if target.url is not None:
            await self._gone.note(job.id, now=now)
            return

        def change(tenant: Tenant) -> Tenant:
            if tenant.webhook is None or tenant.webhook.url != url:
                return tenant  # another one was set meanwhile
            return replace(tenant, webhook=replace(tenant.webhook, gone_at=now))

        await self._tenants.change(job.tenant, change)
        log.warning("webhook_gone", tenant=job.tenant, receiver=origin_of(url))

"""Sending of webhook deliveries, beside the work and never in its way."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from comfyq.aio.logs import log, log_context
from comfyq.domain.errors import DomainError, JobNotFound
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook.target import ANYBODY, Receiver
from comfyq.domain.webhook.urls import origin_of
from comfyq.domain.webhook_delivery import (
    Attempted,
    WebhookDelivery,
    claimed,
    given_up,
    put_off,
    settled,
)
from comfyq.ports.clock import Clock
from comfyq.ports.webhooks import WebhookDoorbell, WebhookKey
from comfyq.records.jobs import JobRecords
from comfyq.records.webhooks.deliveries import WebhookDeliveryRecords, key_of
from comfyq.services.notify.webhook_courier import WebhookCourier
from comfyq.services.notify.webhook_receivers import NoReceiver, ReceiverPaused, WebhookReceivers

Render = Callable[[WebhookDelivery, Job, Spec], Awaitable[bytes]]
"""The body that tells a job as it is now."""


@dataclass(frozen=True, slots=True)
class _Sent:
    attempted: Attempted
    receiver: str | None = None  # without its path


class WebhookSender:
    """Send deliveries; any number of processes may do so at once."""

    def __init__(
        self,
        *,
        deliveries: WebhookDeliveryRecords,
        jobs: JobRecords,
        receivers: WebhookReceivers,
        courier: WebhookCourier,
        render: Render,
        doorbell: WebhookDoorbell,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._deliveries = deliveries
        self._jobs = jobs
        self._receivers = receivers
        self._courier = courier
        self._render = render
        self._doorbell = doorbell
        self._clock = clock
        self._chance = chance  # from 0 to 1: spreads retries

    async def send(self, key: WebhookKey) -> bool:
        """Send a delivery once, if it is due and nobody else does; return whether it was tried.

        Raises:
            Unavailable: what was needed could not be read or stored. The delivery is tried again,
                under the same id, once the lease of this try has ended.
        """
        delivery = await self._deliveries.get(key)
        now = self._clock.now()
        if delivery is None or not delivery.is_due(now):
            return False
        if delivery.is_over(now):
            ended = given_up(delivery)
            if await self._deliveries.save(ended):
                with log_context(job=key.job_id, delivery=delivery.id):
                    _log(ended, None)
            return False
        taken = claimed(delivery, now=now)
        if not await self._deliveries.save(taken):
            return False  # another sender came first
        with log_context(job=key.job_id, delivery=delivery.id):
            sent = await self._tried(taken)
            await self._settle(taken, sent)
        return True

    async def put_off(self, key: WebhookKey, *, until: datetime, why: str) -> None:
        """Have a delivery that is due sent later; raises Unavailable."""
        delivery = await self._deliveries.get(key)
        if delivery is None or not delivery.is_due(self._clock.now()):
            return
        later = put_off(delivery, until=until, why=why)
        if await self._deliveries.save(later):
            await self._ring(later, at=until)

    async def _tried(self, delivery: WebhookDelivery) -> _Sent:
        """Try once. A fault of ours is a try that failed: one without an end would be repeated as
        often as its lease ends, and for ever."""
        try:
            return await self._try(delivery)
        except DomainError:
            raise
        except Exception:
            log.exception("webhook_not_sent")
            return _Sent(Attempted(error="it could not be sent; the server's log says why"))

    async def _try(self, delivery: WebhookDelivery) -> _Sent:
        try:
            job = await self._jobs.get(delivery.job_id)
            spec = await self._jobs.spec(delivery.job_id)
            target = spec.webhook or ANYBODY
            url = await self._receivers.open_url_of(job, target)
        except (JobNotFound, NoReceiver) as why:
            return _Sent(Attempted(error=str(why), is_final=True))
        except ReceiverPaused as why:
            return _Sent(Attempted(error=str(why), not_before=why.until, is_tried=False))
        body = await self._render(delivery, job, spec)
        attempted = await self._courier.send(delivery.tenant, delivery.id, url, body)
        if attempted.code == HTTPStatus.GONE:
            await self._receivers.note_gone(job, target, url)
        return _Sent(attempted, origin_of(url))

    async def receiver_of(self, job_id: JobId) -> Receiver:
        """Return whom a job's webhooks go to; raises JobNotFound."""
        job, spec = await self._jobs.get(job_id), await self._jobs.spec(job_id)
        url = (spec.webhook or ANYBODY).url
        return Receiver(job.tenant, None if url is None else origin_of(url))

    async def _settle(self, delivery: WebhookDelivery, sent: _Sent) -> None:
        after = settled(delivery, sent.attempted, now=self._clock.now(), chance=self._chance())
        if not await self._deliveries.save(after):
            return  # it took longer than the lease, was asked for again, or a newer event came
        _log(after, sent.receiver)
        if after.is_pending:
            await self._ring(after, at=after.due_at)

    async def _ring(self, delivery: WebhookDelivery, *, at: datetime) -> None:
        try:
            await self._doorbell.ring([key_of(delivery)], at=at, tenant=delivery.tenant)
        except DomainError as away:  # the reaper rings
            log.warning("webhooks_not_rung", reason=str(away))


def _log(delivery: WebhookDelivery, receiver: str | None) -> None:
    told = {"event_type": str(delivery.event), "receiver": receiver, "code": delivery.code}
    if delivery.error is None:
        log.info("webhook_delivered", attempts=delivery.attempts, **told)
        return
    log.warning(
        "webhook_failed",
        attempts=delivery.attempts,
        state=str(delivery.state),
        reason=delivery.error,
        **told,
    )

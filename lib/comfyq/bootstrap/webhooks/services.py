"""The services of webhooks, each made at its first use."""

import random
from datetime import timedelta
from functools import cached_property

from comfyq.bootstrap.job_services import JobServices
from comfyq.bootstrap.webhooks.tenants import courier_of, poster_of, tenant_webhooks_of, watch_of
from comfyq.config import Backend
from comfyq.domain.job import Job
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.edges.api.output_views import NO_OUTPUTS
from comfyq.edges.api.webhooks.views import links_of, webhook_body
from comfyq.ports.webhooks import WebhookPost
from comfyq.records.webhooks.deliveries import WebhookDeliveryRecords
from comfyq.records.webhooks.gone import GoneReceiverRecords
from comfyq.services.jobs.webhook_deliveries import WebhookDeliveries
from comfyq.services.notify.due_webhooks import DueWebhooks
from comfyq.services.notify.receiver_watch import ReceiverWatch
from comfyq.services.notify.webhook_courier import WebhookCourier
from comfyq.services.notify.webhook_receivers import WebhookReceivers
from comfyq.services.notify.webhook_sender import WebhookSender
from comfyq.services.operations.reaper import HORIZON
from comfyq.services.operations.tenant_webhooks import TenantWebhooks

LATE = timedelta(seconds=20)  # then a ring of a queue is lost, or its sender has died


class WebhookServices(JobServices):
    """The services of webhooks, and of jobs, over one set of ports."""

    @cached_property
    def webhook_delivery_records(self) -> WebhookDeliveryRecords:
        return WebhookDeliveryRecords(self.ports.table)

    @cached_property
    def webhook_post(self) -> WebhookPost:
        return poster_of(self.settings.webhooks)

    @cached_property
    def webhook_courier(self) -> WebhookCourier:
        return courier_of(self, self.webhook_post)

    @cached_property
    def tenant_webhooks(self) -> TenantWebhooks:
        return tenant_webhooks_of(self, self.webhook_courier)

    @cached_property
    def receiver_watch(self) -> ReceiverWatch:
        return watch_of(self)

    @cached_property
    def webhook_receivers(self) -> WebhookReceivers:
        return WebhookReceivers(
            tenants=self.tenant_records,
            gone=GoneReceiverRecords(self.ports.table),
            watch=self.receiver_watch,
            clock=self.ports.clock,
        )

    @cached_property
    def webhook_deliveries(self) -> WebhookDeliveries:
        return WebhookDeliveries(
            queries=self.queries,
            records=self.webhook_delivery_records,
            jobs=self.records,
            receivers=self.webhook_receivers,
            doorbell=self.webhook_doorbell,
            clock=self.ports.clock,
        )

    @cached_property
    def webhook_sender(self) -> WebhookSender:
        return WebhookSender(
            deliveries=self.webhook_delivery_records,
            jobs=self.records,
            receivers=self.webhook_receivers,
            courier=self.webhook_courier,
            render=self._body,
            doorbell=self.webhook_doorbell,
            clock=self.ports.clock,
            chance=random.random,
        )

    @cached_property
    def due_webhooks(self) -> DueWebhooks:
        return DueWebhooks(
            deliveries=self.webhook_delivery_records,
            send=self.webhook_sender.send,
            receiver_of=self.webhook_sender.receiver_of,
            doorbell=self.webhook_doorbell,
            clock=self.ports.clock,
            ahead=HORIZON if self.ports.webhook_doorbell is None else -LATE,
        )

    async def _body(self, delivery: WebhookDelivery, job: Job, spec: Spec) -> bytes:
        api = self.settings.api
        links = links_of(
            spec,
            await self.links(),
            public_url=api.public_url,
            ws_url=api.ws_url,
            streams=self.settings.backend is not Backend.AWS,  # no function holds them open
        )
        outputs = NO_OUTPUTS
        if job.status.terminal:
            outputs = await self.records.output_page(job.id)
        return webhook_body(delivery, job, spec, outputs, links)

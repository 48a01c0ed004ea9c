"""What signs and sends a tenant's webhooks, by its table alone: for commands without a server."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from comfyq.adapters.fetching.poster import HttpPoster
from comfyq.bootstrap.access import AccessServices, opened_access
from comfyq.config import Settings, WebhookSettings
from comfyq.domain.webhook.signature import SECRET_BYTES, secret_of
from comfyq.ports.webhooks import WebhookPost
from comfyq.records.webhooks.failing_receivers import FailingReceiverRecords
from comfyq.records.webhooks.secrets import WebhookSecretRecords
from comfyq.services.notify.receiver_watch import ReceiverWatch
from comfyq.services.notify.webhook_courier import WebhookCourier
from comfyq.services.operations.tenant_webhooks import TenantWebhooks


def poster_of(settings: WebhookSettings) -> HttpPoster:
    return HttpPoster(allowed=settings.allowed)


def secrets_of(services: AccessServices) -> WebhookSecretRecords:
    return WebhookSecretRecords(services.ports.table, new_secret=_new_secret)


def watch_of(services: AccessServices) -> ReceiverWatch:
    records = FailingReceiverRecords(services.ports.table)
    return ReceiverWatch(records=records, clock=services.ports.clock)


def courier_of(services: AccessServices, post: WebhookPost) -> WebhookCourier:
    return WebhookCourier(
        secrets=secrets_of(services),
        post=post,
        watch=watch_of(services),
        clock=services.ports.clock,
    )


def tenant_webhooks_of(services: AccessServices, courier: WebhookCourier) -> TenantWebhooks:
    return TenantWebhooks(
        tenants=services.tenant_records,
        secrets=secrets_of(services),
        courier=courier,
        watch=watch_of(services),
        audit=services.audit,
        clock=services.ports.clock,
        new_id=lambda: secrets.token_hex(16),
        allowed=services.settings.webhooks.allowed,
    )


@asynccontextmanager
async def opened_webhooks(settings: Settings) -> AsyncIterator[TenantWebhooks]:
    """Yield the webhooks of a deployment's tenants, by its table alone.

    Raises:
        MissingSetting, TableUnavailable.
    """
    async with opened_access(settings) as services:
        courier = courier_of(services, poster_of(settings.webhooks))
        yield tenant_webhooks_of(services, courier)


def _new_secret() -> str:
    return secret_of(secrets.token_bytes(SECRET_BYTES))

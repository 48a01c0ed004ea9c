"""The default webhook of a tenant and its secrets, for its administrators and the operator."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from comfyq.domain.audit import Actor, AuditAction
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import FieldError, InvalidParameters
from comfyq.domain.public_addresses import Allowed
from comfyq.domain.webhook.default import DefaultWebhook
from comfyq.domain.webhook.failing_receiver import FailingReceiver
from comfyq.domain.webhook.secrets import WebhookSecrets
from comfyq.domain.webhook.urls import shown_url, unreachable
from comfyq.domain.webhook_delivery import Attempted
from comfyq.ports.clock import Clock
from comfyq.records.tenants import TenantRecords
from comfyq.records.webhooks.secrets import WebhookSecretRecords
from comfyq.services.access.audit import Audit
from comfyq.services.notify.receiver_watch import ReceiverWatch
from comfyq.services.notify.webhook_courier import WebhookCourier

TEST = "webhook.test"


class TenantWebhooks:
    def __init__(
        self,
        *,
        tenants: TenantRecords,
        secrets: WebhookSecretRecords,
        courier: WebhookCourier,
        watch: ReceiverWatch,
        audit: Audit,
        clock: Clock,
        new_id: Callable[[], str],
        allowed: Allowed,
    ) -> None:
        self._tenants = tenants
        self._secrets = secrets
        self._courier = courier
        self._watch = watch
        self._audit = audit
        self._clock = clock
        self._new_id = new_id
        self._allowed = allowed  # to be told although it is not public

    async def default(self, tenant: TenantId) -> DefaultWebhook | None:
        """Return who is told of jobs that name nobody; None: nobody is."""
        return (await self._tenants.get(tenant)).webhook

    async def failing(self, tenant: TenantId) -> Sequence[FailingReceiver]:
        """Return the receivers of the tenant's webhooks to which nothing arrives."""
        return await self._watch.of_tenant(tenant)

    async def set(
        self, tenant: TenantId, webhook: DefaultWebhook | None, *, by: Actor
    ) -> DefaultWebhook | None:
        """Change the default, for jobs that are accepted from half a minute later on. What is still
        to be told of earlier ones goes to the new one, or is dropped if there is none (None).

        Raises:
            InvalidParameters: nothing would ever be sent to its URL.
        """
        if webhook is not None and (why := unreachable(webhook.url, self._allowed)) is not None:
            raise InvalidParameters([FieldError("url", why)])
        shown = "none" if webhook is None else shown_url(webhook.url)
        await self._audit.note(tenant, by, AuditAction.WEBHOOK_CHANGED, tenant, url=shown)
        await self._tenants.change(tenant, lambda now: replace(now, webhook=webhook))
        if webhook is not None:
            await self._watch.resume(tenant, webhook.url)
        return webhook

    async def secrets(self, tenant: TenantId, *, by: Actor) -> WebhookSecrets:
        """Return the secrets that sign the tenant's webhooks."""
        await self._audit.note(tenant, by, AuditAction.WEBHOOK_SECRET_SHOWN, tenant)
        return self._valid(await self._secrets.of(tenant))

    async def rotate(self, tenant: TenantId, *, by: Actor) -> WebhookSecrets:
        """Make a new secret, beside which the one before signs for a day more."""
        now = self._clock.now()
        await self._audit.note(tenant, by, AuditAction.WEBHOOK_SECRET_ROTATED, tenant)
        return await self._secrets.rotate(tenant, lambda known, new: known.rotated(new, now=now))

    async def test(self, tenant: TenantId) -> Attempted:
        """Send a message of type TEST to the default webhook, and return what came of it.

        Raises:
            InvalidParameters: there is none.
        """
        webhook = await self.default(tenant)
        if webhook is None:
            raise InvalidParameters(
                [FieldError("url", "there is no default webhook; set it first")]
            )
        at = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = {"type": TEST, "timestamp": at, "data": {"tenant": tenant}}
        message_id = f"msg_test_{self._new_id()}"
        return await self._courier.send(tenant, message_id, webhook.url, json.dumps(body).encode())

    def _valid(self, secrets: WebhookSecrets) -> WebhookSecrets:
        """Return the secrets without one that signs no more."""
        both = len(secrets.at(self._clock.now())) > 1
        return secrets if both else WebhookSecrets(current=secrets.current)

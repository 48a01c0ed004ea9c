"""``/webhooks``: who is told of a tenant's jobs by default, for its administrators."""

from typing import Annotated, Protocol

from fastapi import Depends, Request

from comfyq.domain.audit import Actor
from comfyq.domain.caller import Caller
from comfyq.edges.api.authentication import Administrator
from comfyq.edges.api.dependencies import require_json, services_of
from comfyq.edges.api.responses import JSON_BODY, problems
from comfyq.edges.api.router import Router
from comfyq.edges.api.serving.waiting_place import leave_waiting_place
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.services.operations.tenant_webhooks import TenantWebhooks
from comfyq.wire.webhooks import WebhookChange, WebhookSecretsView, WebhookTest, WebhookView


class WebhookServices(Protocol):
    """The services that these routes call."""

    @property
    def tenant_webhooks(self) -> TenantWebhooks: ...

    @property
    def rate_limit(self) -> RateLimit: ...


Services = Annotated[WebhookServices, Depends(services_of)]

router = Router[WebhookServices](prefix="/webhooks", tags=["webhooks"])


@router.get("")
async def show(services: Services, caller: Administrator) -> WebhookView:
    """Who is told of your tenant's jobs whose requests name nobody, and which receivers fail."""
    return await _shown(services, caller)


@router.put("", dependencies=[Depends(require_json)], responses=JSON_BODY)
async def change(services: Services, caller: Administrator, body: WebhookChange) -> WebhookView:
    """Say who is told. It holds for jobs that are accepted from half a minute later on; what is
    still to be told of earlier ones goes there too."""
    await services.tenant_webhooks.set(caller.tenant, body.webhook, by=Actor.of(caller))
    return await _shown(services, caller)


@router.delete("")
async def delete(services: Services, caller: Administrator) -> WebhookView:
    """Tell nobody; what is still to be told is dropped. Doing it again is no error."""
    await services.tenant_webhooks.set(caller.tenant, None, by=Actor.of(caller))
    return await _shown(services, caller)


@router.get("/secret")
async def secret(services: Services, caller: Administrator) -> WebhookSecretsView:
    """The secrets that sign every webhook of your tenant's jobs."""
    webhooks = services.tenant_webhooks
    return WebhookSecretsView.of(await webhooks.secrets(caller.tenant, by=Actor.of(caller)))


@router.post("/secret/rotate")
async def rotate(services: Services, caller: Administrator) -> WebhookSecretsView:
    """Make a new secret. For a day, webhooks are signed by the one before as well."""
    webhooks = services.tenant_webhooks
    return WebhookSecretsView.of(await webhooks.rotate(caller.tenant, by=Actor.of(caller)))


@router.post("/test", responses=problems(429))
async def test(http: Request, services: Services, caller: Administrator) -> WebhookTest:
    """Send a message of type `webhook.test` there, once, and tell what came of it. It counts as a
    request, as a submission does."""
    await services.rate_limit.acquire(caller)
    leave_waiting_place(http)  # it is the receiver that is waited for
    return WebhookTest.of(await services.tenant_webhooks.test(caller.tenant))


async def _shown(services: WebhookServices, caller: Caller) -> WebhookView:
    webhooks = services.tenant_webhooks
    default = await webhooks.default(caller.tenant)
    return WebhookView.of(default, await webhooks.failing(caller.tenant))

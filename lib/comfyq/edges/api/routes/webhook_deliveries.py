"""``/generate/{job_id}/deliveries``: what a job's webhook was told."""

from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, Path

from comfyq.domain.webhook_delivery import DeliveryId
from comfyq.edges.api.authentication import Reader, Retrier
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.ids import JobIdInPath
from comfyq.edges.api.links import GENERATE
from comfyq.edges.api.responses import problems
from comfyq.edges.api.router import Router
from comfyq.services.jobs.webhook_deliveries import WebhookDeliveries
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.wire.generate.webhook_deliveries import DeliveryList, DeliveryView


class WebhookDeliveryServices(Protocol):
    """The services that these routes call."""

    @property
    def webhook_deliveries(self) -> WebhookDeliveries: ...

    @property
    def rate_limit(self) -> RateLimit: ...


Services = Annotated[WebhookDeliveryServices, Depends(services_of)]
DeliveryIdInPath = Annotated[DeliveryId, Path(description="`webhook-id`.", max_length=150)]

router = Router[WebhookDeliveryServices](prefix=GENERATE, tags=["webhooks"])


@router.get("/{job_id}/deliveries", responses=problems(404))
async def listing(services: Services, caller: Reader, job_id: JobIdInPath) -> DeliveryList:
    """The webhooks of a job: what became of each, and when it is tried again."""
    deliveries = await services.webhook_deliveries.of(caller, job_id)
    return DeliveryList(deliveries=[DeliveryView.of(each) for each in deliveries])


@router.post(
    "/{job_id}/deliveries/{delivery_id}/redeliver",
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(404, 429)
    | {202: {"description": "It is sent at once, and tried for a day."}},
)
async def redeliver(
    services: Services, caller: Retrier, job_id: JobIdInPath, delivery_id: DeliveryIdInPath
) -> DeliveryView:
    """Send a webhook once more, under the same `webhook-id`, whatever became of it. It counts as a
    request, as a submission does."""
    await services.rate_limit.acquire(caller)
    return DeliveryView.of(await services.webhook_deliveries.redeliver(caller, job_id, delivery_id))

"""``/quota``: what a client may use."""

from typing import Annotated, Protocol

from fastapi import Depends

from comfyq.edges.api.authentication import Reader
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.router import Router
from comfyq.services.operations.quotas import Quotas
from comfyq.wire.quota import QuotaView


class QuotaServices(Protocol):
    """The services that this route calls."""

    @property
    def quotas(self) -> Quotas: ...


router = Router[QuotaServices](prefix="/quota", tags=["quota"])


@router.get("")
async def show(
    services: Annotated[QuotaServices, Depends(services_of)], caller: Reader
) -> QuotaView:
    """Your limits, and what you have used of each."""
    return QuotaView.of(caller, await services.quotas.of(caller))

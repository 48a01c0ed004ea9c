"""``/health``: the state of the system as a whole."""

from typing import Annotated, Protocol

from fastapi import Depends, Request

from comfyq.edges.api.authentication import ANYONE
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.router import Router
from comfyq.ports.authenticator import Authenticator
from comfyq.services.operations.health import Health
from comfyq.wire.health import HealthView


class HealthServices(Protocol):
    """The services that this route calls."""

    @property
    def authenticator(self) -> Authenticator: ...

    @property
    def health(self) -> Health: ...


router = Router[HealthServices](tags=["health"])


@router.get("/health", dependencies=[ANYONE])
async def show(
    request: Request, services: Annotated[HealthServices, Depends(services_of)]
) -> HealthView:
    """Say whether a job would run now. Always 200: `status` says how it is, `reason` says why."""
    report = await services.health.check()
    asks = services.authenticator.asks
    return HealthView.of(report, version=request.app.version, is_public=asks)

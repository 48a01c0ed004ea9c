"""``/health``: the whole system's state, and this server's for those who start and stop it."""

from typing import Annotated, Protocol

from fastapi import Depends, Request

from comfyq.edges.api.authentication import ANYONE, KnownCaller
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.responses import problems
from comfyq.edges.api.router import Router
from comfyq.ports.access.authenticator import Authenticator
from comfyq.services.operations.health import Health
from comfyq.wire.health import HealthView, StateView


class HealthServices(Protocol):
    """The services that this route calls."""

    @property
    def authenticator(self) -> Authenticator: ...

    @property
    def health(self) -> Health: ...


router = Router[HealthServices](tags=["health"])


@router.get("/health", dependencies=[ANYONE])
async def show(
    request: Request,
    services: Annotated[HealthServices, Depends(services_of)],
    caller: KnownCaller,
) -> HealthView:
    """Say whether a job would run now. Always 200: `status` says how it is, `reason` says why.

    No key is needed. Where other routes need one, who shows none is told the first three
    fields alone; an administrator's also shows `paused_webhook_receivers`."""
    report, version = await services.health.check(caller), request.app.version
    if caller is None:
        return HealthView.for_strangers(report, version=version)
    return HealthView.of(report, version=version, is_shared=services.authenticator.asks)


@router.get("/health/live", dependencies=[ANYONE])
async def live() -> StateView:
    """Say that this process answers. A server that does not has to be restarted."""
    return StateView(status="live")


@router.get("/health/ready", dependencies=[ANYONE], responses=problems(503))
async def ready(services: Annotated[HealthServices, Depends(services_of)]) -> StateView:
    """Say that this server can take requests: its table is read and written. Workers do not
    matter: jobs wait for them."""
    await services.health.require_ready()
    return StateView(status="ready")

"""``/tenants``: what holds for one tenant alone, for its administrators."""

from datetime import timedelta
from typing import Annotated, Protocol

from fastapi import Depends, Path

from comfyq.domain.caller import TenantId
from comfyq.edges.api.authentication import Administrator
from comfyq.edges.api.dependencies import require_json, services_of
from comfyq.edges.api.responses import JSON_BODY, problems
from comfyq.edges.api.router import Router
from comfyq.services.operations.tenants import Tenants
from comfyq.wire.tenants import TenantChange, TenantView


class TenantServices(Protocol):
    """The services that these routes call."""

    @property
    def tenants(self) -> Tenants: ...


Services = Annotated[TenantServices, Depends(services_of)]
TenantInPath = Annotated[TenantId, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

router = Router[TenantServices](prefix="/tenants", tags=["tenants"])


@router.get("/{tenant_id}", responses=problems(404))
async def show(services: Services, caller: Administrator, tenant_id: TenantInPath) -> TenantView:
    """Your tenant, and how long its ended jobs and files are kept."""
    return TenantView.of(await services.tenants.own(caller, tenant_id))


@router.put(
    "/{tenant_id}", dependencies=[Depends(require_json)], responses=JSON_BODY | problems(404)
)
async def change(
    services: Services, caller: Administrator, tenant_id: TenantInPath, body: TenantChange
) -> TenantView:
    """Say how long your tenant's ended jobs and files are kept. It holds for jobs that end, and
    files that are used, from half a minute later on."""
    time = None if body.retention_s is None else timedelta(seconds=body.retention_s)
    return TenantView.of(await services.tenants.keep_own(caller, tenant_id, time))

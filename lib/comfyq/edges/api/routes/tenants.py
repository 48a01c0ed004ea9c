"""``/tenants``: what holds for one tenant alone, and the deletion of its data, for its
administrators."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, Response

from comfyq.edges.api.authentication import Administrator
from comfyq.edges.api.dependencies import ClientLinks, require_json, services_of
from comfyq.edges.api.ids import TenantInPath
from comfyq.edges.api.responses import JSON_BODY, problems
from comfyq.edges.api.router import Router
from comfyq.services.operations.tenants import Tenants
from comfyq.wire.tenants import DataView, TenantChange, TenantView


class TenantServices(Protocol):
    """The services that these routes call."""

    @property
    def tenants(self) -> Tenants: ...


Services = Annotated[TenantServices, Depends(services_of)]

router = Router[TenantServices](prefix="/tenants", tags=["tenants"])


@router.get("/{tenant_id}", responses=problems(404))
async def show(services: Services, caller: Administrator, tenant_id: TenantInPath) -> TenantView:
    """Your tenant (an operator's: any), and how long its ended jobs and files are kept."""
    return TenantView.of(await services.tenants.kept_for(caller, tenant_id))


@router.put(
    "/{tenant_id}", dependencies=[Depends(require_json)], responses=JSON_BODY | problems(404)
)
async def change(
    services: Services, caller: Administrator, tenant_id: TenantInPath, body: TenantChange
) -> TenantView:
    """Say how long your tenant's ended jobs and files are kept, or as an operator any tenant's. It
    holds for jobs that end, and files that are used, from half a minute later on."""
    time = None if body.retention_s is None else timedelta(seconds=body.retention_s)
    return TenantView.of(await services.tenants.keep_for(caller, tenant_id, time))


@router.get("/{tenant_id}/data", responses=problems(404))
async def show_data(services: Services, caller: Administrator, tenant_id: TenantInPath) -> DataView:
    """How far the deletion of all data of your tenant is, or for an operator of any tenant, if it
    was asked for."""
    return DataView.of(await services.tenants.data_for(caller, tenant_id))


@router.delete("/{tenant_id}/data", status_code=HTTPStatus.ACCEPTED, responses=problems(404))
async def delete_data(
    services: Services,
    caller: Administrator,
    links: ClientLinks,
    tenant_id: TenantInPath,
    response: Response,
) -> DataView:
    """Delete all data of your tenant, or as an operator of any: jobs, which are canceled before,
    with their files, batches, files that were sent, dead letters, and what is known of requests.
    Its keys, what holds for it and the audit log stay.

    It is accepted here and done piece by piece, for a minute at least; while it goes on, jobs and
    files are answered 409 `data-being-deleted`. Asking again meanwhile changes nothing.
    """
    tenant = await services.tenants.delete_data_for(caller, tenant_id)
    response.headers["Location"] = links.tenant_data(tenant.id)
    return DataView.of(tenant)

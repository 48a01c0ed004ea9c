"""``/audit``: who did what to a tenant's keys and data."""

from typing import Annotated, Protocol

from fastapi import Depends, Query

from comfyq.edges.api.authentication import Administrator, tenant_for
from comfyq.edges.api.cursors import CursorInQuery, decode_cursor, encode_cursor
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.ids import TenantInQuery
from comfyq.edges.api.router import Router
from comfyq.services.access.audit import Audit
from comfyq.wire.audit import AuditLog


class AuditServices(Protocol):
    """The services that these routes call."""

    @property
    def audit(self) -> Audit: ...


Services = Annotated[AuditServices, Depends(services_of)]

router = Router[AuditServices](prefix="/audit", tags=["audit"])


@router.get("")
async def listing(
    services: Services,
    caller: Administrator,
    tenant: TenantInQuery = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: CursorInQuery = None,
) -> AuditLog:
    """What was done to your tenant's keys, jobs, dead letters and data, or for an operator to any
    tenant's; kept for a year, newest first."""
    after = None if cursor is None else decode_cursor(cursor)
    entries, following = await services.audit.page(
        tenant_for(caller, tenant), limit=limit, after=after
    )
    return AuditLog.of(entries, None if following is None else encode_cursor(following))

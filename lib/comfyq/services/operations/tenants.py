"""What is said of one tenant alone: by its administrators, and by an operator."""

from dataclasses import dataclass, replace
from datetime import timedelta

from comfyq.domain.audit import Actor, AuditAction
from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import FieldError, InvalidParameters, TenantNotFound
from comfyq.records.tenants import TenantRecords
from comfyq.services.access.audit import Audit
from comfyq.services.limits.retention import Retention


@dataclass(frozen=True, slots=True)
class KeptFor:
    """How long a tenant's ended jobs and files are kept; ``own``: by what is said of it alone."""

    tenant: TenantId
    time: timedelta
    own: bool


class Tenants:
    """Show and change tenants; to a caller, another tenant than its own does not exist."""

    def __init__(self, *, records: TenantRecords, retention: Retention, audit: Audit) -> None:
        self._records = records
        self._retention = retention
        self._audit = audit

    async def kept(self, tenant: TenantId) -> KeptFor:
        said = (await self._records.get(tenant)).retention_s
        if said is None:
            return KeptFor(tenant, self._retention.usual, own=False)
        return KeptFor(tenant, timedelta(seconds=said), own=True)

    async def keep(self, tenant: TenantId, time: timedelta | None, *, by: Actor) -> KeptFor:
        """Keep what is the tenant's for ``time``, or as long as is usual (None).

        It holds for jobs that end, and files that are used, from half a minute later on.
        """
        said = None if time is None else int(time.total_seconds())
        retention = "usual" if said is None else f"{said} s"
        changed = AuditAction.RETENTION_CHANGED
        await self._audit.note(tenant, by, changed, tenant, retention=retention)
        await self._records.change(tenant, lambda now: replace(now, retention_s=said))
        return await self.kept(tenant)

    async def own(self, caller: Caller, tenant: TenantId) -> KeptFor:
        """Return how long what is the caller's own tenant's is kept; raises TenantNotFound."""
        require_own(caller, tenant)
        return await self.kept(tenant)

    async def keep_own(self, caller: Caller, tenant: TenantId, time: timedelta | None) -> KeptFor:
        """Change what ``own`` returns.

        Raises:
            TenantNotFound: it is not the caller's.
            InvalidParameters: longer than is usual, which an operator alone may allow.
        """
        require_own(caller, tenant)
        if time is not None and time > self._retention.usual:
            most = int(self._retention.usual.total_seconds())
            raise InvalidParameters(
                [
                    FieldError(
                        "retention_s",
                        f"is at most {most} (COMFYQ_RETENTION_S) here; for "
                        "longer, ask whoever runs this server",
                    )
                ]
            )
        return await self.keep(tenant, time, by=Actor.of(caller))


def require_own(caller: Caller, tenant: TenantId) -> None:
    """Raise TenantNotFound unless a tenant is the caller's own."""
    if tenant != caller.tenant:
        raise TenantNotFound("there is no such tenant here")

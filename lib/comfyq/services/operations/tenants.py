"""What is said of one tenant alone, by its administrators and by an operator; and the deletion of
its data, which they begin."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from comfyq.domain.audit import Actor, AuditAction
from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import FieldError, InvalidParameters, TenantNotFound
from comfyq.domain.tenant import Limits, Tenant, begin_deletion
from comfyq.ports.clock import Clock
from comfyq.records.tenants import TenantRecords
from comfyq.services.access.audit import Audit
from comfyq.services.limits.known_tenants import KnownTenants
from comfyq.services.limits.retention import Retention


@dataclass(frozen=True, slots=True)
class KeptFor:
    """How long a tenant's ended jobs and files are kept; ``own``: by what is said of it alone."""

    tenant: TenantId
    time: timedelta
    own: bool


class Tenants:
    """Show and change tenants. To a caller that is no operator, another tenant than its own does
    not exist."""

    def __init__(
        self,
        *,
        records: TenantRecords,
        known: KnownTenants,
        retention: Retention,
        audit: Audit,
        clock: Clock,
        on_due: Callable[[datetime], None],
    ) -> None:
        """``on_due`` is called with the time at which the reaper has something to do."""
        self._records = records
        self._known = known
        self._retention = retention
        self._audit = audit
        self._clock = clock
        self._on_due = on_due

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

    async def limit(
        self, tenant: TenantId, limits: Limits, *, reset: bool = False, by: Actor
    ) -> Tenant:
        """Give a tenant limits of its own, over those that it has, or instead of them (``reset``).

        They hold from half a minute later on.
        """
        said = {name: str(most) for name, most in asdict(limits).items() if most is not None}
        if reset:
            said["reset"] = "all others"
        await self._audit.note(tenant, by, AuditAction.LIMITS_CHANGED, tenant, **said)

        def change(old: Tenant) -> Tenant:
            return replace(old, limits=limits.over(Limits() if reset else old.limits))

        return await self._records.change(tenant, change)

    async def kept_for(self, caller: Caller, tenant: TenantId) -> KeptFor:
        """Return how long a tenant's things are kept; raises TenantNotFound, as all that a caller
        asks does of another tenant than its own unless it is an operator."""
        require_right(caller, tenant)
        return await self.kept(tenant)

    async def keep_for(self, caller: Caller, tenant: TenantId, time: timedelta | None) -> KeptFor:
        """Change what ``kept_for`` returns.

        Raises:
            TenantNotFound.
            InvalidParameters: longer than is usual, which an operator alone may allow.
        """
        require_right(caller, tenant)
        is_longer = time is not None and time > self._retention.usual
        if is_longer and not caller.is_operator:
            most = int(self._retention.usual.total_seconds())
            raise InvalidParameters(
                [
                    FieldError(
                        "retention_s",
                        f"is at most {most} (COMFYQ_RETENTION_S) here; for "
                        "longer, ask an operator of this server",
                    )
                ]
            )
        return await self.keep(tenant, time, by=Actor.of(caller))

    async def data(self, tenant: TenantId) -> Tenant:
        """Return a tenant with the last deletion of its data."""
        return await self._records.get(tenant)

    async def delete_data(self, tenant: TenantId, *, by: Actor) -> Tenant:
        """Begin to delete all data of a tenant, which the reaper goes on with; from half a minute
        later on no process lets it store anything new. While that goes on, nothing is begun anew.
        """
        before = await self._records.get(tenant)
        if before.is_being_deleted:
            return before
        await self._audit.note(tenant, by, AuditAction.DATA_DELETION_BEGUN, tenant)
        now = self._clock.now()
        begun = await self._records.change(tenant, partial(begin_deletion, now=now))
        self._known.forget(tenant)
        self._on_due(now)
        return begun

    async def data_for(self, caller: Caller, tenant: TenantId) -> Tenant:
        """Return what ``data`` does; raises TenantNotFound."""
        require_right(caller, tenant)
        return await self.data(tenant)

    async def delete_data_for(self, caller: Caller, tenant: TenantId) -> Tenant:
        """Do what ``delete_data`` does; raises TenantNotFound."""
        require_right(caller, tenant)
        return await self.delete_data(tenant, by=Actor.of(caller))


def require_right(caller: Caller, tenant: TenantId) -> None:
    """Raise TenantNotFound unless a tenant is the caller's own, or the caller is an operator."""
    if tenant != caller.tenant and not caller.is_operator:
        raise TenantNotFound("there is no such tenant here")

"""The limits of each tenant: its own, and the settings' where it has none."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import DataBeingDeleted
from comfyq.domain.recency import is_recent
from comfyq.domain.tenant import Limits, Tenant
from comfyq.services.limits.known_tenants import READ_EVERY, KnownTenants

SETTINGS: Mapping[str, str] = {  # that set each limit
    "requests_per_minute": "COMFYQ_REQUESTS_PER_MINUTE",
    "jobs_per_day": "COMFYQ_JOBS_PER_DAY",
    "waiting_jobs": "COMFYQ_WAITING_JOBS",
    "stored_bytes": "COMFYQ_UPLOADS_BYTES",
    "output_bytes": "COMFYQ_OUTPUT_BYTES",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedLimits:
    """The limits that hold for a tenant; None: there is none."""

    requests_per_minute: int | None = None
    jobs_per_day: int | None = None
    waiting_jobs: int
    stored_bytes: int
    output_bytes: int | None = None
    own: frozenset[str] = frozenset()  # names of those that are said of it alone

    def beside(self, said: Limits) -> "AppliedLimits":
        """Return these limits, but for those that are said of a tenant alone."""
        own = {
            name: value
            for name in {each.name for each in fields(said)} & SETTINGS.keys()
            if (value := getattr(said, name)) is not None
        }
        return replace(self, **own, own=frozenset(own))

    def source(self, name: str) -> str:
        """Return what sets a limit, for who wants it raised."""
        return "the tenant's own limit" if name in self.own else SETTINGS[name]


class TenantLimits:
    def __init__(self, *, tenants: KnownTenants, settings: AppliedLimits) -> None:
        self._tenants = tenants
        self._settings = settings
        self._last: tuple[Tenant, AppliedLimits] | None = None  # of the one that was asked for last

    async def of(self, tenant: TenantId) -> AppliedLimits:
        """Return the limits that hold for a tenant; raises TableUnavailable."""
        said = await self._tenants.get(tenant)
        if self._last is None or self._last[0] is not said:  # each request asks several times
            self._last = said, self._settings.beside(said.limits)
        return self._last[1]

    async def require_kept(self, tenant: TenantId, *, since: datetime, now: datetime) -> None:
        """Let a tenant store what it has been sending ``since`` then.

        Nothing is read for a file that was sent within READ_EVERY. If a deletion had begun that
        this process does not know of yet, it still goes on and deletes the file: it lasts LETS_IN
        at least, twice READ_EVERY.

        Raises:
            DataBeingDeleted: all that it has is being deleted, or was meanwhile.
            TableUnavailable.
        """
        if is_recent(since, now, within=READ_EVERY):
            return
        self._tenants.forget(tenant)
        await self.require_open(tenant)
        deletion = (await self._tenants.get(tenant)).deletion
        if deletion is not None and deletion.ended_at is not None and deletion.ended_at >= since:
            raise DataBeingDeleted(
                f"all data of tenant {tenant} was deleted while the file was sent; send it again"
            )

    async def require_open(self, tenant: TenantId) -> None:
        """Let a tenant store something new, as far as was read of it in the last half minute.

        Raises:
            DataBeingDeleted: all that it has is being deleted.
            TableUnavailable.
        """
        if (await self._tenants.get(tenant)).is_being_deleted:
            raise DataBeingDeleted(
                f"all data of tenant {tenant} is being deleted, so it makes no jobs and stores no "
                f"files; send it again when that has ended, which takes a minute or more (to its "
                f"administrators, GET /tenants/{tenant}/data says how far it is)"
            )

"""The limits of each tenant: its own, and the settings' where it has none."""

from comfyq.domain.caller import TenantId
from comfyq.domain.tenant import Limits, Tenant
from comfyq.services.limits.known_tenants import KnownTenants


class TenantLimits:
    def __init__(self, *, tenants: KnownTenants, settings: Limits) -> None:
        self._tenants = tenants
        self._settings = settings
        self._last: tuple[Tenant, Limits] | None = None  # of the one that was asked for last

    async def of(self, tenant: TenantId) -> Limits:
        """Return the limits that hold for a tenant; raises TableUnavailable."""
        said = await self._tenants.get(tenant)
        if self._last is None or self._last[0] is not said:  # each request asks several times
            self._last = said, said.limits.over(self._settings)
        return self._last[1]

"""The limits of each tenant: its own, and the settings' where it has none."""

from comfyq.domain.caller import TenantId
from comfyq.domain.tenant import Limits
from comfyq.services.limits.known_tenants import KnownTenants


class TenantLimits:
    def __init__(self, *, tenants: KnownTenants, settings: Limits) -> None:
        self._tenants = tenants
        self._settings = settings

    async def of(self, tenant: TenantId) -> Limits:
        """Return the limits that hold for a tenant; raises TableUnavailable."""
        return (await self._tenants.get(tenant)).limits.over(self._settings)

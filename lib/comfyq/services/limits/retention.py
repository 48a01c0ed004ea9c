"""The time for which a tenant's ended jobs and files are kept."""

from datetime import timedelta

from comfyq.domain.caller import TenantId
from comfyq.services.limits.known_tenants import KnownTenants


class Retention:
    """Tells how long a tenant's things are kept.

    A job gets its deadline when its end is announced, and a file whenever it is used: a change
    holds for those that end, or are used, from then on.
    """

    def __init__(self, *, tenants: KnownTenants, usual: timedelta) -> None:
        self.usual = usual  # of tenants of which nothing is said
        self._tenants = tenants

    async def of(self, tenant: TenantId) -> timedelta:
        """Return how long what is the tenant's is kept; raises TableUnavailable."""
        said = (await self._tenants.get(tenant)).retention_s
        return self.usual if said is None else timedelta(seconds=said)

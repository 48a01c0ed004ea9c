"""What is said of each tenant alone, as far as it was read lately."""

from datetime import datetime, timedelta

from comfyq.domain.caller import TenantId
from comfyq.domain.recency import is_recent
from comfyq.domain.tenant import Tenant
from comfyq.ports.clock import Clock
from comfyq.records.tenants import TenantRecords

READ_EVERY = timedelta(seconds=30)  # a change holds in every process after so long
TENANTS = 1_000  # that are remembered


class KnownTenants:
    """Reads a tenant's record once in a while, so that its requests and jobs cost no read each."""

    def __init__(self, *, records: TenantRecords, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._known: dict[TenantId, tuple[Tenant, datetime]] = {}  # and when it was read

    def forget(self, tenant: TenantId) -> None:
        """Read a tenant anew at the next question: it was changed here."""
        self._known.pop(tenant, None)

    async def get(self, tenant: TenantId) -> Tenant:
        """Return what is said of a tenant, at most 30 s old; raises TableUnavailable."""
        now = self._clock.now()
        known = self._known.get(tenant)
        if known is not None and is_recent(known[1], now, within=READ_EVERY):
            return known[0]
        said = await self._records.get(tenant)
        self._known.pop(tenant, None)
        self._known[tenant] = said, now
        if len(self._known) > TENANTS:
            self._known.pop(next(iter(self._known)))
        return said

"""The limits of each tenant: its own, and the settings' where it has none."""

from time import monotonic

from comfyq.domain.caller import TenantId
from comfyq.domain.tenant import Limits
from comfyq.records.tenants import TenantRecords

READ_EVERY_S = 30.0  # a change holds in every process after so long
TENANTS = 1_000  # whose limits are remembered


class TenantLimits:
    """Reads a tenant's record once in a while, so that its requests cost no read each."""

    def __init__(self, *, records: TenantRecords, settings: Limits) -> None:
        self._records = records
        self._settings = settings
        self._known: dict[TenantId, tuple[Limits, float]] = {}  # and when they were read

    async def of(self, tenant: TenantId) -> Limits:
        """Return the limits that hold for a tenant; raises TableUnavailable."""
        known = self._known.get(tenant)
        if known is not None and monotonic() - known[1] < READ_EVERY_S:
            return known[0]
        limits = (await self._records.get(tenant)).limits.over(self._settings)
        self._known.pop(tenant, None)
        self._known[tenant] = limits, monotonic()
        if len(self._known) > TENANTS:
            self._known.pop(next(iter(self._known)))
        return limits

    def forget(self) -> None:
        """Read every tenant's record again when it is needed next."""
        self._known.clear()

"""The limit on the bytes of a tenant's outputs."""

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import OutputsFull
from comfyq.records.limits.output_bytes import OutputBytes
from comfyq.services.limits.retention import Retention
from comfyq.services.limits.tenant_limits import TenantLimits


class OutputLimit:
    """Refuses jobs of a tenant whose outputs take as many bytes as they may. Those that were
    accepted before run, and their outputs are kept, so that it may go over by what waits."""

    def __init__(
        self, *, records: OutputBytes | None, limits: TenantLimits, retention: Retention
    ) -> None:
        self._records = records  # None: COMFYQ_OUTPUT_BYTES is not set, and nobody counts
        self._limits = limits
        self._retention = retention

    async def used(self, tenant: TenantId) -> tuple[int, int] | None:
        """Return the bytes that a tenant's outputs take, and how many they may; None: as many as
        it likes, and nobody counts."""
        limits = await self._limits.of(tenant)
        if self._records is None or limits.output_bytes is None:
            return None
        kept = max(self._retention.usual, await self._retention.of(tenant))
        return await self._records.of(tenant, kept=kept), limits.output_bytes

    async def require_room(self, tenant: TenantId) -> None:
        """Raise OutputsFull if a tenant's outputs take as many bytes as they may."""
        if (share := await self.used(tenant)) is None or share[0] < share[1]:
            return
        used, most = share
        limits, kept = await self._limits.of(tenant), await self._retention.of(tenant)
        raise OutputsFull(
            f"the outputs of your jobs take {used} bytes; the most is {most} "
            f"({limits.source('output_bytes')}), and jobs that are accepted before may go beyond "
            f"it; each is deleted {kept.total_seconds():.0f} s after its job has ended: wait for "
            "that, delete jobs (`comfyq delete`, or DELETE /generate/{id}?purge=true), or have the "
            "limit raised"
        )

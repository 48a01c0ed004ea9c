"""The audit log of each tenant, kept for a year."""

from collections.abc import Sequence

from comfyq.domain.audit import Actor, AuditAction, AuditEntry
from comfyq.domain.caller import TenantId
from comfyq.ports.clock import Clock
from comfyq.ports.table import Cursor
from comfyq.records.access.audit import AuditRecords


class Audit:
    """Note what is about to be done: what cannot be noted is not done."""

    def __init__(self, *, records: AuditRecords, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def note(
        self, tenant: TenantId, by: Actor, action: AuditAction, subject: str, **details: str
    ) -> None:
        """Add an entry, before the action; raises TableUnavailable."""
        await self._records.add(
            AuditEntry(
                tenant=tenant,
                at=self._clock.now(),
                actor=by,
                action=action,
                subject=subject,
                details=details,
            )
        )

    async def page(
        self, tenant: TenantId, *, limit: int, after: Cursor | None = None
    ) -> tuple[Sequence[AuditEntry], Cursor | None]:
        """Return a page of a tenant's entries, newest first, and where the next one begins."""
        return await self._records.page(tenant, limit=limit, after=after)

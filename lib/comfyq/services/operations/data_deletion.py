"""The deletion of all data of a tenant, done piece by piece by the reaper.

Whatever dies meanwhile, the tenant's record says that there is more to do, and what is left is
found by what lists it: so a piece may be done twice, and by several at once.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from comfyq.aio.logs import log
from comfyq.domain.audit import Actor, AuditAction
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import DomainError
from comfyq.domain.tenant import DataDeletion, end_deletion, go_on_with_deletion
from comfyq.ports.clock import Clock
from comfyq.records.indexes.tenant_data import Portion
from comfyq.records.tenants import TenantRecords
from comfyq.services.access.audit import Audit

PIECE = 100  # of each kind of things that one piece deletes
AGAIN = timedelta(seconds=5)  # until another look at what could not be deleted yet
# What other processes have read of a tenant holds for 30 s, and requests that they let in take as
# long: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
LETS_IN = timedelta(seconds=60)  # twice READ_EVERY of tenants at least: see TenantLimits
REAPER = Actor("reaper")


class Kind(Protocol):
    """Deletes things of one kind."""

    async def delete_some(self, tenant: TenantId, *, most: int) -> Portion: ...


class DataDeletions:
    """Goes on with the deletions that ``Tenants`` has begun."""

    def __init__(
        self,
        *,
        records: TenantRecords,
        kinds: Mapping[str, Kind],
        audit: Audit,
        clock: Clock,
        on_due: Callable[[datetime], None],
    ) -> None:
        """``kinds`` are named as in what is shown; ``on_due`` is called with the time of each next
        piece."""
        self._records = records
        self._kinds = kinds
        self._audit = audit
        self._clock = clock
        self._on_due = on_due

    async def go_on(self) -> int:
        """Delete a piece of each tenant's data that is due; return how many things that were."""
        deleted = 0
        for tenant in await self._records.being_deleted():
            try:
                deleted += await self._go_on_with(tenant)
            except DomainError as unavailable:  # others' data is deleted all the same
                log.warning("data_deletion_failed", tenant=tenant, reason=str(unavailable))
        return deleted

    async def _go_on_with(self, tenant: TenantId) -> int:
        """Do one piece, if it is due. The index lags, so a consistent read decides."""
        deletion = (await self._records.get(tenant)).deletion
        if deletion is None or deletion.ended_at is not None:
            return 0
        looked_at = self._clock.now()
        if looked_at < deletion.due_at:
            self._on_due(deletion.due_at)
            return 0
        portions = {
            name: await kind.delete_some(tenant, most=PIECE) for name, kind in self._kinds.items()
        }
        deleted = {name: each.deleted for name, each in portions.items() if each.deleted}
        is_empty = not deleted and all(each.is_last for each in portions.values())
        if is_empty and looked_at >= deletion.begun_at + LETS_IN:
            await self._end(tenant, deletion)
            return 0
        await self._note(tenant, deletion, deleted, is_empty=is_empty)
        return sum(deleted.values())

    async def _note(
        self,
        tenant: TenantId,
        deletion: DataDeletion,
        deleted: Mapping[str, int],
        *,
        is_empty: bool,
    ) -> None:
        """Store what was deleted, and when there is more to do."""
        now = self._clock.now()
        due_at = now if deleted else now + AGAIN
        if is_empty:
            due_at = max(due_at, deletion.begun_at + LETS_IN)
        noted = partial(
            go_on_with_deletion, begun_at=deletion.begun_at, deleted=deleted, due_at=due_at
        )
        await self._records.change(tenant, noted)
        self._on_due(due_at)

    async def _end(self, tenant: TenantId, deletion: DataDeletion) -> None:
        await self._records.forget_counts(tenant)
        counts = {name: str(count) for name, count in deletion.deleted.items()}
        await self._audit.note(tenant, REAPER, AuditAction.DATA_DELETED, tenant, **counts)
        now = self._clock.now()
        await self._records.change(
            tenant, partial(end_deletion, begun_at=deletion.begun_at, now=now)
        )
        log.info("data_deleted", tenant=tenant, **deletion.deleted)

"""The audit log: ``AUDIT#tenant`` / time and a random part. Entries are only ever added, and expire
after a year."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from comfyq.domain.audit import Actor, AuditAction, AuditEntry
from comfyq.domain.caller import TenantId
from comfyq.ports.table import Cursor, Item, Put, Table
from comfyq.records.times import from_ms, sortable, to_ms

KEPT = timedelta(days=366)


class AuditRecords:
    def __init__(self, table: Table, *, new_id: Callable[[], str]) -> None:
        self._table = table
        self._new_id = new_id

    async def add(self, entry: AuditEntry) -> None:
        item = {
            "pk": _partition(entry.tenant),
            "sk": f"{sortable(entry.at)}#{self._new_id()}",
            "who": entry.actor.who,
            "address": entry.actor.address,
            "action": str(entry.action),
            "subject": entry.subject,
            "details": dict(entry.details) or None,
            "ttl": to_ms(entry.at + KEPT) // 1000,
        }
        stored = {name: value for name, value in item.items() if value is not None}
        await self._table.write(Put(stored, absent=True))

    async def page(
        self, tenant: TenantId, *, limit: int, after: Cursor | None = None
    ) -> tuple[Sequence[AuditEntry], Cursor | None]:
        """Return a page of a tenant's entries, newest first, and where the next one begins."""
        page = await self._table.query(
            "main", _partition(tenant), limit=limit, descending=True, after=after
        )
        return [_entry(tenant, item) for item in page.items], page.cursor


def _partition(tenant: TenantId) -> str:
    return f"AUDIT#{tenant}"


def _entry(tenant: TenantId, item: Item) -> AuditEntry:
    return AuditEntry(
        tenant=tenant,
        at=from_ms(int(item["sk"].partition("#")[0])),
        actor=Actor(item["who"], item.get("address")),
        action=AuditAction(item["action"]),
        subject=item["subject"],
        details=item.get("details", {}),
    )

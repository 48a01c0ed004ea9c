"""Receivers that fail: ``RECEIVERS`` / ``tenant#origin``, until something arrives there."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from comfyq.domain.caller import TenantId
from comfyq.domain.webhook.failing_receiver import FailingReceiver
from comfyq.ports.table import ConditionFailed, Delete, Item, Put, Table
from comfyq.records.times import from_ms, optional_ms, optional_time, to_ms

PARTITION = "RECEIVERS"
KEPT = timedelta(days=30)  # without a change: nobody sends there any more
MOST = 100  # that are listed
PAGE = 1_000
PAGES = 10  # that are counted


class FailingReceiverRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId, origin: str) -> FailingReceiver | None:
        """Return what is known of a receiver; None: it does not fail."""
        item = await self._table.get((PARTITION, _sort(tenant, origin)))
        return None if item is None else _receiver(item)

    async def of_tenant(self, tenant: TenantId) -> Sequence[FailingReceiver]:
        """Return those of a tenant's receivers that fail."""
        prefix = _sort(tenant, "")
        page = await self._table.query("main", PARTITION, prefix=prefix, limit=MOST)
        return [_receiver(item) for item in page.items]

    async def paused(self, tenant: TenantId | None = None, *, now: datetime) -> int:
        """Count those of a tenant, or of all, that are paused, among PAGES pages of those that
        fail."""
        count, after = 0, None
        prefix = None if tenant is None else _sort(tenant, "")
        for _ in range(PAGES):
            page = await self._table.query(
                "main", PARTITION, prefix=prefix, limit=PAGE, after=after
            )
            count += sum(_receiver(item).is_paused(now) for item in page.items)
            after = page.cursor
            if after is None:
                break
        return count

    async def save(self, tenant: TenantId, receiver: FailingReceiver, *, now: datetime) -> bool:
        """Store a new one (version 1), or replace the version before; False: another came first."""
        item = {
            "pk": PARTITION,
            "sk": _sort(tenant, receiver.origin),
            "version": receiver.version,
            "since": to_ms(receiver.since),
            "last": to_ms(receiver.failed_at),
            "error": receiver.error,
            "paused": optional_ms(receiver.paused_until),
            "ttl": to_ms(now + KEPT) // 1000,
        }
        is_new = receiver.version == 1
        put = Put(item, absent=is_new, version=None if is_new else receiver.version - 1)
        try:
            await self._table.write(put, synced=False)
        except ConditionFailed:
            return False
        return True

    async def forget(self, tenant: TenantId, origin: str) -> None:
        """Note that something has arrived."""
        await self._table.write(Delete((PARTITION, _sort(tenant, origin))), synced=False)


def _sort(tenant: TenantId, origin: str) -> str:
    return f"{tenant}#{origin}"


def _receiver(item: Item) -> FailingReceiver:
    return FailingReceiver(
        origin=item["sk"].partition("#")[2],
        since=from_ms(item["since"]),
        failed_at=from_ms(item.get("last", item["since"])),
        error=item["error"],
        paused_until=optional_time(item.get("paused")),
        version=item["version"],
    )

"""Tenants of which something is said, or whose data is or was deleted: ``TENANT`` / id. One
partition: all of them are listed consistently, without an index. The index ``active`` lists those
whose data is being deleted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import TooContended
from comfyq.domain.tenant import DataDeletion, Limits, Tenant
from comfyq.domain.webhook.default import DefaultWebhook
from comfyq.domain.webhook.events import WebhookEvent
from comfyq.ports.table import ConditionFailed, Cursor, Item, Put, Table
from comfyq.records.limits.output_bytes import forget_output_bytes
from comfyq.records.limits.running_jobs import forget_running
from comfyq.records.times import EPOCH, from_ms, optional_ms, optional_time, sortable, to_ms

PARTITION = "TENANT"
DELETIONS = "DELETIONS"  # the partition of the index that the reaper looks at
PAGE = 200
TRIES = 5  # of a change beside others


class TenantRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId) -> Tenant:
        """Return what is said of a tenant; one of which nothing is said has no item."""
        item = await self._table.get((PARTITION, tenant))
        return Tenant(id=tenant) if item is None else _tenant(item)

    async def all(self) -> Sequence[Tenant]:
        """Return every tenant of which something is said, by id."""
        tenants: list[Tenant] = []
        after: Cursor | None = None
        while True:
            page = await self._table.query("main", PARTITION, limit=PAGE, after=after)
            tenants += map(_tenant, page.items)
            after = page.cursor
            if after is None:
                return tenants

    async def being_deleted(self) -> Sequence[TenantId]:
        """Return tenants whose data is being deleted, the one that is due first before the others,
        as many as one look shows; the index lags."""
        page = await self._table.query("active", DELETIONS, limit=PAGE)
        return [TenantId(item["sk"]) for item in page.items]

    async def forget_counts(self, tenant: TenantId) -> None:
        """Delete what is counted of the jobs of a tenant that has none any more."""
        await forget_running(self._table, tenant)
        await forget_output_bytes(self._table, tenant)

    async def change(self, tenant: TenantId, change: Callable[[Tenant], Tenant]) -> Tenant:
        """Store what ``change`` makes of a tenant, made again if another was stored meanwhile.

        Raises:
            TooContended: others were stored first, TRIES times in a row.
        """
        for _ in range(TRIES):
            item = await self._table.get((PARTITION, tenant))
            changed = change(Tenant(id=tenant) if item is None else _tenant(item))
            version = None if item is None else item["version"]
            try:
                await self._table.write(
                    Put(_item(changed, (version or 0) + 1), absent=item is None, version=version)
                )
            except ConditionFailed:
                continue
            return changed
        raise TooContended(f"tenant {tenant} is being changed by others; try again")


def _item(tenant: Tenant, version: int) -> Item:
    item = {
        "pk": PARTITION,
        "sk": tenant.id,
        "version": version,
        "limits": asdict(tenant.limits),
        "retention_s": tenant.retention_s,
        "webhook": _webhook_value(tenant.webhook),
    }
    return item if tenant.deletion is None else item | _deletion_values(tenant.deletion)


def _deletion_values(deletion: DataDeletion) -> dict[str, Any]:
    goes_on = deletion.ended_at is None
    return {
        "deletion": {
            "begun": to_ms(deletion.begun_at),
            "ended": optional_ms(deletion.ended_at),
            "deleted": dict(deletion.deleted),
        },
        "apk": DELETIONS if goes_on else None,
        "ask": sortable(deletion.due_at) if goes_on else None,
    }


def _tenant(item: Item) -> Tenant:
    return Tenant(
        id=TenantId(item["sk"]),
        limits=Limits(**item["limits"]),
        retention_s=item.get("retention_s"),
        webhook=_webhook(item.get("webhook")),
        deletion=_deletion(item) if "deletion" in item else None,
    )


def _deletion(item: Item) -> DataDeletion:
    stored = item["deletion"]
    return DataDeletion(
        begun_at=from_ms(stored["begun"]),
        due_at=from_ms(int(item["ask"])) if "ask" in item else EPOCH,
        deleted=stored["deleted"],
        ended_at=optional_time(stored.get("ended")),
    )


def _webhook_value(webhook: DefaultWebhook | None) -> Mapping[str, Any] | None:
    if webhook is None:
        return None
    return {
        "url": webhook.url,
        "events": list(map(str, webhook.events)),
        "gone": optional_ms(webhook.gone_at),
    }


def _webhook(value: Mapping[str, Any] | None) -> DefaultWebhook | None:
    if value is None:
        return None
    return DefaultWebhook(
        url=value["url"],
        events=tuple(map(WebhookEvent, value["events"])),
        gone_at=optional_time(value.get("gone")),
    )

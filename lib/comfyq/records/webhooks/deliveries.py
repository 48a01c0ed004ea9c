"""Webhook deliveries: ``JOB#id`` / ``HOOK#place``, gone with their job. Those that are to be sent
stand in the index ``active``, in a partition of their own, by when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId
from comfyq.domain.webhook.events import WebhookEvent
from comfyq.domain.webhook_delivery import DeliveryId, DeliveryState, WebhookDelivery
from comfyq.ports.table import ConditionFailed, Cursor, Item, Key, Put, Table
from comfyq.ports.webhooks import WebhookKey
from comfyq.records.times import from_ms, optional_ms, optional_time, sortable, to_ms

PARTITION = "WEBHOOKS"  # of the index `active`
PREFIX = "HOOK#"
PROGRESS_PLACE = "progress"  # one for all of a job's: a newer one takes the place of an older one
PAGE = 200


@dataclass(frozen=True, slots=True)
class DueDelivery:
    key: WebhookKey
    at: datetime


@dataclass(frozen=True, slots=True)
class DuePage:
    due: Sequence[DueDelivery]
    cursor: Cursor | None  # None: there is no more


class WebhookDeliveryRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def upto(
        self,
        last: datetime,
        *,
        limit: int,
        after: Cursor | None = None,
        newest_first: bool = False,
    ) -> DuePage:
        """Return deliveries that are due at or before ``last``, in order; the index lags."""
        page = await self._table.query(
            "active",
            PARTITION,
            upto=sortable(last),
            limit=limit,
            descending=newest_first,
            after=after,
        )
        due = [
            DueDelivery(_delivery_key(item["pk"], item["sk"]), from_ms(int(item["ask"])))
            for item in page.items
        ]
        return DuePage(due, page.cursor)

    async def get(self, key: WebhookKey) -> WebhookDelivery | None:
        """Read a delivery consistently."""
        item = await self._table.get(_key(key))
        return None if item is None else _delivery(item)

    async def of_job(self, job_id: JobId) -> Sequence[WebhookDelivery]:
        """Return every delivery of a job, the oldest first."""
        found: list[WebhookDelivery] = []
        after: Cursor | None = None
        while True:
            page = await self._table.query(
                "main", f"JOB#{job_id}", prefix=PREFIX, limit=PAGE, after=after
            )
            found += map(_delivery, page.items)
            after = page.cursor
            if after is None:
                return sorted(found, key=lambda each: each.at)

    async def save(self, delivery: WebhookDelivery) -> bool:
        """Replace version ``delivery.version - 1``; False: that is not what is stored.

        A power cut may undo it: then the delivery is sent again.
        """
        put = Put(delivery_item(delivery), version=delivery.version - 1)
        try:
            await self._table.write(put, synced=False)
        except ConditionFailed:
            return False
        return True


def place_of(delivery: WebhookDelivery) -> str:
    """Return the place of a delivery among its job's."""
    if delivery.event is WebhookEvent.PROGRESS:
        return PROGRESS_PLACE
    return delivery.id.rpartition("_")[2].zfill(10)  # the job's version


def key_of(delivery: WebhookDelivery) -> WebhookKey:
    return WebhookKey(delivery.job_id, place_of(delivery))


def delivery_item(delivery: WebhookDelivery) -> Item:
    pk, sk = _key(key_of(delivery))
    item = {
        "pk": pk,
        "sk": sk,
        "version": delivery.version,
        "id": delivery.id,
        "tenant": delivery.tenant,
        "event": str(delivery.event),
        "at": to_ms(delivery.at),
        "due": to_ms(delivery.due_at),
        "until": to_ms(delivery.until),
        "state": str(delivery.state),
        "attempts": delivery.attempts,
        "code": delivery.code,
        "error": delivery.error,
        "leased": optional_ms(delivery.leased_until),
        "apk": PARTITION if delivery.is_pending else None,
        "ask": sortable(delivery.due_at) if delivery.is_pending else None,
    }
    return {name: value for name, value in item.items() if value is not None}


def _delivery(item: Item) -> WebhookDelivery:
    return WebhookDelivery(
        id=DeliveryId(item["id"]),
        job_id=JobId(item["pk"].removeprefix("JOB#")),
        tenant=TenantId(item["tenant"]),
        event=WebhookEvent(item["event"]),
        at=from_ms(item["at"]),
        due_at=from_ms(item["due"]),
        until=from_ms(item["until"]),
        state=DeliveryState(item["state"]),
        attempts=item["attempts"],
        code=item.get("code"),
        error=item.get("error"),
        leased_until=optional_time(item.get("leased")),
        version=item["version"],
    )


def _key(key: WebhookKey) -> Key:
    return f"JOB#{key.job_id}", PREFIX + key.place


def _delivery_key(pk: str, sk: str) -> WebhookKey:
    return WebhookKey(JobId(pk.removeprefix("JOB#")), sk.removeprefix(PREFIX))

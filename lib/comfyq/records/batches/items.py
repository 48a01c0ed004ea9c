"""The items of batches: ``BATCH#id`` / ``META``, and ``REFUSED#index`` for each request that was
refused."""

import json
from collections.abc import Mapping
from dataclasses import astuple
from datetime import datetime

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import FieldError
from comfyq.domain.submission.batch import Batch, BatchId, Refusal
from comfyq.ports.table import Item, Key
from comfyq.records.retry_notes import retried_of, retried_values
from comfyq.records.times import from_ms, optional_ms, optional_time, sortable, to_ms

LISTED_UNDER = "BATCHES"  # with the tenant, the partition of the index `tenant`
UNSTORED = "STORING"  # partition of batches that the reaper looks at, by when
CANCELING = "CANCELING"  # the same of those whose jobs are being canceled, by since when
REFUSED = "REFUSED#"  # begins the sort keys of refusals


def batch_key(batch_id: BatchId) -> Key:
    return f"BATCH#{batch_id}", "META"


def batch_item(batch: Batch, *, ttl: int) -> dict[str, object]:
    pk, sk = batch_key(batch.id)
    listed = _listed(batch)
    return {
        "pk": pk,
        "sk": sk,
        "version": batch.version,
        "tenant": batch.tenant,
        "created": to_ms(batch.created_at),
        "size": batch.size,
        "digest": batch.digest,
        "canceled": batch.canceled,
        "storing": batch.storing or None,
        "partial": batch.is_partial or None,
        "looked": optional_ms(batch.looked_at),
        "canceling": optional_ms(batch.canceling_since),
        "apk": None if listed is None else listed[0],
        "ask": None if listed is None else sortable(listed[1]),
        "ttl": ttl,
        "tpk": f"{LISTED_UNDER}#{batch.tenant}",
        "tsk": f"{sortable(batch.created_at)}#{batch.id}",
        **retried_values(batch.retried),
    }


def _listed(batch: Batch) -> tuple[str, datetime] | None:
    """Return where the reaper finds a batch, and under which time. What is to be canceled comes
    first: nothing is missing once it is, so that the end of the storing can be noted after it."""
    if batch.canceling_since is not None:
        return CANCELING, batch.canceling_since
    return None if batch.looked_at is None else (UNSTORED, batch.looked_at)


def batch_of(item: Item, refusals: Mapping[int, Refusal]) -> Batch:
    """Return the batch of an item; one of an older version has been stored as far as it is."""
    return Batch(
        id=BatchId(item["pk"].removeprefix("BATCH#")),
        tenant=TenantId(item["tenant"]),
        created_at=from_ms(item["created"]),
        size=item["size"],
        digest=item["digest"],
        canceled=item["canceled"],
        storing=bool(item.get("storing")),
        is_partial=bool(item.get("partial")),
        looked_at=optional_time(item.get("looked")),
        canceling_since=optional_time(item.get("canceling")),
        retried=retried_of(item.get("retried")),
        refusals=refusals,
        version=item["version"],
    )


def refusal_item(batch_id: BatchId, index: int, refusal: Refusal, ttl: int) -> Item:
    pk, _ = batch_key(batch_id)
    body = [refusal.code, refusal.message, [astuple(each) for each in refusal.fields]]
    return {
        "pk": pk,
        "sk": f"{REFUSED}{index:03d}",
        "body": json.dumps(body, ensure_ascii=False),
        "ttl": ttl,
    }


def refusal_of(item: Item) -> tuple[int, Refusal]:
    code, message, fields = json.loads(item["body"])
    index = int(item["sk"].removeprefix(REFUSED))
    return index, Refusal(code, message, tuple(FieldError(*each) for each in fields))

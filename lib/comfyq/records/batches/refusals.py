"""Refused requests of batches in the table."""

from collections.abc import Mapping

from comfyq.domain.submission.batch import MAX_REQUESTS, Batch, BatchId, Refusal
from comfyq.ports.table import MAX_WRITES, Cursor, Put, Table
from comfyq.records.batches.items import REFUSED, batch_key, refusal_item, refusal_of


async def store_refusals(table: Table, batch: Batch, *, ttl: int) -> None:
    """Store why requests of a batch were refused; again, if it is retried."""
    puts = [Put(refusal_item(batch.id, n, why, ttl)) for n, why in batch.refusals.items()]
    for at in range(0, len(puts), MAX_WRITES):
        await table.write(*puts[at : at + MAX_WRITES])


async def read_refusals(table: Table, batch_id: BatchId) -> Mapping[int, Refusal]:
    """Read why requests were refused, page by page: DynamoDB's have at most 1 MB."""
    refusals: dict[int, Refusal] = {}
    after: Cursor | None = None
    pk, _ = batch_key(batch_id)
    while True:
        page = await table.query("main", pk, prefix=REFUSED, limit=MAX_REQUESTS, after=after)
        refusals.update(refusal_of(item) for item in page.items)
        after = page.cursor
        if after is None:
            return refusals

"""Batches: ``BATCH#id`` / ``META``, and ``REFUSED#index`` for each request that was refused.

The other requests are jobs, whose ids follow from the batch's: so a retry completes what is
missing, and nothing has to list them.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid5

from comfyq.aio.tasks import limited
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import BatchNotFound, FieldError, StaleJob, TooContended, TooLarge
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import MAX_REQUESTS, Batch, BatchId, Refusal
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.ports.table import (
    MAX_ITEM_BYTES,
    MAX_WRITES,
    ConditionFailed,
    Cursor,
    Item,
    Key,
    Put,
    Table,
)
from comfyq.records.idempotency import Idempotency, KeyTaken, idempotency_item
from comfyq.records.job_items import to_item
from comfyq.records.job_log import log_accepted
from comfyq.records.job_outputs import reused_outputs
from comfyq.records.job_parts import label_items, spec_item
from comfyq.records.retry_notes import retried_of, retried_values, retry_puts
from comfyq.records.times import from_ms, sortable, to_ms
from comfyq.records.webhooks.deliveries import delivery_item
from comfyq.records.webhooks.outbox import WebhookOutbox

LISTED_UNDER = "BATCHES"  # with the tenant, the partition of the index `tenant`
AT_ONCE = 10  # batches of a page that are read at the same time
MAX_BYTES = 3_000_000  # of one transaction, well below what DynamoDB takes
SMALL_BYTES = 2_000  # more than a new job has beside the text of its spec


@dataclass(frozen=True, slots=True)
class Member:
    """A new job of a batch, ready to be written."""

    job: Job
    spec: Spec
    puts: tuple[Put, ...]
    size: int  # bytes
    told: tuple[WebhookDelivery, ...] = ()  # to its webhook


class BatchRecords:
    """``kept`` returns how long a tenant's batch is known: as long as the longest of its jobs may
    be."""

    def __init__(
        self,
        table: Table,
        *,
        new_write_id: Callable[[], str],
        kept: Callable[[TenantId], Awaitable[timedelta]],
        outbox: WebhookOutbox | None = None,
    ) -> None:
        self._table = table
        self._new_write_id = new_write_id
        self._kept = kept
        self._outbox = outbox  # None: no webhook is told of these jobs

    async def create(self, batch: Batch, promise: Idempotency | None) -> None:
        """Store a new batch, without its jobs.

        Raises:
            KeyTaken: the idempotency key is another batch's, or a job's.
            StaleJob: there is a batch of this id.
        """
        write_id = self._new_write_id()
        writes = [Put(await self._item(batch) | {"wid": write_id}, absent=True)]
        if promise is not None:
            writes.append(Put(idempotency_item(promise), absent=True))
        try:
            await self._table.write(*writes)
        except ConditionFailed as refused:
            ours = refused.found.get(0)
            if ours is not None and ours["wid"] == write_id:
                return  # the answer was lost, not the write
            key = refused.found.get(1)
            if key is None:
                raise StaleJob(f"there is a batch {batch.id} already") from refused
            raise KeyTaken(key["digest"], JobId(key["job"])) from refused

    async def refuse(self, batch: Batch) -> None:
        """Store why requests of a batch were refused; again, if it is retried."""
        ttl = await self._ttl(batch)
        puts = [Put(_refusal_item(batch.id, n, why, ttl)) for n, why in batch.refusals.items()]
        for at in range(0, len(puts), MAX_WRITES):
            await self._table.write(*puts[at : at + MAX_WRITES])

    async def get(self, batch_id: BatchId) -> Batch:
        """Raises BatchNotFound."""
        item = await self._table.get(_key(batch_id))
        if item is None:
            raise BatchNotFound(f"there is no batch {batch_id}")
        return _batch(item, await self._refusals(item["pk"]))

    async def of_tenant(
        self, tenant: TenantId, *, limit: int, after: Cursor | None = None
    ) -> tuple[Sequence[Batch], Cursor | None]:
        """Return a page of a tenant's batches, newest first and without their refusals, and where
        the next page begins."""
        page = await self._table.query(
            "tenant", f"{LISTED_UNDER}#{tenant}", limit=limit, after=after, descending=True
        )
        keys = [(item["pk"], item["sk"]) for item in page.items]
        items = await limited(AT_ONCE, keys, self._table.get)
        return [_batch(item, {}) for item in items.values() if item is not None], page.cursor

    async def cancel(self, batch: Batch) -> None:
        """Mark a batch as canceled, so that a retry adds no jobs.

        Raises:
            TooContended: another request changed the batch meanwhile.
        """
        canceled = replace(batch, canceled=True, version=batch.version + 1)
        write_id = self._new_write_id()
        try:
            await self._table.write(
                Put(await self._item(canceled) | {"wid": write_id}, version=batch.version)
            )
        except ConditionFailed as refused:
            stored = refused.found.get(0)
            if stored is None or not stored.get("canceled"):
                raise TooContended(f"batch {batch.id} was changed by another request") from refused

    async def _refusals(self, pk: str) -> dict[int, Refusal]:
        """Read why requests were refused, page by page: DynamoDB's have at most 1 MB."""
        refusals: dict[int, Refusal] = {}
        after: Cursor | None = None
        while True:
            page = await self._table.query(
                "main", pk, prefix="REFUSED#", limit=MAX_REQUESTS, after=after
            )
            refusals.update(_refusal(item) for item in page.items)
            after = page.cursor
            if after is None:
                return refusals

    def member(self, job: Job, spec: Spec, batch_id: BatchId) -> Member:
        """A job that ``add`` can store; one that reuses the results of another needs no work.

        Raises:
            TooLarge: it is more than the table takes.
        """
        items = [to_item(job, write_id=self._new_write_id()), spec_item(job, spec)]
        size = SMALL_BYTES + len(items[1]["body"].encode())
        if size > MAX_ITEM_BYTES:
            raise TooLarge(f"the graph has {size} bytes; the most is {MAX_ITEM_BYTES}")
        if job.reused_from is not None:
            items.append(reused_outputs(job))
        told = self._told(job)
        items += [*label_items(job), *map(delivery_item, told)]
        puts = [Put(item, absent=True) for item in items] + retry_puts(job, batch_id)
        return Member(job, spec, tuple(puts), size, told)

    def _told(self, job: Job) -> tuple[WebhookDelivery, ...]:
        if self._outbox is None:
            return ()
        return tuple(self._outbox.of_change(None, job, now=job.created_at))

    async def add(self, members: Sequence[Member]) -> Sequence[Job]:
        """Store those jobs of a transaction that are not there yet and were not deleted, and return
        them; no retry of a job that has another one.

        ``members`` are as many as ``transactions`` puts together.
        """
        while members:
            try:
                await self._table.write(*(put for member in members for put in member.puts))
            except ConditionFailed as refused:
                if _is_ours(refused, members):
                    break  # the answer was lost, not the write
                of = [n for n, member in enumerate(members) for _ in member.puts]
                there = {of[position] for position in refused.found}
                members = [member for n, member in enumerate(members) if n not in there]
            else:
                break
        if self._outbox is not None:
            await self._outbox.ring([each for member in members for each in member.told])
        for member in members:
            log_accepted(member.job)
        return [member.job for member in members]

    async def save(self, jobs: Sequence[Job]) -> None:
        """Replace version ``job.version - 1`` of each job that is still at it.

        The others were changed meanwhile and are left as they are.
        """
        write_id = self._new_write_id()
        for at in range(0, len(jobs), MAX_WRITES):
            puts = [
                Put(to_item(job, write_id=write_id), version=job.version - 1)
                for job in jobs[at : at + MAX_WRITES]
            ]
            await self._save(puts)

    async def _save(self, puts: list[Put]) -> None:
        while puts:
            try:
                await self._table.write(*puts)
            except ConditionFailed as refused:
                puts = [put for n, put in enumerate(puts) if n not in refused.found]
            else:
                return

    async def _item(self, batch: Batch) -> dict[str, object]:
        pk, sk = _key(batch.id)
        return {
            "pk": pk,
            "sk": sk,
            "version": batch.version,
            "tenant": batch.tenant,
            "created": to_ms(batch.created_at),
            "size": batch.size,
            "digest": batch.digest,
            "canceled": batch.canceled,
            "ttl": await self._ttl(batch),
            "tpk": f"{LISTED_UNDER}#{batch.tenant}",
            "tsk": f"{sortable(batch.created_at)}#{batch.id}",
            **retried_values(batch.retried),
        }

    async def _ttl(self, batch: Batch) -> int:
        return to_ms(batch.created_at + await self._kept(batch.tenant)) // 1000


def member_id(batch_id: BatchId, index: int) -> JobId:
    """The id of a batch's job: the same for each retry."""
    return JobId(str(uuid5(UUID(batch_id), str(index))))


def transactions(members: Iterable[Member]) -> Iterator[Sequence[Member]]:
    """Members in groups that one transaction takes."""
    group: list[Member] = []
    writes = size = 0
    for member in members:
        full = writes + len(member.puts) > MAX_WRITES or size + member.size > MAX_BYTES
        if group and full:
            yield group
            group, writes, size = [], 0, 0
        group.append(member)
        writes += len(member.puts)
        size += member.size
    if group:
        yield group


def _is_ours(refused: ConditionFailed, members: Sequence[Member]) -> bool:
    stored = refused.found.get(0)
    return stored is not None and stored.get("wid") == members[0].puts[0].item["wid"]


def _key(batch_id: BatchId) -> Key:
    return f"BATCH#{batch_id}", "META"


def _batch(item: Item, refusals: dict[int, Refusal]) -> Batch:
    return Batch(
        id=BatchId(item["pk"].removeprefix("BATCH#")),
        tenant=TenantId(item["tenant"]),
        created_at=from_ms(item["created"]),
        size=item["size"],
        digest=item["digest"],
        canceled=item["canceled"],
        retried=retried_of(item.get("retried")),
        refusals=refusals,
        version=item["version"],
    )


def _refusal_item(batch_id: BatchId, index: int, refusal: Refusal, ttl: int) -> Item:
    pk, _ = _key(batch_id)
    body = [refusal.code, refusal.message, [astuple(each) for each in refusal.fields]]
    return {
        "pk": pk,
        "sk": f"REFUSED#{index:03d}",
        "body": json.dumps(body, ensure_ascii=False),
        "ttl": ttl,
    }


def _refusal(item: Item) -> tuple[int, Refusal]:
    code, message, fields = json.loads(item["body"])
    index = int(item["sk"].removeprefix("REFUSED#"))
    return index, Refusal(code, message, tuple(FieldError(*each) for each in fields))

"""Batches, their refused requests and their jobs in the table."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from comfyq.domain import job as jobs
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import BatchNotFound, StaleJob, TooContended, TooLarge
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import Batch, BatchId
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.ports.table import MAX_ITEM_BYTES, MAX_WRITES, ConditionFailed, Put, Table
from comfyq.records.batches.items import (
    CANCELING,
    UNSTORED,
    batch_item,
    batch_key,
    batch_of,
)
from comfyq.records.batches.members import (
    SMALL_BYTES,
    Member,
    canceled_at,
    canceled_place,
    is_ours,
    member_id,
    refused_of,
    transactions,
)
from comfyq.records.batches.refusals import read_refusals, store_refusals
from comfyq.records.idempotency import Idempotency, KeyTaken, idempotency_item
from comfyq.records.job_items import to_item
from comfyq.records.job_log import log_accepted
from comfyq.records.job_outputs import reused_outputs
from comfyq.records.job_parts import label_items, spec_item
from comfyq.records.retry_notes import retry_puts
from comfyq.records.times import from_ms, sortable, to_ms
from comfyq.records.webhooks.deliveries import delivery_item
from comfyq.records.webhooks.outbox import WebhookOutbox

PAGE = 100  # batches of one kind that a look shows
TRIES = 10  # of a change that others get ahead of


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
        await store_refusals(self._table, batch, ttl=await self._ttl(batch))

    async def get(self, batch_id: BatchId, *, tenant: TenantId | None = None) -> Batch:
        """Return a batch, if a tenant is named one of that tenant's alone.

        Raises:
            BatchNotFound: there is none. Nothing but its own item was read: the time that it took
                does not tell that another tenant has it.
        """
        item = await self._table.get(batch_key(batch_id))
        if item is None or tenant not in (None, item["tenant"]):
            raise BatchNotFound(f"there is no batch {batch_id}")
        return batch_of(item, await read_refusals(self._table, batch_id))

    async def cancel(self, batch: Batch, *, at: datetime) -> Batch:
        """Mark a batch as canceled, so that a retry adds no jobs, and list it as one whose jobs are
        still to be canceled; return it as it is then.

        Raises:
            TooContended: other requests changed the batch again and again.
        """
        since = from_ms(to_ms(at))  # as it is read again
        return await self._changed(
            batch, lambda each: replace(each, canceled=True, canceling_since=since)
        )

    async def canceled(self, batch: Batch) -> Batch:
        """Note that all jobs of a batch are canceled, unless that was asked for again since. Raises
        TooContended."""

        def complete(each: Batch) -> Batch:
            is_newer = each.canceling_since != batch.canceling_since
            return each if is_newer else replace(each, canceling_since=None)

        return await self._changed(batch, complete)

    async def cancel_unstored(
        self, batch_id: BatchId, indexes: Sequence[int], *, at: datetime
    ) -> None:
        """Have those jobs of a batch that are not stored yet be stored as canceled, by whoever
        stores them later. Who of both writes first in the place of a job's spec settles it: once
        this returns, each of these jobs is there, or is stored as canceled if ever."""
        ids = [member_id(batch_id, index) for index in indexes]
        puts = [Put(canceled_place(job_id, at=at), absent=True) for job_id in ids]
        for start in range(0, len(puts), MAX_WRITES):
            await self._write_each(puts[start : start + MAX_WRITES])

    async def storing(self, batch: Batch, *, until: datetime) -> Batch:
        """Note that jobs of a batch are being stored, again or still, unless it was canceled; one
        that is not noted as stored ``until`` then is looked at by the reaper. Raises TooContended.
        """

        def begun(each: Batch) -> Batch:
            if each.canceled:
                return each
            return replace(each, storing=True, is_partial=False, looked_at=until)

        return await self._changed(batch, begun)

    async def stored(self, batch: Batch) -> Batch:
        """Note that all jobs of a batch are stored. Raises TooContended."""

        def complete(each: Batch) -> Batch:
            return replace(each, storing=False, is_partial=False, looked_at=None)

        return await self._changed(batch, complete)

    async def given_up(self, batch: Batch, *, at: datetime) -> Batch:
        """Note that who stored the jobs of a batch has died, unless it has begun again: what is not
        there by now does not come. The batch stays listed as unstored. Raises TooContended."""

        def partial(each: Batch) -> Batch:
            is_due = each.looked_at is not None and each.looked_at <= at
            return replace(each, storing=False, is_partial=True) if is_due else each

        return await self._changed(batch, partial)

    async def unlist(self, batch: Batch) -> Batch:
        """List a batch that was given up no more. Raises TooContended."""

        def told(each: Batch) -> Batch:
            return each if each.storing else replace(each, looked_at=None)

        return await self._changed(batch, told)

    async def unstored(self, now: datetime) -> Sequence[BatchId]:
        """Return batches that should have been stored by now, as many as one look shows; the index
        lags."""
        return await self._listed(UNSTORED, now)

    async def canceling(self, last: datetime) -> Sequence[BatchId]:
        """Return batches that were canceled at or before ``last``, and of which jobs are still to
        be canceled, as ``unstored`` does."""
        return await self._listed(CANCELING, last)

    async def _listed(self, partition: str, last: datetime) -> Sequence[BatchId]:
        page = await self._table.query("active", partition, upto=sortable(last), limit=PAGE)
        return [BatchId(item["pk"].removeprefix("BATCH#")) for item in page.items]

    async def _changed(self, batch: Batch, change: Callable[[Batch], Batch]) -> Batch:
        """Store a change of a batch, made anew where others have changed it meanwhile."""
        for _ in range(TRIES):
            changed = change(batch)
            if changed == batch:
                return batch
            changed = replace(changed, version=batch.version + 1)
            write_id = self._new_write_id()
            try:
                await self._table.write(
                    Put(await self._item(changed) | {"wid": write_id}, version=batch.version)
                )
            except ConditionFailed as refused:
                stored = refused.found.get(0)
                if stored is None:
                    raise BatchNotFound(f"there is no batch {batch.id}") from refused
                if stored["wid"] == write_id:
                    return changed  # the answer was lost, not the write
                batch = batch_of(stored, dict(batch.refusals))
            else:
                return changed
        raise TooContended(f"batch {batch.id} was changed by other requests")

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
        return Member(batch_id, job, spec, tuple(puts), size, told)

    def _told(self, job: Job) -> tuple[WebhookDelivery, ...]:
        if self._outbox is None:
            return ()
        return tuple(self._outbox.of_change(None, job, now=job.ended_at or job.created_at))

    async def add(self, members: Sequence[Member]) -> Sequence[Job]:
        """Store those jobs of a transaction that are not there yet and were not deleted, and return
        them; no retry of a job that has another one. Those that ``cancel_unstored`` came before are
        stored as canceled.

        ``members`` are as many as ``transactions`` puts together.
        """
        canceled: list[Member] = []
        while members:
            try:
                await self._table.write(*(put for member in members for put in member.puts))
            except ConditionFailed as refused:
                if is_ours(refused, members):
                    break  # the answer was lost, not the write
                parts = list(refused_of(refused, members))
                canceled += [
                    self._canceled(member, at=at)
                    for member, found in parts
                    if (at := canceled_at(found)) is not None
                ]
                members = [member for member, found in parts if not found]
            else:
                break
        if self._outbox is not None:
            await self._outbox.ring([each for member in members for each in member.told])
        for member in members:
            log_accepted(member.job)
        stored = [member.job for member in members]
        for group in transactions(canceled):  # each has more to write than before
            stored += await self.add(group)
        return stored

    def _canceled(self, member: Member, *, at: datetime) -> Member:
        """Return a member that ended before it was stored, over what stands in its spec's place."""
        job = jobs.request_cancel(member.job, now=max(at, member.job.created_at))
        new = self.member(job, member.spec, member.batch_id)
        meta, spec, *others = new.puts
        return replace(new, puts=(meta, Put(spec.item, version=1), *others))

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
            await self._write_each(puts)

    async def _write_each(self, puts: list[Put]) -> None:
        """Write those that are not refused."""
        while puts:
            try:
                await self._table.write(*puts)
            except ConditionFailed as refused:
                puts = [put for n, put in enumerate(puts) if n not in refused.found]
            else:
                return

    async def _item(self, batch: Batch) -> dict[str, object]:
        return batch_item(batch, ttl=await self._ttl(batch))

    async def _ttl(self, batch: Batch) -> int:
        return to_ms(batch.created_at + await self._kept(batch.tenant)) // 1000

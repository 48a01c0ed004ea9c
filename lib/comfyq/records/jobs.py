"""Jobs and what belongs to them, over any table."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from comfyq.domain import job as jobs
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import JobNotFound, StaleJob, TooContended
from comfyq.domain.files.output import Output, OutputPage
from comfyq.domain.job import Change, Job, JobId
from comfyq.domain.job.attempt import Attempt, attempt_ended
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.ports.clock import Clock
from comfyq.ports.joint import Doorbell, Instead, JointWrites
from comfyq.ports.queue import Delivery
from comfyq.ports.table import ConditionFailed, Put, Table, Write
from comfyq.records.access.partner_keys import without_partner_key
from comfyq.records.idempotency import Idempotency, settle_refused_create
from comfyq.records.job_items import (
    from_item,
    meta_key,
    to_item,
)
from comfyq.records.job_log import log_accepted, log_changed
from comfyq.records.job_outputs import JobOutputs
from comfyq.records.job_parts import attempt_item, attempt_of, spec_item, spec_of
from comfyq.records.job_removal import remove
from comfyq.records.job_writes import beside_new, if_unfollowed, put_of, saved_before
from comfyq.records.limits.output_bytes import OutputBytes
from comfyq.records.limits.running_jobs import RunningJobs
from comfyq.records.retry_notes import raise_if_retried
from comfyq.records.times import to_ms
from comfyq.records.webhooks.outbox import WebhookOutbox

NAMED_S = 30 * 86_400  # second ids are kept that long
TRIES = 12  # of one update that loses against concurrent writes
FIRST_PAUSE_S = 0.005


class JobRecords:
    """Store and read jobs.

    Every write carries a fresh write id. When the answer to a write is lost and its repetition is
    refused, the stored id shows that the write had been applied.
    """

    def __init__(
        self,
        table: Table,
        *,
        clock: Clock,
        new_write_id: Callable[[], str],
        joint: JointWrites | None = None,
        on_due: Callable[[datetime], None] = lambda due_at: None,
        running: RunningJobs | None = None,
        outbox: WebhookOutbox | None = None,
        output_bytes: OutputBytes | None = None,
    ) -> None:
        self._table = table
        self._outputs = JobOutputs(table)
        self._clock = clock
        self._new_write_id = new_write_id
        self._joint = joint  # None: the queue is another engine's
        self._running = running  # None: a tenant may have as many with workers as it likes
        self._on_due = on_due  # called with the deadline of each job that was stored
        self._output_bytes = output_bytes  # None: nobody counts them
        self._outbox = outbox  # None: no webhook is told of these jobs

    async def create(
        self,
        job: Job,
        spec: Spec,
        idempotency: Idempotency | None = None,
        *,
        instead_of: Job | None = None,
        partner_key: str | None = None,
    ) -> Job:
        """Store a new job in one transaction; it is returned with the version that it has.

        ``instead_of`` is a refused job of the same id, which is replaced; ``partner_key`` is as it
        was sealed. A job that reuses another one's results has its outputs at once. If one engine
        keeps table and queue, the same transaction rings for a waiting job, and the job says so.

        Raises:
            KeyTaken: the idempotency key is another job's.
            AlreadyRetried: it is a retry, and the earlier job has another one.
            StaleJob: a job of this id exists, or did and is barred; or it is not ``instead_of`` any
                more.
        """
        write_id = self._new_write_id()
        old = None if instead_of is None else instead_of.version
        if old is not None:
            job = replace(job, version=old + 1)
        job, doorbell = self._rung(job)
        writes: list[Write] = [
            Put(to_item(job, write_id=write_id), absent=old is None, version=old),
            Put(spec_item(job, spec), absent=old is None),
        ]
        told = self._told(None, job)
        writes += beside_new(job, idempotency, told, partner_key)
        try:
            await self._write(writes, due_at=job.due_at, ring=doorbell)
        except ConditionFailed as refused:
            raise_if_retried(refused, job, position=len(writes) - 1)
            settle_refused_create(refused, job, write_id)
        log_accepted(job)
        return await self._rung_for(job, told)

    def _rung(self, job: Job) -> tuple[Job, Doorbell | None]:
        """Return a new job with its doorbell, if the transaction that stores it can send one."""
        if self._joint is None or job.status.terminal or job.is_aside:
            return job, None
        rung = replace(jobs.ring(job, now=self._clock.now()), version=job.version)
        return rung, Doorbell(job.id, job.tenant)

    async def get(self, job_id: JobId) -> Job:
        """Read a job consistently; raises JobNotFound."""
        item = await self._table.get(meta_key(job_id))
        if item is None:
            raise JobNotFound(f"there is no job {job_id}")
        return from_item(item)

    async def save(
        self,
        job: Job,
        *,
        attempt: Attempt | None = None,
        outputs: Sequence[Output] | None = None,
        delivery: Delivery | None = None,
        synced: bool = True,
        beside: Sequence[Write] = (),
        unfollowed: Job | None = None,
    ) -> Job:
        """Replace version ``job.version - 1`` of a job by ``job``; ``synced``: see Table.write.

        ``beside`` is written in the same transaction, which acknowledges ``delivery`` if one engine
        keeps table and queue; then ``unfollowed`` is stored in place of a job that nobody follows.
        Returns what is stored.

        Raises:
            StaleJob: that is not stored, or ``beside`` is refused: read and decide again.
            TooLarge: the job is larger than an item may be.
        """
        write_id, old = self._new_write_id(), job.version - 1
        job, erased = without_partner_key(job)
        writes: list[Write] = [Put(to_item(job, write_id=write_id), version=old), *erased]
        if attempt is not None:
            writes.append(Put(attempt_item(job.id, attempt)))
        writes += beside
        if outputs is not None:
            writes.append(Put(await self._outputs.stage(job.id, job.attempt, outputs)))
        instead = if_unfollowed(unfollowed, write_id=write_id, old=old)
        try:
            is_other = await self._write(
                writes, due_at=job.due_at, ack=delivery, instead=instead, synced=synced
            )
            stored = unfollowed if is_other and unfollowed is not None else job
        except ConditionFailed as refused:
            stored = from_item(saved_before(refused, job, write_id))
        if outputs and self._output_bytes is not None:
            await self._output_bytes.count(stored, outputs)
        return stored

    async def _write(
        self,
        writes: Sequence[Write],
        *,
        due_at: datetime,
        ring: Doorbell | None = None,
        ack: Delivery | None = None,
        instead: Instead | None = None,
        synced: bool = True,
    ) -> bool:
        """Write what belongs together; return whether ``instead`` took the first one's place."""
        is_other = False
        if self._joint is None or (ring is None and ack is None and instead is None):
            await self._table.write(*writes, synced=synced)
        else:
            is_other = await self._joint.write(*writes, ring=ring, ack=ack, instead=instead)
        self._on_due(due_at)
        return is_other

    async def update(
        self,
        job: Job,
        change: Change,
        *,
        outputs: Sequence[Output] | None = None,
        delivery: Delivery | None = None,
        amended: Attempt | None = None,
        unfollowed: Change | None = None,
        synced: bool = True,
    ) -> Job:
        """Apply ``change`` and store it, repeated on a fresh read after a conflict.

        Exceptions of ``change`` are raised. The same transaction stores ``outputs`` of a job that
        succeeds; the end of one may acknowledge ``delivery``, and apply ``unfollowed`` if nobody
        follows it. ``amended`` replaces an attempt's record. A new status is always ``synced``.

        Raises:
            TooContended (others wrote TRIES times in a row), TooManyRunning (of a claim), TooLarge.
        """
        for pause in range(TRIES):
            if (changed := change(job, now=(now := self._clock.now()))) is job:
                return job
            ended, told = attempt_ended(job, changed, now=now), self._told(job, changed)
            try:
                stored = await self.save(
                    changed,
                    attempt=amended or ended,
                    outputs=outputs if changed.status == "succeeded" else None,
                    delivery=delivery if changed.status.terminal else None,
                    synced=synced or changed.status is not job.status,
                    beside=[*await self._beside_claim(job, changed), *map(put_of, told)],
                    unfollowed=self._unfollowed(changed, unfollowed, now=now),
                )
            except StaleJob:
                job = await self._read_later(job.id, pause)
            else:
                log_changed(job, changed, ended)
                return await self._rung_for(stored, told)
        raise TooContended(f"job {job.id} was changed by others {TRIES} times in a row; try again")

    def _told(self, before: Job | None, after: Job) -> Sequence[WebhookDelivery]:
        if self._outbox is None:
            return ()
        return self._outbox.of_change(before, after, now=self._clock.now())

    async def _rung_for(self, job: Job, told: Sequence[WebhookDelivery]) -> Job:
        """Ring for what a stored change of ``job`` is told as, and return the job."""
        if self._outbox is not None:
            await self._outbox.ring(told)
        return job

    async def _read_later(self, job_id: JobId, pause: int) -> Job:
        await asyncio.sleep(random.uniform(0, FIRST_PAUSE_S * 2 ** min(pause, 6)))
        return await self.get(job_id)

    def _unfollowed(self, job: Job, change: Change | None, *, now: datetime) -> Job | None:
        """Return a job that ends as it is if nobody follows it; None if that is stored later."""
        if change is None or self._joint is None or not job.status.terminal:
            return None
        return replace(change(job, now=now), version=job.version)

    async def _beside_claim(self, job: Job, changed: Job) -> Sequence[Write]:
        if self._running is None or changed.lease is None or changed.attempt == job.attempt:
            return ()
        return [await self._running.enter(changed)]

    async def spec(self, job_id: JobId) -> Spec:
        item = await self._table.get((f"JOB#{job_id}", "SPEC"))
        if item is None or "body" not in item:  # which a deleted job's has not
            raise JobNotFound(f"job {job_id} has no spec")
        return spec_of(item)

    async def discard_outputs(self, job_id: JobId, attempt: int) -> None:
        """Delete the outputs of an attempt that did not make the job succeed."""
        await self._outputs.discard(job_id, attempt)

    async def outputs(self, job_id: JobId) -> Sequence[Output]:
        """The stored results; none before the job has succeeded."""
        return (await self._outputs.page(job_id)).outputs

    async def output_page(
        self, job_id: JobId, *, start: int = 0, end: int | None = None
    ) -> OutputPage:
        """The stored results from ``start`` up to ``end`` (exclusive; None: all that follow)."""
        return await self._outputs.page(job_id, start=start, end=end)

    async def attempts(self, job_id: JobId) -> Sequence[Attempt]:
        """Return each ended attempt, in order."""
        page = await self._table.query("main", f"JOB#{job_id}", prefix="TRY#", limit=100)
        return [attempt_of(item) for item in page.items]

    async def remove(self, job: Job) -> bool:
        """Delete a job; no other of its id is stored while it is barred. See ``job_removal``."""
        return await remove(self._table, job)

    async def add_name(self, name: JobId, job: Job) -> None:
        """Give a job a second id."""
        ttl = to_ms(job.created_at) // 1000 + NAMED_S
        await self._table.write(
            Put({"pk": f"JOB#{name}", "sk": "NAMES", "job": job.id, "ttl": ttl})
        )

    async def named(self, name: JobId) -> JobId | None:
        """Return the job with the second id ``name``; None if there is none."""
        item = await self._table.get((f"JOB#{name}", "NAMES"))
        return None if item is None else JobId(item["job"])

    async def idempotent(self, tenant: TenantId, key: str) -> tuple[str, JobId] | None:
        """Return (digest, job) stored under an idempotency key; None if it is unused."""
        item = await self._table.get((f"IDEM#{tenant}#{key}", "-"))
        return None if item is None else (item["digest"], JobId(item["job"]))

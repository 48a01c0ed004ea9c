"""Reading and canceling batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comfyq.aio.tasks import limited
from comfyq.domain.audit import Actor, AuditAction
from comfyq.domain.caller import Caller
from comfyq.domain.errors import BatchNotFound, JobNotFound
from comfyq.domain.files.output import MAX_OUTPUTS, OutputPage
from comfyq.domain.job import Job
from comfyq.domain.submission.batch import Batch, BatchId
from comfyq.domain.submission.batch_progress import GOING_ON, BatchProgress, progress_of
from comfyq.ports.clock import Clock
from comfyq.ports.table import Cursor
from comfyq.records.batches.members import member_id
from comfyq.records.batches.records import BatchRecords
from comfyq.records.jobs import JobRecords
from comfyq.records.retries import NewestJob, RetryRecords
from comfyq.services.access.audit import Audit
from comfyq.services.jobs.cancellation import Cancellation

AT_ONCE = 10  # jobs of a batch that are read or canceled at the same time


@dataclass(frozen=True, slots=True)
class BatchState:
    """The present state of a batch: of each request the newest job that does its work. One that is
    missing was deleted or never stored, or is being stored."""

    batch: Batch
    jobs: Mapping[int, Job]
    outputs: Mapping[int, OutputPage]  # if asked for: the first of each that has succeeded
    retried_in: frozenset[BatchId]  # batches that have the newest jobs of this one

    @property
    def progress(self) -> BatchProgress:
        return progress_of(self.batch, self.jobs)


class Batches:
    """Read and cancel batches for a caller; to it, another tenant's batch does not exist."""

    def __init__(
        self,
        *,
        records: BatchRecords,
        jobs: JobRecords,
        retries: RetryRecords,
        cancellation: Cancellation,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._records = records
        self._jobs = jobs
        self._retries = retries
        self._cancellation = cancellation
        self._audit = audit
        self._clock = clock

    async def get(self, caller: Caller, batch_id: BatchId, *, outputs: bool = False) -> BatchState:
        """Return a batch with the present state of its jobs, and their ``outputs`` on request.

        Raises:
            BatchNotFound.
        """
        if caller.only_job is not None:
            raise BatchNotFound(f"there is no batch {batch_id}")
        batch = await self._records.get(batch_id, tenant=caller.tenant)
        members = await limited(AT_ONCE, batch.indexes, lambda n: self._find(batch, n))
        alive = {n: newest.job for n, newest in members.items() if newest is not None}
        batches = frozenset(each.batch for each in members.values() if each and each.batch)
        if not outputs:
            return BatchState(batch, alive, {}, batches)
        succeeded = [n for n, job in alive.items() if job.status == "succeeded"]
        end = MAX_OUTPUTS // max(1, len(succeeded))
        pages = await limited(
            AT_ONCE, succeeded, lambda n: self._jobs.output_page(alive[n].id, end=end)
        )
        return BatchState(batch, alive, pages, batches)

    async def list(
        self, caller: Caller, *, limit: int, after: Cursor | None = None
    ) -> tuple[Sequence[Batch], Cursor | None]:
        """Return a page of the caller's batches, newest first, and where the next one begins."""
        return await self._records.of_tenant(caller.tenant, limit=limit, after=after)

    async def cancel(self, caller: Caller, batch_id: BatchId) -> BatchState:
        """Request the cancellation of every job of a batch, or of its newest retry, and of those
        that are still to be stored; changes nothing on those that have ended. Raises BatchNotFound.
        """
        state = await self.get(caller, batch_id)
        left = sum(state.progress.counts.get(status, 0) for status in GOING_ON)
        if left or not state.batch.canceled:
            canceled, count = AuditAction.BATCH_CANCELED, str(left)
            await self._audit.note(caller.tenant, Actor.of(caller), canceled, batch_id, jobs=count)
        batch = await self._records.cancel(state.batch)
        if state.batch.may_grow or batch.may_grow:
            missing = [n for n in batch.indexes if n not in state.jobs]
            await self._records.cancel_unstored(batch.id, missing, at=self._clock.now())
            state = await self.get(caller, batch_id)  # with what was stored meanwhile
        pending = [n for n, job in state.jobs.items() if not job.status.terminal]
        await limited(AT_ONCE, pending, lambda n: self._cancel(caller, state.jobs[n]))
        return await self.get(caller, batch_id)

    async def _find(self, batch: Batch, index: int) -> NewestJob | None:
        try:
            job = await self._jobs.get(member_id(batch.id, index))
            return await self._retries.newest(job)
        except JobNotFound:
            return None

    async def _cancel(self, caller: Caller, job: Job) -> None:
        try:
            await self._cancellation.cancel(caller, job.id)
        except JobNotFound:
            return  # deleted since it was listed

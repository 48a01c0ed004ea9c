"""Reading and canceling batches."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from comfyq.aio.logs import log
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
from comfyq.records.indexes.listed_batches import ListedBatches
from comfyq.records.jobs import JobRecords
from comfyq.records.retries import NewestJob, RetryRecords
from comfyq.services.access.audit import Audit
from comfyq.services.jobs.cancellation import Cancellation

AT_ONCE = 10  # jobs of a batch that are read or canceled at the same time
CANCEL_WITHIN = timedelta(seconds=30)  # longer than a function lives, and far longer than it takes


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
        listed: ListedBatches,
        jobs: JobRecords,
        retries: RetryRecords,
        cancellation: Cancellation,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._records = records
        self._listed = listed
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
        state = await self._state(batch)
        if not outputs:
            return state
        succeeded = [n for n, job in state.jobs.items() if job.status == "succeeded"]
        end = MAX_OUTPUTS // max(1, len(succeeded))
        pages = await limited(
            AT_ONCE, succeeded, lambda n: self._jobs.output_page(state.jobs[n].id, end=end)
        )
        return replace(state, outputs=pages)

    async def list(
        self, caller: Caller, *, limit: int, after: Cursor | None = None
    ) -> tuple[Sequence[Batch], Cursor | None]:
        """Return a page of the caller's batches, newest first, and where the next one begins."""
        return await self._listed.of_tenant(caller.tenant, limit=limit, after=after)

    async def cancel(self, caller: Caller, batch_id: BatchId) -> BatchState:
        """Request the cancellation of every job of a batch, or of its newest retry, and of those
        that are still to be stored; changes nothing on those that have ended. Raises BatchNotFound.
        """
        state = await self.get(caller, batch_id)
        left = sum(state.progress.counts.get(status, 0) for status in GOING_ON)
        if left or not state.batch.canceled:
            canceled, count = AuditAction.BATCH_CANCELED, str(left)
            await self._audit.note(caller.tenant, Actor.of(caller), canceled, batch_id, jobs=count)
        elif state.batch.canceling_since is None and not state.batch.may_grow:
            return state  # nothing is left of it
        batch = await self._records.cancel(state.batch, at=self._clock.now())
        if state.batch.may_grow or batch.may_grow:
            await self._cancel_unstored(batch, state)
            state = await self.get(caller, batch_id)  # with what was stored meanwhile
        await self._cancel_all(state.jobs.values())
        await self._records.canceled(batch)
        return await self.get(caller, batch_id)

    async def go_on_canceling(self) -> int:
        """Cancel what is left of batches whose cancellation was cut off; return of how many.

        A retry that was asked for after the cancellation goes on.
        """
        count = 0
        for batch_id in await self._records.canceling(self._clock.now() - CANCEL_WITHIN):
            with suppress(BatchNotFound):
                batch = await self._records.get(batch_id)
                if batch.canceling_since is None:
                    continue  # the index lags
                state = await self._state(batch)
                if batch.may_grow:
                    await self._cancel_unstored(batch, state)
                    state = await self._state(batch)
                asked_at = batch.canceling_since
                await self._cancel_all(
                    job
                    for job in state.jobs.values()
                    if job.retry_of is None or job.created_at <= asked_at
                )
                await self._records.canceled(batch)
                log.info("batch_canceled", batch=batch_id, reason="who did it has died")
                count += 1
        return count

    async def _state(self, batch: Batch) -> BatchState:
        members = await limited(AT_ONCE, batch.indexes, lambda n: self._find(batch, n))
        alive = {n: newest.job for n, newest in members.items() if newest is not None}
        batches = frozenset(each.batch for each in members.values() if each and each.batch)
        return BatchState(batch, alive, {}, batches)

    async def _find(self, batch: Batch, index: int) -> NewestJob | None:
        try:
            job = await self._jobs.get(member_id(batch.id, index))
            return await self._retries.newest(job)
        except JobNotFound:
            return None

    async def _cancel_unstored(self, batch: Batch, state: BatchState) -> None:
        missing = [n for n in batch.indexes if n not in state.jobs]
        await self._records.cancel_unstored(batch.id, missing, at=self._clock.now())

    async def _cancel_all(self, jobs: Iterable[Job]) -> None:
        pending = {job.id: job for job in jobs if not job.status.terminal}
        await limited(AT_ONCE, pending, lambda job_id: self._cancel(pending[job_id]))

    async def _cancel(self, job: Job) -> None:
        with suppress(JobNotFound):  # deleted since it was listed
            await self._cancellation.cancel_job(job)

"""The reaper: sends lost doorbells, frees lapsed leases, announces ends, deletes old jobs."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from datetime import timedelta
from functools import partial

from comfyq.aio.logs import log, log_context
from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError, IllegalTransition, JobNotFound, JobReused
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.ports.clock import Clock
from comfyq.ports.queue import JobQueue
from comfyq.records.indexes.due_jobs import ENDED, URGENT, DueJobs
from comfyq.records.jobs import JobRecords
from comfyq.services.files.job_deletion import JobDeletion
from comfyq.services.notify.announcer import Announcer
from comfyq.services.operations.deadlines import Deadlines

BATCH = 100  # due jobs of one shard that a round settles
DELETIONS = 25  # of one shard in a round: repairs wait for no more of them
HORIZON = jobs.RING_AFTER  # what is written later is due later, but for short limits and leases
REUSED_FOR = timedelta(days=1)  # until a job whose files others have is looked at again
ONCE = frozenset({"webhooks_rung"})  # of upkeep: ringing again does not make them fewer
UNSETTLED = frozenset({"early", "gone", "failed"})  # a lagging index may list them again at once


class Reaper:
    """Settle the jobs that are due. Any number of reapers may run at once."""

    def __init__(
        self,
        *,
        records: JobRecords,
        due: DueJobs,
        queue: JobQueue,
        deletion: JobDeletion,
        announcer: Announcer,
        clock: Clock,
        deadlines: Deadlines,
        upkeep: Mapping[str, Callable[[], Awaitable[int]]],
    ) -> None:
        self._records = records
        self._due = due
        self._queue = queue
        self._deletion = deletion
        self._announcer = announcer
        self._clock = clock
        self._upkeep = upkeep  # beside what single jobs need, by what it is called in counts
        self.deadlines = deadlines

    async def reap(self, may_go_on: Callable[[], bool] = lambda: False) -> Counter[str]:
        """Settle due jobs, in rounds: first what clients wait for, then a quota of deletions.

        A further round begins if the last one left due jobs and ``may_go_on`` allows it; so does
        the upkeep of other records, which comes last. Returns counts of what was done: ``rung``,
        ``ended``, ``announced``, ``deleted``, ``spared``, and what the upkeep did.
        """
        done: Counter[str] = Counter()
        self.deadlines.forget()
        while await self._round(done):
            if not may_go_on():
                self.deadlines.note(self._clock.now())
                break
        left = set(self._upkeep)
        while (left := await self._keep_up(left, done)) and may_go_on():
            pass
        return done

    async def _keep_up(self, left: Set[str], done: Counter[str]) -> set[str]:
        """Do that upkeep of other records than jobs; return what may have left something to do."""
        for what, work in self._upkeep.items():
            if what not in left:
                continue
            await asyncio.sleep(0)  # the event loop is others' as well
            if count := await _counted(work):
                done[what] += count
            else:
                left = left - {what}
        return set(left - ONCE)

    async def _round(self, done: Counter[str]) -> bool:
        """Return whether more is due, and settling it makes progress."""
        left = False
        for partitions, limit in ((URGENT, BATCH), (ENDED, DELETIONS)):
            for partition in partitions:
                left |= await self._settle_due(partition, limit, done)
        return left

    async def _settle_due(self, partition: str, limit: int, done: Counter[str]) -> bool:
        now = self._clock.now()
        settled: Counter[str] = Counter()
        page = await self._due.upto(now + HORIZON, partition=partition, limit=limit)
        for each in page:
            if each.at <= now:
                with log_context(job=each.id):
                    settled[await self._settle(each.id)] += 1
            else:
                self.deadlines.note(each.at)
        done += settled
        return settled.total() == limit and not settled.keys() <= UNSETTLED

    async def evict(self, worker: WorkerId, job_ids: Sequence[JobId]) -> None:
        """Free the jobs of a worker that is known to be dead, and announce those that end."""
        evict = partial(jobs.evict, worker=worker)
        for job_id in job_ids:
            try:
                job = await self._records.get(job_id)
                if not job.end_pending:
                    job = await self._records.update(job, evict)
            except DomainError:
                continue  # another worker has it, or it is deleted
            await self._follow_up(job)

    async def _settle(self, job_id: JobId) -> str:
        """Do what is due for one job. The index lags, so a consistent read decides."""
        try:
            job = await self._records.get(job_id)
            if self._clock.now() < job.due_at:
                return "early"
            if job.status.terminal:
                return await self._settle_ended(job)
            settled = await self._records.update(job, jobs.reap)
            return await self._follow_up(settled)
        except (JobNotFound, IllegalTransition):
            return "gone"
        except DomainError as unavailable:
            log.warning("reap_failed", job=job_id, reason=str(unavailable))
            return "failed"

    async def _settle_ended(self, job: Job) -> str:
        if job.end_pending:
            await self._announcer.announce_end(job)
            return "announced"
        try:
            await self._deletion.delete(job)
        except JobReused:
            until = self._clock.now() + REUSED_FOR
            await self._records.update(job, partial(jobs.spare, until=until))
            return "spared"
        return "deleted"

    async def _follow_up(self, job: Job) -> str:
        if job.status.terminal:
            await self._announcer.announce_end(job)
            return "ended"
        if job.lease is not None:
            return "held"
        await self._queue.send(job.id, tenant=job.tenant)
        await self._records.update(job, jobs.ring)
        return "rung"


async def _counted(work: Callable[[], Awaitable[int]]) -> int:
    """Return how much was done; nothing if it cannot be done now."""
    try:
        return await work()
    except DomainError as unavailable:
        log.warning("upkeep_failed", reason=str(unavailable))
        return 0

"""The reaper: sends lost doorbells, frees lapsed leases, announces ends, deletes old jobs."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError, IllegalTransition, JobNotFound
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.ports.clock import Clock
from comfyq.ports.queue import JobQueue
from comfyq.records.job_items import ACTIVE_SHARDS
from comfyq.records.jobs import JobRecords
from comfyq.records.times import sortable
from comfyq.services.access.open_sockets import OpenSockets
from comfyq.services.files.job_deletion import JobDeletion
from comfyq.services.files.uploads import Uploads
from comfyq.services.notify.announcer import Announcer

BATCH = 100  # due jobs of one shard that a pass settles


class Reaper:
    """Settle the jobs that are due. Any number of reapers may run at once."""

    def __init__(
        self,
        *,
        records: JobRecords,
        queue: JobQueue,
        deletion: JobDeletion,
        announcer: Announcer,
        clock: Clock,
        uploads: Uploads | None = None,
        sockets: OpenSockets | None = None,
    ) -> None:
        self._records = records
        self._queue = queue
        self._deletion = deletion
        self._announcer = announcer
        self._clock = clock
        self._uploads = uploads  # None: clients store no files here
        self._sockets = sockets  # None: clients show no keys here

    async def reap(self) -> Counter[str]:
        """Settle every due job once; return counts of what was done: ``rung``, ``ended``,
        ``announced``, ``deleted``, ``expired`` for clients' files, and ``closed`` for sockets."""
        done: Counter[str] = Counter()
        upto = sortable(self._clock.now())
        for shard in range(ACTIVE_SHARDS):
            for job_id in await self._records.due(shard, upto=upto, limit=BATCH):
                done[await self._settle(job_id)] += 1
        if self._uploads is not None and (expired := await _counted(self._uploads.expire)):
            done["expired"] = expired
        if self._sockets is not None and (closed := await _counted(self._sockets.end_expired)):
            done["closed"] = closed
        return done

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
        await self._deletion.delete(job)
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

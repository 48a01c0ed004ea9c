"""Doorbells that are missing: fewer are there than jobs wait.

A worker may claim another job than its doorbell names, a queue may lose a message or give it up,
and the doorbells of a tenant at its limit are dropped. Workers that are there look by themselves.
Where none is, the queue's length alone starts one, so both are counted here.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from comfyq.domain import job as jobs
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import Conflict, JobNotFound
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.recency import is_recent
from comfyq.ports.clock import Clock
from comfyq.ports.queue import JobQueue
from comfyq.records.demand import DemandRecords
from comfyq.records.indexes.ready_jobs import ReadyRecords, Waiting
from comfyq.records.job_items import tenant_of
from comfyq.records.jobs import JobRecords
from comfyq.records.workers import WorkerRecords

LOOK_AFTER = timedelta(seconds=30)  # on one machine the reaper runs more often
SETTLED_AFTER = timedelta(minutes=2)  # then a queue counts a message that was sent: see JobQueue
MOST = 1_000  # waiting jobs that are counted
SENT_MOST = 100  # doorbells of one look; a pool is scaled by fewer
READ_MOST = 2 * SENT_MOST  # jobs that one look reads for them


class LostDoorbells:
    """Count what waits and what rings, and send what is missing.

    There are never more doorbells by this than jobs wait and are with workers: a job is rung for
    only while the count is too low, and not again within SETTLED_AFTER.
    """

    def __init__(
        self,
        *,
        demand: DemandRecords,
        ready: ReadyRecords,
        records: JobRecords,
        workers: WorkerRecords,
        queue: JobQueue,
        clock: Clock,
        is_held_back: Callable[[TenantId], Awaitable[bool]],
    ) -> None:
        self._demand = demand
        self._ready = ready
        self._records = records
        self._workers = workers
        self._queue = queue
        self._clock = clock
        self._is_held_back = is_held_back  # a tenant: workers hold as many of its jobs as they may
        self._looked_at: datetime | None = None

    async def ring(self) -> int:
        """Send doorbells if some are missing, and return how many; looks every LOOK_AFTER at most.

        Raises:
            Unavailable: the table or the queue does not answer.
        """
        now = self._clock.now()
        if self._looked_at is not None and is_recent(self._looked_at, now, within=LOOK_AFTER):
            return 0
        self._looked_at = now
        waiting = await self._waiting()
        if not waiting or (rings := await self._rings()) >= len(waiting):
            return 0
        waiting = await self._claimable(waiting)
        return await self._send(waiting, most=min(len(waiting) - rings, SENT_MOST))

    async def _waiting(self) -> Sequence[Waiting]:
        waiting: list[Waiting] = []
        for family in await self._demand.families():
            if len(waiting) == MOST:
                break
            waiting += await self._ready.beyond(family, None, limit=MOST - len(waiting))
        return waiting

    async def _rings(self) -> int:
        """Return how many doorbells stand for waiting jobs: each that a worker holds has one too,
        unless it was claimed without."""
        held = sum(len(worker.jobs) for worker in await self._workers.live())
        return max(0, await self._queue.count() - held)

    async def _claimable(self, waiting: Sequence[Waiting]) -> Sequence[Waiting]:
        """Leave out jobs of tenants at their limit: workers would drop their doorbells again."""
        tenants = {job.lane: tenant_of(job.lane) for job in waiting}
        full = [lane for lane, of in tenants.items() if of and await self._is_held_back(of)]
        return [job for job in waiting if job.lane not in full]

    async def _send(self, waiting: Sequence[Waiting], *, most: int) -> int:
        settled_before = self._clock.now() - SETTLED_AFTER
        settled = [job.id for job in waiting if job.since <= settled_before]
        sent = 0
        for job_id in random.sample(settled, min(len(settled), READ_MOST)):
            if sent >= most:
                break
            sent += await self._sent(job_id, settled_before)
        return sent

    async def _sent(self, job_id: JobId, settled_before: datetime) -> bool:
        try:
            job = await self._records.get(job_id)
        except JobNotFound:
            return False  # the index lags
        if not _waits(job) or (job.rung_at or job.created_at) > settled_before:
            return False
        await self._queue.send(job.id, tenant=job.tenant)
        with suppress(Conflict, JobNotFound):  # claimed, ended or deleted meanwhile
            await self._records.update(job, jobs.ring, synced=False)
        return True


def _waits(job: Job) -> bool:
    return job.status is JobStatus.QUEUED and job.lease is None and not job.is_aside

"""Workers that were heard of lately, and what each of them works on."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from comfyq.domain.caller import Caller
from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import Job, JobId
from comfyq.records.jobs import JobRecords
from comfyq.records.workers import WorkerRecords, WorkerState


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker as it last described itself, and those of its jobs that the caller may see."""

    state: WorkerState
    jobs: Sequence[Job]


class LiveWorkers:
    """Lists the workers of every tenant; jobs of other tenants are left out."""

    def __init__(self, *, workers: WorkerRecords, jobs: JobRecords) -> None:
        self._workers = workers
        self._jobs = jobs

    async def list(self, caller: Caller) -> Sequence[LiveWorker]:
        """Return the live workers, by id."""
        states = await self._workers.live()
        return await asyncio.gather(*(self._worker(caller, state) for state in states))

    async def _worker(self, caller: Caller, state: WorkerState) -> LiveWorker:
        jobs = await asyncio.gather(*(self._job(caller, state, job_id) for job_id in state.jobs))
        return LiveWorker(state, [job for job in jobs if job is not None])

    async def _job(self, caller: Caller, state: WorkerState, job_id: JobId) -> Job | None:
        """Return a job that the worker holds; it may have lost or ended it since it said so."""
        try:
            job = await self._jobs.get(job_id)
        except JobNotFound:
            return None
        held = job.lease is not None and job.lease.worker == state.id
        return job if held and job.tenant == caller.tenant else None

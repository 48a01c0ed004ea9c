"""Dispatch of stored jobs: a doorbell for a job that waits, an announcement for a job that was
stored as ended."""

from collections.abc import Sequence

from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError
from comfyq.domain.job import Job
from comfyq.domain.submission.batch import BatchId
from comfyq.ports.queue import JobQueue
from comfyq.records.jobs import JobRecords
from comfyq.services.notify.announcer import Announcer


class Dispatch:
    def __init__(self, *, records: JobRecords, queue: JobQueue, announcer: Announcer) -> None:
        self._records = records
        self._queue = queue
        self._announcer = announcer

    async def dispatch(self, job: Job) -> Job:
        """Send a waiting job's first doorbell, or announce a job that has ended. A job that was set
        aside is found without one; if that takes ten minutes or more, the reaper sends one.

        A doorbell that cannot be sent raises nothing: the reaper sends it again.
        """
        if job.status.terminal:
            return await self._announcer.announce_end(job)
        if job.rung_at is None and not job.is_aside:
            await self.ring(job)
        return job

    async def ring(self, job: Job) -> None:
        """Send a doorbell for a waiting job and record that it was sent."""
        try:
            await self._queue.send(job.id, tenant=job.tenant)
            await self._records.update(job, jobs.ring, synced=False)
        except DomainError:
            # Already claimed or ended. If sending failed, the reaper sends again.
            return

    async def ring_all(self, stored: Sequence[Job]) -> bool:
        """Send the doorbells of one tenant's waiting jobs without recording it; False: sending
        failed, and the reaper will send them."""
        waiting = [job for job in stored if not job.status.terminal and not job.is_aside]
        if not waiting:
            return True
        try:
            await self._queue.send_many([job.id for job in waiting], tenant=waiting[0].tenant)
        except DomainError:
            return False
        return True

    async def batch_stored(self, batch_id: BatchId) -> None:
        """Tell who follows a batch that all of it is stored."""
        await self._announcer.batch_stored(batch_id)

    async def announce(self, job: Job) -> Job:
        """Announce the end of a job that was stored as ended."""
        return await self._announcer.announce_end(job)

"""Canceling jobs for the client who owns them."""

from comfyq.domain import job as jobs
from comfyq.domain.caller import Caller
from comfyq.domain.job import Job, JobId
from comfyq.records.jobs import JobRecords
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.notify.announcer import Announcer


class Cancellation:
    def __init__(self, *, queries: JobQueries, records: JobRecords, announcer: Announcer) -> None:
        self._queries = queries
        self._records = records
        self._announcer = announcer

    async def cancel(self, caller: Caller, job_id: JobId) -> Job:
        """Request a job's cancellation; changes nothing on a job that has ended.

        A job that no worker holds ends at once; otherwise its worker sees the request and stops.

        Raises:
            JobNotFound.
        """
        return await self.cancel_job(await self._queries.get(caller, job_id))

    async def cancel_job(self, before: Job) -> Job:
        """Do the same to a job that was read already, whoever wishes it."""
        job = await self._records.update(before, jobs.request_cancel)
        if job.end_pending and not before.status.terminal:
            job = await self._announcer.announce_end(job)
        return job

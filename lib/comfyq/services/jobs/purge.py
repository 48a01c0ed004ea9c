"""Deletion of jobs for the client who owns them."""

from comfyq.domain.caller import Caller
from comfyq.domain.errors import JobNotEnded
from comfyq.domain.job import Job, JobId
from comfyq.services.files.job_deletion import JobDeletion
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.notify.announcer import Announcer


class Purge:
    def __init__(
        self, *, cancellation: Cancellation, announcer: Announcer, deletion: JobDeletion
    ) -> None:
        self._cancellation = cancellation
        self._announcer = announcer
        self._deletion = deletion

    async def purge(self, caller: Caller, job_id: JobId) -> Job:
        """Cancel a job if it has not ended, delete it with its files, and return its last state.

        Raises:
            JobNotFound.
            JobNotEnded: its worker must stop it first; the cancellation is requested.
        """
        job = await self._cancellation.cancel(caller, job_id)
        if not job.status.terminal:
            raise JobNotEnded(f"job {job.id} is being canceled; delete it once it has ended")
        if job.end_pending:
            job = await self._announcer.announce_end(job)
        await self._deletion.delete(job)
        return job

"""Deletion of jobs for the client who owns them."""

from functools import partial

from comfyq.domain import job as jobs
from comfyq.domain.audit import Actor, AuditAction
from comfyq.domain.caller import Caller
from comfyq.domain.errors import JobNotEnded, JobReused
from comfyq.domain.job import Job, JobId
from comfyq.records.jobs import JobRecords
from comfyq.services.access.audit import Audit
from comfyq.services.files.job_deletion import JobDeletion
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.notify.announcer import Announcer


class Purge:
    def __init__(
        self,
        *,
        records: JobRecords,
        cancellation: Cancellation,
        announcer: Announcer,
        deletion: JobDeletion,
        audit: Audit,
    ) -> None:
        self._cancellation = cancellation
        self._announcer = announcer
        self._deletion = deletion
        self._records = records
        self._audit = audit

    async def purge(self, caller: Caller, job_id: JobId) -> Job:
        """Cancel a job if it has not ended, delete it with its files, and return its last state.

        A batch that is sent again under its idempotency key, or a queue's message that is delivered
        again, does not make the job anew.

        Raises:
            JobNotFound.
            JobNotEnded: its worker must stop it first; the cancellation is requested.
            JobReused: other jobs have its files, or need them: these must be deleted, or canceled,
                before.
        """
        job = await self._cancellation.cancel(caller, job_id)
        if not job.status.terminal:
            raise JobNotEnded(f"job {job.id} is being canceled; delete it once it has ended")
        if job.end_pending:
            job = await self._announcer.announce_end(job)
        await self._audit.note(caller.tenant, Actor.of(caller), AuditAction.JOB_PURGED, job.id)
        condemned = await self._records.update(job, jobs.condemn)
        try:
            await self._deletion.delete(condemned)
        except JobReused as reused:
            # Not as this request read it: another purge may have condemned it before.
            until = condemned.kept_until or condemned.due_at
            await self._records.update(condemned, partial(jobs.spare, until=until))
            raise JobReused(f"{reused}; delete or cancel these first, and then this one") from None
        return job

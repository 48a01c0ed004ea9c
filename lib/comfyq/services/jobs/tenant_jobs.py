"""Deletion of all jobs of a tenant, with their files."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from enum import Enum, auto
from functools import partial

from comfyq.aio.tasks import limited
from comfyq.domain import job as jobs
from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import Conflict, JobNotFound
from comfyq.domain.job import JobId, JobStatus
from comfyq.ports.table import Cursor
from comfyq.records.indexes.followed_jobs import FollowedJobRecords
from comfyq.records.indexes.listed_jobs import ListedJobs, Partition, of_statuses, of_tenant
from comfyq.records.indexes.tenant_data import Portion
from comfyq.records.jobs import JobRecords
from comfyq.records.subscriptions import SubscriptionRecords
from comfyq.services.files.job_deletion import JobDeletion
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.notify.announcer import Announcer

AT_ONCE = 10  # jobs that are canceled or deleted at the same time
PAGE = 50


class TenantJobs:
    """Cancel and delete the jobs of a tenant, whoever holds them."""

    def __init__(
        self,
        *,
        listed: ListedJobs,
        records: JobRecords,
        cancellation: Cancellation,
        announcer: Announcer,
        deletion: JobDeletion,
        followers: SubscriptionRecords,
        followed: FollowedJobRecords,
    ) -> None:
        self._listed = listed
        self._records = records
        self._cancellation = cancellation
        self._announcer = announcer
        self._deletion = deletion
        self._followers = followers
        self._followed = followed

    async def delete_some(self, tenant: TenantId, *, most: int) -> Portion:
        """Cancel what goes on, then delete some jobs, at least ``most`` if there are so many; the
        newest first, since jobs that reuse results must go before those that made them.

        What workers hold, and what was reused in the last minutes, is left for a later call.
        """
        caller = Caller(tenant, frozenset())
        await self._cancel_some(caller, most)
        fates = Counter[Fate]()
        async for page in self._pages(of_tenant(tenant)):
            done = await limited(AT_ONCE, page, partial(self._delete, caller))
            fates.update(done.values())
            if fates[Fate.DELETED] >= most:
                return Portion(fates[Fate.DELETED], is_last=False)
        return Portion(fates[Fate.DELETED], is_last=not fates[Fate.LEFT])

    async def _cancel_some(self, caller: Caller, most: int) -> None:
        """Cancel ``most`` unfinished jobs or some more, so that workers stop all of them soon."""
        unfinished = of_statuses(caller.tenant, [JobStatus.QUEUED, JobStatus.RUNNING])
        canceled = 0
        async for page in self._pages(unfinished):
            done = await limited(AT_ONCE, page, partial(self._cancel, caller))
            canceled += sum(done.values())
            if canceled >= most:
                return

    async def _cancel(self, caller: Caller, job_id: JobId) -> bool:
        """Return whether the job had to be canceled."""
        try:
            job = await self._records.get(job_id)
            if job.status.terminal or job.cancel_requested:
                return False
            await self._cancellation.cancel(caller, job_id)
        except (JobNotFound, Conflict):
            return False
        return True

    async def _delete(self, caller: Caller, job_id: JobId) -> "Fate":
        try:
            job = await self._cancellation.cancel(caller, job_id)
            if not job.status.terminal:
                return Fate.LEFT
            if job.end_pending:
                job = await self._announcer.announce_end(job)
            condemned = await self._records.update(job, jobs.condemn)
            for follower in await self._followers.of_job(job_id):
                await self._followers.remove(job_id, follower)
            await self._followed.remove(job_id)
            await self._deletion.delete(condemned)
        except JobNotFound:
            return Fate.GONE
        except Conflict:  # others have its files, or change it at the same time
            return Fate.LEFT
        return Fate.DELETED

    async def _pages(self, partitions: Sequence[Partition]) -> AsyncIterator[Sequence[JobId]]:
        """Yield the ids that the index lists, which lags, page by page."""
        after: Cursor | None = None
        while True:
            page = await self._listed.page(partitions, limit=PAGE, after=after)
            if page.jobs:
                yield [each.id for each in page.jobs]
                after = page.jobs[-1].place
            if page.is_last:
                return


class Fate(Enum):
    """What becomes of a job that is to be deleted."""

    DELETED = auto()
    GONE = auto()  # it was deleted before
    LEFT = auto()  # it cannot be deleted yet

"""Fresh frames for followers of queued jobs when the reason to wait changes."""

from collections.abc import Awaitable, Callable, Mapping, Set
from functools import partial

from comfyq.aio.tasks import limited
from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import JobId, JobStatus
from comfyq.ports.table import Cursor
from comfyq.records.indexes.followed_jobs import ANY_WORKER, FollowedJobRecords, FollowedPage
from comfyq.records.jobs import JobRecords
from comfyq.services.notify.announcer import Announcer

AT_ONCE = 25

Reasons = Callable[[], Awaitable[Mapping[str, str]]]
"""By worker: what the jobs that it holds wait for; under ANY_WORKER, what all others do."""


class WaitingReasons:
    """Compare the reasons with those that were told last; any number of processes may do so.

    The cost is one query while no job is followed, and three reads while no reason changes.
    """

    def __init__(
        self,
        *,
        followed: FollowedJobRecords,
        records: JobRecords,
        announcer: Announcer,
        reasons: Reasons,
    ) -> None:
        self._followed = followed
        self._records = records
        self._announcer = announcer
        self._reasons = reasons

    async def push(self) -> int:
        """Post a frame of each followed job that waits and whose reason has changed since the last
        call; return how many there were.

        Raises:
            Unavailable: the table does not answer; the next call posts what this one did not.
        """
        page = await self._followed.page()
        if not page.ids:
            return 0
        now, told = await self._reasons(), await self._followed.told()
        changed = {key for key in {*now, *told} if now.get(key) != told.get(key)}
        if not changed:
            return 0
        pushed = await self._push_all(page, changed)
        await self._followed.note_told(now)  # last: after a crash they are posted again
        return pushed

    async def _push_all(self, page: FollowedPage, changed: Set[str]) -> int:
        pushed = 0
        while True:
            push = partial(self._push, changed=changed)
            pushed += sum((await limited(AT_ONCE, page.ids, push)).values())
            cursor: Cursor | None = page.cursor
            if cursor is None:
                return pushed
            page = await self._followed.page(after=cursor)

    async def _push(self, job_id: JobId, *, changed: Set[str]) -> bool:
        try:
            job = await self._records.get(job_id)
        except JobNotFound:
            job = None
        if job is None or job.status.terminal:
            await self._followed.remove(job_id)
            return False
        if job.status is not JobStatus.QUEUED or job.is_aside:
            return False
        # A job may have been claimed since its followers were told what all jobs waited for.
        keys = {ANY_WORKER} if job.lease is None else {ANY_WORKER, job.lease.worker}
        if keys.isdisjoint(changed):
            return False
        await self._announcer.announce(job)
        return True

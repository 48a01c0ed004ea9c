"""Fresh frames for followers of queued jobs when the reason to wait changes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from comfyq.aio.tasks import limited
from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import Job, JobStatus
from comfyq.ports.clock import Clock
from comfyq.records.indexes.followed_jobs import (
    ANY_WORKER,
    FollowedJob,
    FollowedJobRecords,
    FollowedPage,
    Told,
)
from comfyq.records.jobs import JobRecords
from comfyq.records.times import to_ms
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
        clock: Clock,
    ) -> None:
        self._followed = followed
        self._records = records
        self._announcer = announcer
        self._reasons = reasons
        self._clock = clock

    async def push(self) -> int:
        """Post a frame of each followed job that waits and whose reason has changed since the last
        call; return how many there were.

        Raises:
            Unavailable: the table does not answer; the next call posts what this one did not.
        """
        page = await self._followed.page()
        if not page.jobs:
            return 0
        now, told = await self._reasons(), await self._followed.told()
        changed = frozenset(
            key for key in {*now, *told.reasons} if now.get(key) != told.reasons.get(key)
        )
        if not changed and told.settled:
            return 0
        pushed = await self._push_all(page, News(changed, told))
        # Last, so that after a crash they are posted again. Who came about the time of a change
        # may have been told by a process that knew an older state of the workers.
        at_s = to_ms(self._clock.now()) // 1000 if changed else told.at_s
        await self._followed.note_told(Told(now, at_s, settled=not changed))
        return pushed

    async def _push_all(self, page: FollowedPage, news: "News") -> int:
        pushed = 0
        while True:
            push = partial(self._push, news=news)
            pushed += sum((await limited(AT_ONCE, page.jobs, push)).values())
            if page.cursor is None:
                return pushed
            page = await self._followed.page(after=page.cursor)

    async def _push(self, followed: FollowedJob, *, news: "News") -> bool:
        try:
            job = await self._records.get(followed.id)
        except JobNotFound:
            job = None
        if job is None or job.status.terminal:
            await self._followed.remove(followed.id)
            return False
        if job.status is not JobStatus.QUEUED or job.is_aside or not news.concerns(job, followed):
            return False
        await self._announcer.announce(job)
        return True


@dataclass(frozen=True, slots=True)
class News:
    """Changed reasons, by worker, and what was told before."""

    changed: frozenset[str]
    told: Told

    def concerns(self, job: Job, followed: FollowedJob) -> bool:
        """Return whether a follower of a waiting job may have an older reason than the one now."""
        if not self.told.settled and followed.since_s >= self.told.at_s:
            return True
        # A job may have been claimed since its followers were told what all jobs waited for.
        keys = {ANY_WORKER} if job.lease is None else {ANY_WORKER, job.lease.worker}
        return not keys.isdisjoint(self.changed)

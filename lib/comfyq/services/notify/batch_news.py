"""Telling followers of batches how far these have come, at a bounded cost.

Whoever follows a batch is a follower of each of its jobs, so that whatever announces a change of a
job finds it. Each process computes a batch's frame once in a while, and always when the last of its
jobs has ended: whoever stores the last end finds no other job that goes on. A change that comes too
early after a frame is told at the end of the pause (``PutOffFrames``).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from comfyq.aio.tasks import limited
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import BatchNotFound, DomainError, JobNotFound
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.recency import is_recent
from comfyq.domain.submission.batch import Batch, BatchId
from comfyq.domain.submission.batch_progress import BatchProgress, progress_of
from comfyq.domain.submission.retry import UNSUCCESSFUL
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import LateFrames
from comfyq.records.batches.members import member_id, own_place
from comfyq.records.batches.records import BatchRecords
from comfyq.records.jobs import JobRecords
from comfyq.records.retries import RetryRecords
from comfyq.records.subscriptions import Subscription
from comfyq.services.notify.followers import Followers
from comfyq.services.notify.put_off_frames import PutOffFrames

AT_ONCE = 10  # jobs of a batch that are read at the same time
MAX_KNOWN = 16  # batches that a process remembers
LEAST_PAUSE = timedelta(seconds=1)  # between two frames of a batch
PAUSE_A_JOB = timedelta(milliseconds=5)  # more for each job that has to be read for a frame

RenderBatch = Callable[[BatchProgress], bytes]


@dataclass(slots=True)
class Known:
    """What this process knows of a batch; a job that has succeeded is not read again, and counts
    as what it was if it is deleted. Others that have ended are: they may be tried again."""

    batch: Batch
    read_at: datetime
    succeeded: dict[int, Job] = field(default_factory=dict)  # by the index of the request
    failed: set[int] = field(default_factory=set)  # or was canceled, when it was last read
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    told: BatchProgress | None = None  # the last frame that reached all followers

    @property
    def open(self) -> Sequence[int]:
        """The requests whose job may change: those that are run last first, failed ones last."""
        left = [index for index in reversed(self.batch.indexes) if index not in self.succeeded]
        return sorted(left, key=self.failed.__contains__)

    @property
    def pause(self) -> timedelta:
        return max(LEAST_PAUSE, PAUSE_A_JOB * len(self.open))


class BatchNews:
    def __init__(
        self,
        *,
        batches: BatchRecords,
        jobs: JobRecords,
        retries: RetryRecords,
        followers: Followers,
        render: RenderBatch,
        clock: Clock,
        late: LateFrames | None = None,
    ) -> None:
        """``late`` posts what is put off, where this process may stand still by then."""
        self._batches = batches
        self._jobs = jobs
        self._retries = retries
        self._followers = followers
        self._render = render
        self._clock = clock
        self._known: OrderedDict[BatchId, Known] = OrderedDict()
        self._put_off = PutOffFrames(
            tell=self._tell_put_off, pause_of=self._pause, clock=clock, late=late
        )

    async def read(
        self, batch_id: BatchId, *, tenant: TenantId | None = None
    ) -> tuple[Batch, Mapping[int, Job]]:
        """Read a batch and all its jobs, in the place of each that was tried again its newest
        retry; raises BatchNotFound at once, if it is not the ``tenant``'s that is named."""
        batch = await self._batches.get(batch_id, tenant=tenant)
        known = Known(batch, self._clock.now())
        self._known[batch_id] = known
        self._known.move_to_end(batch_id)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return known.batch, await self._present(known)

    async def changed(self, job: Job, followers: Sequence[Subscription]) -> bool:
        """Tell followers of batches, whom a change of this job concerns, how far their batch has
        come: at the end of the pause if they were told a moment ago and it goes on.

        False: at least one of them could not be reached.
        """
        batch_ids = dict.fromkeys(each.batch for each in followers if each.batch is not None)
        told = [await self._tell_of(batch_id, job, followers) for batch_id in batch_ids]
        return all(told)

    async def _tell_of(
        self, batch_id: BatchId, job: Job, followers: Sequence[Subscription]
    ) -> bool:
        try:
            progress = await self._news(batch_id, job)
        except BatchNotFound:
            return True  # it was deleted: there is nothing to tell
        except DomainError:
            return False
        if progress is None:
            await self._put_off.add(batch_id, job.id)
            return True
        of_batch = [each for each in followers if each.batch == batch_id]
        return await self._tell_and_note(progress, of_batch, by=job.id)

    async def _tell_and_note(
        self, progress: BatchProgress, followers: Sequence[Subscription], *, by: JobId
    ) -> bool:
        if not await self.tell(progress, followers, by=by):
            return False
        if (known := self._known.get(progress.batch_id)) is not None:
            known.told = progress
        return True

    async def tell_put_off(self) -> None:
        """Post at once what waits for the end of a pause, and wait for what is being posted: this
        process ends, and no other one may have anything to tell of these batches for long."""
        await self._put_off.tell_all()

    async def tell_late(self, batch_id: BatchId, by: JobId) -> None:
        """Post the frame that another process has put off when the job ``by`` changed."""
        await self._put_off.tell(batch_id, by)

    async def _tell_put_off(self, batch_id: BatchId, by: JobId) -> bool:
        """Post a batch's frame to those who follow it by way of a job; False: not all have it."""
        try:
            by, followers = await self._followers_of(batch_id, by)
            if not followers:
                return True
            progress = await self._news(batch_id, None)
        except BatchNotFound:
            return True
        except DomainError:
            return False
        if progress is None or self._is_told(progress):
            return True  # by a frame that did not have to wait
        return await self._tell_and_note(progress, followers, by=by)

    async def _followers_of(
        self, batch_id: BatchId, by: JobId
    ) -> tuple[JobId, Sequence[Subscription]]:
        """Return who follows a batch, with the job that leads to them: ``by``, or if that one was
        deleted since it changed, another one that goes on."""
        if not (followers := await self._of_batch(batch_id, by)) and await self._is_gone(by):
            _, jobs = await self.read(batch_id)
            left = [job.id for job in jobs.values() if not job.status.terminal]
            if left:
                return left[-1], await self._of_batch(batch_id, left[-1])
        return by, followers

    async def _of_batch(self, batch_id: BatchId, by: JobId) -> Sequence[Subscription]:
        return [each for each in await self._followers.of_job(by) if each.batch == batch_id]

    async def _is_gone(self, job_id: JobId) -> bool:
        try:
            await self._jobs.get(job_id)
        except JobNotFound:
            return True
        return False

    def _is_told(self, progress: BatchProgress) -> bool:
        """Return whether the last frame told the same; its `seq` grows when an end is noted as
        announced, too."""
        known = self._known.get(progress.batch_id)
        return (
            known is not None
            and known.told is not None
            and replace(known.told, seq=progress.seq) == progress
        )

    def _pause(self, batch_id: BatchId) -> timedelta:
        """Return the time until this process may compute a batch's next frame."""
        known = self._known.get(batch_id)
        if known is None:
            return timedelta()
        left = known.read_at + known.pause - self._clock.now()
        return min(max(left, timedelta()), known.pause)

    async def tell(
        self, progress: BatchProgress, followers: Sequence[Subscription], *, by: JobId
    ) -> bool:
        """Post a batch's frame to its followers, whom the job ``by`` has led to."""
        return await self._followers.post(by, followers, self._render(progress))

    async def stored(self, batch_id: BatchId) -> bool:
        """Tell those who have followed a batch since before it was stored how it is now. If its
        last job was deleted or never came, no change of a job tells them.

        False: at least one of them could not be reached.
        """
        own = own_place(batch_id)
        followers = await self._followers.of_job(own)
        if not followers:
            return True
        return await self.tell(progress_of(*await self.read(batch_id)), followers, by=own)

    async def give_up(self) -> int:
        """End the storing of batches whose process has died in the middle of it, so that they end
        with the jobs that there are; return the number of those whose followers were all told."""
        now, count = self._clock.now(), 0
        for batch_id in await self._batches.unstored(now):
            with suppress(BatchNotFound):
                batch = await self._batches.given_up(await self._batches.get(batch_id), at=now)
                if batch.is_partial and batch.looked_at is not None and await self.stored(batch_id):
                    await self._batches.unlist(batch)
                    count += 1
        return count

    async def _news(self, batch_id: BatchId, job: Job | None) -> BatchProgress | None:
        """Return how far a batch has come; None: that can wait, since it was told a moment ago and
        ``job``, which has changed, is not the last one to end."""
        known = self._known.get(batch_id)
        if known is None:
            batch, jobs = await self.read(batch_id)
            return progress_of(batch, jobs)
        self._known.move_to_end(batch_id)
        async with known.lock:
            if job is not None and await self._can_wait(known, job):
                return None
            known.read_at = self._clock.now()
            known.batch = await self._batches.get(batch_id)  # its `seq` counts its changes too
            return progress_of(known.batch, await self._present(known))

    async def _can_wait(self, known: Known, job: Job) -> bool:
        if not is_recent(known.read_at, self._clock.now(), within=known.pause):
            return False
        return not job.status.terminal or await self._goes_on(known)

    async def _goes_on(self, known: Known) -> bool:
        """Look for a job of a batch that has not ended, in an order in which the first read mostly
        finds one."""
        for index in known.open:
            job = await self._newest(known, index)
            if job is not None and not job.status.terminal:
                return True
        return False

    async def _present(self, known: Known) -> Mapping[int, Job]:
        """Read the jobs that may have changed."""
        found = await limited(AT_ONCE, known.open, lambda index: self._newest(known, index))
        return known.succeeded | {index: job for index, job in found.items() if job is not None}

    async def _newest(self, known: Known, index: int) -> Job | None:
        try:
            job = await self._jobs.get(member_id(known.batch.id, index))
            job = (await self._retries.newest(job)).job
        except JobNotFound:
            return None
        if job.status in UNSUCCESSFUL:
            known.failed.add(index)
        else:
            known.failed.discard(index)
        if job.status == JobStatus.SUCCEEDED and not job.end_pending:  # its version is the last one
            known.succeeded[index] = job
        return job

"""Posting a job's changes to its followers, after the change is stored and never before."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from comfyq.aio.tasks import limited
from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job
from comfyq.domain.job.estimate import NOTHING, Estimate
from comfyq.domain.submission.batch import BatchId
from comfyq.ports.clock import Clock
from comfyq.records.jobs import JobRecords
from comfyq.records.subscriptions import Subscription
from comfyq.services.limits.retention import Retention
from comfyq.services.notify.batch_news import BatchNews
from comfyq.services.notify.followers import Followers

Render = Callable[[Job, Sequence[Output], str, Estimate], bytes]
"""(job, its outputs, base URL of links, estimate) -> the frame to post."""

EstimateOf = Callable[[Job], Awaitable[Estimate]]

OnEnd = Callable[[Job], Awaitable[None]]


class Announcer:
    """Post frames to the followers of jobs. A post that fails never fails a job."""

    def __init__(
        self,
        *,
        records: JobRecords,
        followers: Followers,
        batch_news: BatchNews,
        render: Render,
        clock: Clock,
        retention: Retention,
        estimate: EstimateOf,
        on_end: OnEnd | None = None,
    ) -> None:
        self._records = records
        self._followers = followers
        self._batch_news = batch_news
        self._render = render
        self._clock = clock
        self._retention = retention
        self._estimate = estimate
        self._on_end = on_end

    async def announce(self, job: Job) -> bool:
        """Post a job's present state to its followers, which a consistent read finds.

        False: a follower could not be reached.
        """
        try:
            return await self.post(job, await self._followers.of_job(job.id))
        except DomainError:
            return False  # the followers could not be read

    async def retried(self, retry: Job) -> None:
        """Let who follows the batch of a job follow the retry that has taken its place, and tell
        them how that is by then. Not done if the table is away: the retry is stored all the same.
        """
        if retry.retry_of is None:
            return
        with suppress(DomainError):
            followers = await self._followers.add_retry(retry.id, retry_of=retry.retry_of)
            if followers:  # read after they were stored: each later change is posted to them
                await self.post(await self._records.get(retry.id), followers)

    async def batch_stored(self, batch_id: BatchId) -> None:
        """Tell who has followed a batch since before all of it was stored how that is now."""
        await self._batch_news.stored(batch_id)

    async def announce_end(self, job: Job) -> Job:
        """Post a job's end and record that it was posted; the reaper repeats it after a crash.

        ``on_end`` is called before, and again with each repetition.
        """
        if self._on_end is not None:
            await self._on_end(job)
        announced = await self.announce(job)
        now = self._clock.now()
        is_over = job.ended_at is not None and now - job.ended_at >= jobs.ANNOUNCE_FOR
        try:
            noted: jobs.Change = jobs.unannounced
            if announced or is_over:
                kept = await self._retention.of(job.tenant)
                noted = partial(jobs.announced, retention=kept)
            return await self._records.update(job, noted, synced=False)
        except DomainError:
            return await self._records.get(job.id)  # another process announced it as well

    async def noted_at_once(self, job: Job) -> jobs.Change | None:
        """Return the change that notes an end as announced, to be stored with the end itself where
        nobody follows the job; None if there is more to do than to post it."""
        if self._on_end is not None:
            return None
        try:
            return partial(jobs.announced, retention=await self._retention.of(job.tenant))
        except DomainError:
            return None  # the end is stored all the same

    async def post(self, job: Job, followers: Sequence[Subscription]) -> bool:
        """Post a job's state to ``followers``, or that of the batch that they follow it by.

        False: at least one could not be reached.
        """
        reached = await self._post(job, [each for each in followers if each.batch is None])
        of_batches = [each for each in followers if each.batch is not None]
        return await self._batch_news.changed(job, of_batches) and reached

    async def _post(self, job: Job, followers: Sequence[Subscription]) -> bool:
        if not followers:
            return True
        succeeded = job.status == "succeeded"
        outputs = await self._records.outputs(job.id) if succeeded else []
        # of a running job it is made from what is read every half a minute, for all of a workflow
        estimate = NOTHING if job.status.terminal else await self._estimate(job)
        alike: dict[str, list[Subscription]] = {}  # by all in which their frames differ
        for follower in followers:
            alike.setdefault(follower.base_url, []).append(follower)

        async def posted(base_url: str) -> bool:
            frame = self._render(job, outputs, base_url, estimate)
            return await self._followers.post(job.id, alike[base_url], frame)

        return all((await limited(len(alike), alike, posted)).values())

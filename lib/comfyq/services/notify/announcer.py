"""Telling followers what a write has changed: after the write, never before it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import ConnectionGone, Notifier
from comfyq.records.jobs import JobRecords
from comfyq.records.subscriptions import Subscription, SubscriptionRecords

Render = Callable[[Job, Sequence[Output], str], Awaitable[bytes]]
"""(job, its outputs, base URL of links) -> the frame that tells a client of them."""


class Announcer:
    """Posts frames to whoever follows a job. A post that fails never fails a job."""

    def __init__(
        self,
        *,
        records: JobRecords,
        subscriptions: SubscriptionRecords,
        notifier: Notifier,
        render: Render,
        clock: Clock,
        retention: timedelta,
    ) -> None:
        self._records = records
        self._subscriptions = subscriptions
        self._notifier = notifier
        self._render = render
        self._clock = clock
        self._retention = retention

    async def announce(self, job: Job) -> bool:
        """Post a job's present state to the followers of now (a consistent read).

        False: somebody could not be reached.
        """
        try:
            return await self.post(job, await self._subscriptions.of_job(job.id))
        except DomainError:
            return False  # who follows could not be read

    async def announce_end(self, job: Job) -> Job:
        """Post a job's end and note that it was; the reaper repeats what is cut off here."""
        told = await self.announce(job)
        now = self._clock.now()
        if told or (job.ended_at is not None and now - job.ended_at >= jobs.ANNOUNCE_FOR):
            noted: jobs.Change = partial(jobs.announced, retention=self._retention)
        else:
            noted = jobs.unannounced
        try:
            return await self._records.update(job, noted)
        except DomainError:
            return await self._records.get(job.id)  # somebody else announced it as well

    async def post(self, job: Job, followers: Sequence[Subscription]) -> bool:
        """Post a job's state to ``followers``; False: somebody could not be reached."""
        if not followers:
            return True
        succeeded = job.status == "succeeded"
        outputs = await self._records.outputs(job.id) if succeeded else []
        posts = [self._post_to(job, outputs, follower) for follower in followers]
        return all(await asyncio.gather(*posts))

    async def _post_to(self, job: Job, outputs: Sequence[Output], follower: Subscription) -> bool:
        frame = await self._render(job, outputs, follower.base_url)
        try:
            await self._notifier.post(follower.connection, frame)
        except ConnectionGone:
            await self._subscriptions.remove(job.id, follower.connection.id)
        except DomainError:
            return False  # progress is repeated by the next frame, an end by the reaper
        return True

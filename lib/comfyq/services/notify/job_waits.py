"""Waiting for a job's end on behalf of a request that is held open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from comfyq.domain.caller import Caller
from comfyq.domain.errors import DomainError
from comfyq.domain.job import Job
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import Stream
from comfyq.records.jobs import JobRecords
from comfyq.records.subscriptions import Subscription, SubscriptionRecords
from comfyq.records.times import to_ms
from comfyq.services.notify.subscriptions import Subscriptions

FIRST_PAUSE_S = 0.1  # between reads where nothing is pushed; doubled up to
LONGEST_PAUSE_S = 1.0


Seen = Callable[[str], None]
"""Called with each frame that is taken, previews too."""


async def until_over(stream: Stream, *, within_s: float, seen: Seen | None = None) -> None:
    """Take the frames of a stream until it is over, or for so long."""
    until_s = asyncio.get_running_loop().time() + within_s
    while not stream.is_over:
        left_s = until_s - asyncio.get_running_loop().time()
        if left_s <= 0 or (frame := await stream.next(within_s=left_s)) is None:
            return
        if seen is not None:
            seen(frame)


class JobWaits:
    """Wait until a job has ended, or for so long, and return it as it is then."""

    def __init__(
        self,
        *,
        records: JobRecords,
        followers: SubscriptionRecords,
        subscriptions: Subscriptions,
        clock: Clock,
    ) -> None:
        self._records = records
        self._followers = followers
        self._subscriptions = subscriptions
        self._clock = clock

    async def pushed(
        self,
        caller: Caller,
        job: Job,
        stream: Stream,
        *,
        within_s: float,
        seen: Seen | None = None,
    ) -> Job:
        """Wait for frames of a stream, which is over when the job is. There are previews among them
        if somebody has ``seen`` them.

        Raises:
            JobNotFound.
            Unauthenticated: the caller's key was revoked or has expired meanwhile.
        """
        follower = Subscription(stream.connection, "", previews=seen is not None)
        async with self._subscriptions.held(stream.connection, caller), self._told(job, follower):
            # Read after the subscription is stored: every later change is posted to the stream.
            job = await self._records.get(job.id)
            if not job.status.terminal:
                await until_over(stream, within_s=within_s, seen=seen)
        return job if job.status.terminal else await self._records.get(job.id)

    async def polled(self, caller: Caller, job: Job, *, within_s: float) -> Job:
        """Read the job again and again, where frames cannot reach this process.

        Raises:
            JobNotFound.
            Unauthenticated: the caller's key was revoked or has expired meanwhile.
        """
        until_s = asyncio.get_running_loop().time() + within_s
        pause_s = FIRST_PAUSE_S
        while not job.status.terminal:
            left_s = until_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                break
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            await self._subscriptions.require_valid(caller)
            job = await self._records.get(job.id)
        return job

    @asynccontextmanager
    async def _told(self, job: Job, follower: Subscription) -> AsyncIterator[None]:
        """Within the context, a follower is posted the job's frames."""
        now_s = to_ms(self._clock.now()) // 1000
        await self._followers.add(job.id, follower, now_s=now_s, told_reasons=False)
        try:
            yield
        finally:
            with suppress(DomainError):  # what is stored expires
                await self._followers.remove(job.id, follower)

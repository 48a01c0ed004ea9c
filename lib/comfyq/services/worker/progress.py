"""A run's start and its progress on their way to the table and to followers.

ComfyUI does not wait for them: a render goes on while its start is being stored.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import monotonic

from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError, LeaseLost, TooContended, Unavailable
from comfyq.domain.job.progress import Advance, Progress, Tracker
from comfyq.records.subscriptions import Subscription, SubscriptionRecords
from comfyq.services.notify.announcer import Announcer
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.timing import Timing


class ProgressReporter:
    """Tells how far one held job has come; only here may a list of followers be a little old."""

    def __init__(
        self,
        held: HeldJob,
        tracker: Tracker,
        *,
        announcer: Announcer,
        subscriptions: SubscriptionRecords,
        timing: Timing,
    ) -> None:
        self._held = held
        self._tracker = tracker
        self._announcer = announcer
        self._subscriptions = subscriptions
        self._timing = timing
        self._begun = asyncio.Event()
        self._noted = asyncio.Event()
        self._news = asyncio.Event()
        self._stored_at = self._looked_at = float("-inf")
        self._followers: Sequence[Subscription] = ()

    @property
    def progress(self) -> Progress:
        return self._tracker.progress

    def begin(self) -> None:
        """ComfyUI has started it; returns at once."""
        self._begun.set()

    async def begun(self) -> None:
        """Return when it is stored that ComfyUI has started it."""
        await self._noted.wait()

    def report(self, advance: Advance) -> None:
        """Note one report of ComfyUI; returns at once."""
        before = self._tracker.progress
        self._tracker = self._tracker.advanced(advance)
        if self._tracker.progress != before:
            self._news.set()

    async def run(self) -> None:
        """Send what has been noted, until cancelled.

        Raises:
            LeaseLost, IllegalTransition: the start could not be stored, and never can be.
        """
        await self._begun.wait()
        await self._start()
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._send()
            except LeaseLost:
                return  # the keeper of the lease finds out as well, and ends the attempt
            except (Unavailable, TooContended):
                pass  # progress is repeated by the next report
            await asyncio.sleep(self._timing.push_progress_s)

    async def _start(self) -> None:
        job = await self._held.settle(partial(jobs.start, token=self._held.token))
        self._stored_at = monotonic()  # that was news enough for the while that a store must wait
        self._noted.set()
        with suppress(DomainError):  # who follows could not be read: told by the next report
            await self._announcer.post(job, await self._followed())

    async def _followed(self) -> Sequence[Subscription]:
        if monotonic() - self._looked_at >= self._timing.followers_s:
            self._followers = await self._subscriptions.of_job(self._held.id)
            self._looked_at = monotonic()
        return self._followers

    async def _send(self) -> None:
        if monotonic() - self._stored_at >= self._timing.store_progress_s:
            await self._held.write(self._advance())
            self._stored_at = monotonic()
        shown = replace(self._held.job, progress=self._tracker.progress)
        await self._announcer.post(shown, await self._followed())

    def _advance(self) -> jobs.Change:
        return partial(
            jobs.advance,
            token=self._held.token,
            ttl=self._timing.lease,
            progress=self._tracker.progress,
        )

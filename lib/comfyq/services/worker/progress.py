"""Storing a run's start and progress, and posting them to followers.

This happens in the background: ComfyUI goes on rendering while a start is being stored.
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
    """Report the progress of one held job, to followers that are read every ``followers_s``."""

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
        """Note that ComfyUI has started the prompt; returns at once."""
        self._begun.set()

    async def begun(self) -> None:
        """Return once the prompt's start is stored."""
        await self._noted.wait()

    def report(self, advance: Advance) -> None:
        """Note one progress report of ComfyUI; returns at once."""
        before = self._tracker.progress
        self._tracker = self._tracker.advanced(advance)
        if self._tracker.progress != before:
            self._news.set()

    async def run(self) -> None:
        """Store and post what has been noted, until canceled.

        Raises:
            LeaseLost, IllegalTransition: the attempt has lost the job, so the start is not stored.
        """
        await self._begun.wait()
        await self._start()
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._send()
            except LeaseLost:
                return  # ``HeldJob.keep`` raises the same, and ends the attempt
            except (Unavailable, TooContended):
                pass  # the next report repeats the progress
            await asyncio.sleep(self._timing.push_progress_s)

    async def _start(self) -> None:
        job = await self._held.settle(partial(jobs.start, token=self._held.token))
        self._stored_at = monotonic()  # storing the start counts toward the progress throttle
        self._noted.set()
        with suppress(DomainError):  # followers could not be read: the next report reaches them
            await self._announcer.post(job, await self._followed())

    async def _followed(self) -> Sequence[Subscription]:
        if monotonic() - self._looked_at >= self._timing.followers_s:
            self._followers = await self._subscriptions.of_job(self._held.id)
            self._looked_at = monotonic()
        return self._followers

    async def _send(self) -> None:
        if monotonic() - self._stored_at >= self._timing.store_progress_s:
            await self._held.write(self._advance(), synced=False)
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

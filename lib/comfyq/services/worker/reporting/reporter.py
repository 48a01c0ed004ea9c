"""Storing a run's start and progress, and posting them to followers.

This happens in the background: ComfyUI goes on rendering while a start is being stored.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic

from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError, LeaseLost, TooContended, Unavailable
from comfyq.domain.graph.graph import Graph
from comfyq.domain.job import Job
from comfyq.domain.job.node_costs import by_class, by_node, costs_of, learned
from comfyq.domain.job.progress import Advance, Progress, Tracker
from comfyq.domain.submission.admission import RAW
from comfyq.records.subscriptions import Subscription
from comfyq.services.notify.announcer import Announcer
from comfyq.services.notify.followers import Followers
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.reporting.node_times import NodeTimes
from comfyq.services.worker.reporting.run_times import RunTimes
from comfyq.services.worker.timing import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """What the reporters of all jobs share; followers are read every ``followers_s``."""

    announcer: Announcer
    followers: Followers
    run_times: RunTimes
    timing: Timing

    def of(self, held: HeldJob, graph: Graph) -> "ProgressReporter":
        return ProgressReporter(held, graph, shared=self)


class ProgressReporter:
    """Report the progress of one held job."""

    def __init__(self, held: HeldJob, graph: Graph, *, shared: Reporting) -> None:
        self._held = held
        self._graph = graph
        self._shared = shared
        self._timing = shared.timing
        self._tracker = Tracker.of(graph)
        self._times = NodeTimes()
        self._key = by_class if held.job.workflow == RAW else by_node
        self._begun = asyncio.Event()
        self._noted = asyncio.Event()
        self._news = asyncio.Event()
        self._has_ended = False
        self._stored_at = self._looked_at = float("-inf")
        self._followers: Sequence[Subscription] = ()

    @property
    def progress(self) -> Progress:
        return self._tracker.progress

    @property
    def job(self) -> Job:
        """The job as it is stored."""
        return self._held.job

    @property
    def followers(self) -> Sequence[Subscription]:
        """Who followed the job when it was last reported on."""
        return self._followers

    def node_times(self) -> Mapping[str, float]:
        """Return what a run that has just ended told of its nodes, for later ones."""
        return learned(self._graph, self._times.taken_s(now=monotonic()), key=self._key)

    def begin(self) -> None:
        """Note that ComfyUI has started the prompt; returns at once."""
        self._begun.set()

    def end(self) -> None:
        """Note that the prompt has ended, so that no more of its progress is told."""
        self._has_ended = True

    async def begun(self) -> None:
        """Return once the prompt's start is stored."""
        await self._noted.wait()

    def report(self, advance: Advance) -> None:
        """Note one progress report of ComfyUI; returns at once."""
        before = self._tracker.progress
        self._times.note(advance, now=monotonic())
        self._tracker = self._tracker.advanced(advance)
        if self._tracker.progress != before:
            self._news.set()

    async def run(self) -> None:
        """Store and post what has been noted, until canceled or the prompt has ended.

        Raises:
            LeaseLost, IllegalTransition: the attempt has lost the job, so the start is not stored.
        """
        await self._weigh()
        await self._begun.wait()
        await self._start()
        while True:
            await self._news.wait()
            self._news.clear()
            if self._has_ended:
                return
            try:
                await self._send()
            except LeaseLost:
                return  # ``HeldJob.keep`` raises the same, and ends the attempt
            except (Unavailable, TooContended):
                pass  # the next report repeats the progress
            await asyncio.sleep(self._timing.push_progress_s)

    async def _weigh(self) -> None:
        """Take over what earlier runs have shown; here, so that no prompt waits for the table."""
        known = await self._shared.run_times.of_nodes(self._held.job)
        if known:
            costs = costs_of(self._graph, known, key=self._key)
            self._tracker = self._tracker.weighed(costs)

    async def _start(self) -> None:
        job = await self._held.settle(partial(jobs.start, token=self._held.token))
        self._stored_at = monotonic()  # storing the start counts toward the progress throttle
        self._noted.set()
        with suppress(DomainError):  # followers could not be read: the next report reaches them
            await self._shared.announcer.post(job, await self._followed())

    async def _followed(self) -> Sequence[Subscription]:
        if monotonic() - self._looked_at >= self._timing.followers_s:
            self._followers = await self._shared.followers.of_job(self._held.id)
            self._looked_at = monotonic()
        return self._followers

    async def _send(self) -> None:
        if monotonic() - self._stored_at >= self._timing.store_progress_s:
            await self._held.write(self._advance(), synced=False)
            self._stored_at = monotonic()
        shown = replace(self._held.job, progress=self._tracker.progress)
        await self._shared.announcer.post(shown, await self._followed())

    def _advance(self) -> jobs.Change:
        return partial(
            jobs.advance,
            token=self._held.token,
            ttl=self._timing.lease,
            progress=self._tracker.progress,
        )

"""One attempt of ours: what is known of the job, and the lease that it is under."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic
from typing import TypeVar

from comfyq.domain import job as jobs
from comfyq.domain.errors import IllegalTransition, LeaseLost, TooContended, Unavailable
from comfyq.domain.files.output import Output
from comfyq.domain.job import Change, Job, JobId
from comfyq.ports.queue import Delivery, JobQueue
from comfyq.records.jobs import JobRecords
from comfyq.services.worker.step_pace import StepPace
from comfyq.services.worker.timing import Timing

T = TypeVar("T")


class CancelRequested(Exception):
    """A client wants the job that we hold to stop."""


class HeldJob:
    """Every write goes through here, one after another, fenced by the attempt."""

    def __init__(
        self,
        job: Job,
        *,
        delivery: Delivery | None,
        queue: JobQueue,
        records: JobRecords,
        timing: Timing,
    ) -> None:
        self.job = job
        self.token = job.attempt
        self._delivery = delivery  # None: found without a doorbell, which may still come
        self._queue = queue
        self._records = records
        self._timing = timing
        self._lock = asyncio.Lock()
        self.taken_at = self._seen_at = self._renewed_at = monotonic()
        self.pace = StepPace()
        self._concluded = False  # by our own write: nothing is left to keep

    @property
    def id(self) -> JobId:
        return self.job.id

    @property
    def won(self) -> bool:
        """The job has succeeded, and by this attempt."""
        return self.job.status == "succeeded" and self.job.attempt == self.token

    async def write(self, change: Change, *, outputs: Sequence[Output] | None = None) -> Job:
        """Apply ``change`` and store it; raises what ``change`` raises, LeaseLost first of all."""
        async with self._lock:
            self.job = await self._records.update(
                self.job, change, outputs=outputs, delivery=self._delivery
            )
            self._seen_at = monotonic()
            self._concluded = self.job.lease is None
            return self.job

    async def settle(self, change: Change, *, outputs: Sequence[Output] | None = None) -> Job:
        """``write``, for as long as it takes: an outcome is not dropped because the table is away.

        Raises:
            LeaseLost: it became another's meanwhile, and so did the outcome.
        """
        return await self._persist(lambda: self.write(change, outputs=outputs))

    async def conclude(self, change: Change, *, outputs: Sequence[Output] | None = None) -> Job:
        """``settle`` the end of the attempt.

        Raises:
            LeaseLost, IllegalTransition: it was not ours to end any more.
        """
        try:
            return await self.settle(change, outputs=outputs)
        except (LeaseLost, IllegalTransition):
            await self._persist(self._read)
            # A verdict on this attempt can only be ours: its answer was lost, and not the write.
            if self.job.attempt != self.token or not self._has_verdict:
                raise
            self._concluded = True
            return self.job

    async def keep(self) -> None:
        """Keep the lease and look for what others want, until cancelled.

        Raises:
            LeaseLost: the job is another's.
            CancelRequested: a client asked for it.
        """
        while not self._concluded:
            await asyncio.sleep(self._timing.watch_s / 2)
            try:
                await self._look()
            except (Unavailable, TooContended):
                continue  # the lease outlives a short outage; fencing covers a long one

    async def _look(self) -> None:
        now = monotonic()
        if now - self._renewed_at >= self._timing.renew_s:
            await self._renew()
        elif now - self._seen_at >= self._timing.watch_s / 2:
            await self._read()
        self.check()

    async def stored(self) -> Job:
        """The job as it is now, whoever holds it."""
        return await self._records.get(self.id)

    async def acknowledge(self) -> None:
        """The outcome is stored, so the doorbell is not needed any more."""
        if self._delivery is not None:
            await self._delivery.ack()

    async def give_back(self, *, delay_s: float = 0) -> None:
        """The job waits again: its doorbell rings after ``delay_s``."""
        if self._delivery is not None:
            await self._delivery.hide(delay_s)
        else:
            await self._queue.send(self.id, tenant=self.job.tenant, delay_s=delay_s)

    def check(self) -> None:
        """Raises LeaseLost or CancelRequested by what was last read or written."""
        if self._concluded:
            return
        if self.job.lease is None or self.job.attempt != self.token:
            raise LeaseLost(f"{self.id}: attempt {self.token} is over")
        if self.job.cancel_requested:
            raise CancelRequested(self.id)

    @property
    def _has_verdict(self) -> bool:
        return self.job.status.terminal or self.job.settled_attempt == self.token

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of ``work``, tried again while the table is away."""
        pause_s = self._timing.backoff_s
        while True:
            try:
                return await work()
            except (Unavailable, TooContended):
                await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
                pause_s = min(pause_s * 2, self._timing.backoff_most_s)

    async def _renew(self) -> None:
        await self.write(partial(jobs.renew, token=self.token, ttl=self._timing.lease))
        self._renewed_at = monotonic()
        if self._delivery is not None:
            await self._delivery.hide(self._timing.lease_s)

    async def _read(self) -> None:
        async with self._lock:
            self.job = await self._records.get(self.id)
            self._seen_at = monotonic()

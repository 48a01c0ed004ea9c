"""A job that this worker holds: its last known state, its lease and its doorbell."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TypeVar

from comfyq.domain import job as jobs
from comfyq.domain.errors import IllegalTransition, LeaseLost, TooContended, Unavailable
from comfyq.domain.files.output import Output
from comfyq.domain.job import Change, Job, JobId
from comfyq.domain.submission.spec import Spec
from comfyq.ports.queue import TAKEN_S, Delivery, JobQueue
from comfyq.records.jobs import JobRecords
from comfyq.services.worker.step_pace import StepPace
from comfyq.services.worker.timing import Timing

T = TypeVar("T")

HIDE_AFTER_S = TAKEN_S / 4  # many a job has ended by then, and its doorbell needs no hiding


class CancelRequested(Exception):
    """A client has requested the cancellation of a job that this worker holds."""


class HeldJob:
    """Serialize an attempt's writes, each fenced by the attempt's token."""

    def __init__(
        self,
        job: Job,
        *,
        delivery: Delivery | None,
        queue: JobQueue,
        records: JobRecords,
        timing: Timing,
        spec: Spec | None = None,
    ) -> None:
        self.job = job
        self.token = job.attempt
        self.spec = spec  # None: not read yet
        self._delivery = delivery  # None: claimed without a doorbell, which may still arrive
        self._queue = queue
        self._records = records
        self._timing = timing
        self._lock = asyncio.Lock()
        self.taken_at = self._seen_at = self._renewed_at = monotonic()
        self._hidden = delivery is None  # the doorbell is hidden for as long as the lease
        self.pace = StepPace()
        self.node_times: Mapping[str, float] = {}  # what its run told of its nodes, once over
        self._concluded = False  # our own write ended the lease: nothing is left to renew

    @property
    def id(self) -> JobId:
        return self.job.id

    @property
    def won(self) -> bool:
        """Return whether this attempt has made the job succeed."""
        return self.job.status == "succeeded" and self.job.attempt == self.token

    async def write(
        self,
        change: Change,
        *,
        outputs: Sequence[Output] | None = None,
        unfollowed: Change | None = None,
        synced: bool = True,
    ) -> Job:
        """Apply ``change`` and store it, as ``JobRecords.update`` does; raises what ``change``
        raises, notably LeaseLost."""
        async with self._lock:
            self.job = await self._records.update(
                self.job,
                change,
                outputs=outputs,
                delivery=self._delivery,
                unfollowed=unfollowed,
                synced=synced,
            )
            self._seen_at = monotonic()
            self._concluded = self.job.lease is None
            return self.job

    async def settle(
        self,
        change: Change,
        *,
        outputs: Sequence[Output] | None = None,
        unfollowed: Change | None = None,
    ) -> Job:
        """Repeat ``write`` until the table answers, so that an outage loses no outcome.

        Raises:
            LeaseLost: another worker has taken the job over meanwhile.
        """
        return await self._persist(
            lambda: self.write(change, outputs=outputs, unfollowed=unfollowed)
        )

    async def conclude(
        self,
        change: Change,
        *,
        outputs: Sequence[Output] | None = None,
        unfollowed: Change | None = None,
    ) -> Job:
        """Store the end of the attempt, as ``settle`` does.

        Raises:
            LeaseLost, IllegalTransition: the attempt had already lost the job.
        """
        try:
            return await self.settle(change, outputs=outputs, unfollowed=unfollowed)
        except (LeaseLost, IllegalTransition):
            await self._persist(self._read)
            # Only this object ends this attempt: if it has ended, our write was stored and only
            # its answer was lost.
            if self.job.attempt != self.token or not self._has_verdict:
                raise
            self._concluded = True
            return self.job

    async def keep(self) -> None:
        """Renew the lease and watch for a takeover or a cancel request, until canceled.

        Raises:
            LeaseLost: another worker has taken the job over.
            CancelRequested: a client has requested its cancellation.
        """
        while not self._concluded:
            await asyncio.sleep(self._timing.watch_s / 2)
            try:
                await self._look()
            except (Unavailable, TooContended):
                continue  # the lease outlives a short outage; fencing covers a long one

    async def hold(self) -> None:
        """Renew the lease until canceled, for an attempt that is ending whatever the table says."""
        while not self._concluded:
            if monotonic() - self._renewed_at >= self._timing.renew_s:
                with suppress(Unavailable, TooContended, LeaseLost, IllegalTransition):
                    await self._renew()
            await asyncio.sleep(self._timing.watch_s / 2)

    async def _look(self) -> None:
        now = monotonic()
        if now - self._renewed_at >= self._timing.renew_s:
            await self._renew()
        elif now - self._seen_at >= self._timing.watch_s / 2:
            await self._read()
        self.check()
        if not self._hidden and now - self.taken_at >= HIDE_AFTER_S:
            await self._hide()

    async def stored(self) -> Job:
        """Read the job from the table, whoever holds it now."""
        return await self._records.get(self.id)

    async def acknowledge(self) -> None:
        """Acknowledge the doorbell; call this only after the outcome is stored."""
        if self._delivery is not None:
            await self._delivery.ack()

    async def give_back(self, *, delay_s: float = 0) -> None:
        """Have the doorbell of a job that waits again delivered after ``delay_s``."""
        if self._delivery is not None:
            await self._delivery.hide(delay_s)
        else:
            await self._queue.send(self.id, tenant=self.job.tenant, delay_s=delay_s)

    def check(self) -> None:
        """Raise LeaseLost or CancelRequested if the job's last known state says so."""
        if self._concluded:
            return
        if self.job.lease is None or self.job.attempt != self.token:
            raise LeaseLost(f"job {self.id}: attempt {self.token} no longer holds it")
        if self.job.cancel_requested:
            raise CancelRequested(self.id)

    @property
    def _has_verdict(self) -> bool:
        return self.job.status.terminal or self.job.settled_attempt == self.token

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of ``work``, repeating it with growing pauses during an outage."""
        pause_s = self._timing.backoff_s
        while True:
            try:
                return await work()
            except (Unavailable, TooContended):
                await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
                pause_s = min(pause_s * 2, self._timing.backoff_most_s)

    async def _renew(self) -> None:
        renew = partial(jobs.renew, token=self.token, ttl=self._timing.lease)
        await self.write(renew, synced=False)
        self._renewed_at = monotonic()
        await self._hide()

    async def _hide(self) -> None:
        if self._delivery is not None:
            await self._delivery.hide(self._timing.lease_s)
            self._hidden = True

    async def _read(self) -> None:
        async with self._lock:
            self.job = await self._records.get(self.id)
            self._seen_at = monotonic()

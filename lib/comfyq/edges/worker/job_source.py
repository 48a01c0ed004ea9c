"""Finding the next job: by a doorbell, set aside until now, or left by a former process."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

from comfyq.domain.job import JobId
from comfyq.ports.queue import Delivery, JobQueue
from comfyq.records.indexes.ready_jobs import Waiting
from comfyq.services.worker.choice.aside_jobs import AsideJobs
from comfyq.services.worker.choice.turns import Turns
from comfyq.services.worker.claims import Claims
from comfyq.services.worker.held_job import HeldJob

OLDER_S = 1.0  # so long the doorbell of an older job may take before one that was set aside is run

Claim = Callable[[], Awaitable[HeldJob | None]]
"""Claim a found job; None if it could not be claimed. It must not be canceled midway."""


class JobSource:
    """Find jobs to claim. Finding may be canceled at any time, claiming may not: two steps."""

    def __init__(
        self,
        *,
        claims: Claims,
        queue: JobQueue,
        turns: Turns,
        wait_s: float,
        may_claim: Callable[[], bool],
        aside: AsideJobs,
    ) -> None:
        self._claims = claims
        self._queue = queue
        self._turns = turns
        self._wait_s = wait_s
        self._may_claim = may_claim
        self._aside = aside
        self._is_unrung = False  # the last job was found without a doorbell: more may be

    async def suited(self) -> Claim | None:
        """Find a job that was set aside until this worker could run it, if it is its turn.

        Raises:
            Unavailable: the table does not answer.
        """
        aside = {job.id: job for job in self._aside.waiting}
        if not aside or not self._may_claim():
            return None
        for job in (await self._turns.choose(aside=list(aside.values())))[:1]:
            if job.id in aside and self._may_claim():
                return partial(self._claim_aside, job)
        return None

    async def rung(self) -> Claim | None:
        """Wait up to ``wait_s`` for a doorbell; None if a job that was set aside has been found
        meanwhile. Such a job that was known before is returned after OLDER_S; if there is none
        either, a look at what waits.

        After a job that had no doorbell it does not wait, but looks again at once.

        Raises:
            Unavailable: the queue does not answer.
        """
        if (aside := self._aside.oldest()) is None:
            wait_s = 0 if self._is_unrung else min(self._turns.look_s, self._wait_s)
            receive = self._queue.receive(wait_s=wait_s)
            delivery = await self._aside.found.unless_set(receive)
        else:
            delivery = await self._queue.receive(wait_s=min(OLDER_S, self._wait_s))
        if not self._may_claim():
            if delivery is not None:
                await delivery.hide(0)  # ComfyUI or the disk space went away during the long poll
            return None
        if delivery is not None:
            return partial(self._claim_rung, delivery)
        return self._claim_unrung if aside is None else partial(self._claim_aside, aside)

    def retake(self) -> AsyncIterator[HeldJob]:
        """Claim what this worker's former process held; see Claims.retake."""
        return self._claims.retake()

    def began(self, held: HeldJob) -> None:
        """Note that a job was claimed, whose models ComfyUI will load."""
        self._turns.took(held.job)

    async def _claim_rung(self, delivery: Delivery) -> HeldJob | None:
        return await self._claims.claim(delivery, self._choose_rung)

    async def _claim_unrung(self) -> HeldJob | None:
        """Claim a job whose doorbell was used for another one, or was lost."""
        self._is_unrung = False
        for job_id in await self._choose(None):
            if (held := await self._claims.claim_waiting(job_id)) is not None:
                self._is_unrung = True
                return held
        return None

    async def _choose_rung(self, own: JobId | None) -> Sequence[JobId]:
        """Choose with a doorbell. Before one whose job cannot be claimed is dropped, what was just
        tried is tried again: it may have been given back, and have no other doorbell."""
        chosen = await self._choose(own)
        return chosen if chosen or own is not None else self._turns.passed_over

    async def _choose(self, own: JobId | None) -> Sequence[JobId]:
        chosen = [job.id for job in await self._turns.choose(own)]
        for job_id in chosen[:1]:  # the second is tried only if another worker has this one
            self._turns.tried(job_id)
        return chosen

    async def _claim_aside(self, aside: Waiting) -> HeldJob | None:
        self._aside.take(aside)
        held = None
        try:
            held = await self._claims.claim_waiting(aside.id)
        finally:
            if held is None:
                self._aside.give_back(aside)
        return held

"""Finding the next job: by the loaded models, by its doorbell, or left by a former process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from comfyq.aio.tasks import unless
from comfyq.ports.queue import JobQueue
from comfyq.records.indexes.listed_jobs import Waiting
from comfyq.services.worker.choice.affinity import Affinity
from comfyq.services.worker.choice.aside_jobs import AsideJobs
from comfyq.services.worker.choice.ready_jobs import ReadyJobs
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
        ready: ReadyJobs,
        affinity: Affinity | None,
        wait_s: float,
        may_claim: Callable[[], bool],
        aside: AsideJobs,
    ) -> None:
        self._claims = claims
        self._queue = queue
        self._ready = ready
        self._affinity = affinity  # None: jobs are claimed in the order of the queue
        self._wait_s = wait_s
        self._may_claim = may_claim
        self._aside = aside

    async def suited(self) -> Claim | None:
        """Find the job that has waited longest, if it was set aside until this worker could run it;
        otherwise one whose models ComfyUI holds, unless another has waited too long.

        Raises:
            Unavailable: the table does not answer.
        """
        if not self._may_claim():
            return None
        aside = self._aside.oldest()
        if aside is not None and await self._is_oldest(aside):
            return partial(self._claim_aside, aside) if self._may_claim() else None
        chosen = None if self._affinity is None else await self._affinity.choose()
        if chosen is None or not self._may_claim():
            return None
        return partial(self._claims.claim_waiting, chosen)

    async def rung(self) -> Claim | None:
        """Wait up to ``wait_s`` for a doorbell; None if there was none, or a job that was set aside
        has been found meanwhile. Such a job that was known before is returned after OLDER_S.

        Raises:
            Unavailable: the queue does not answer.
        """
        if (aside := self._aside.oldest()) is None:
            receive = self._queue.receive(wait_s=self._wait_s)
            delivery = await unless(self._aside.found, receive)
        else:
            delivery = await self._queue.receive(wait_s=min(OLDER_S, self._wait_s))
        if delivery is None:
            return partial(self._claim_aside, aside) if aside and self._may_claim() else None
        if not self._may_claim():
            await delivery.hide(0)  # ComfyUI or the disk space went away during the long poll
            return None
        return partial(self._claims.claim, delivery)

    def retake(self) -> AsyncIterator[HeldJob]:
        """Claim what this worker's former process held; see Claims.retake."""
        return self._claims.retake()

    def began(self, held: HeldJob) -> None:
        """Note that ComfyUI will load the models of this job."""
        if self._affinity is not None:
            self._affinity.loaded(held.job.family)

    async def _is_oldest(self, aside: Waiting) -> bool:
        """Return whether no job that is ready has waited for longer."""
        ready = await self._ready.oldest(await self._ready.families())
        return ready is None or aside.since <= ready.since

    async def _claim_aside(self, aside: Waiting) -> HeldJob | None:
        self._aside.take(aside)
        held = None
        try:
            held = await self._claims.claim_waiting(aside.id)
        finally:
            if held is None:
                self._aside.give_back(aside)
        return held

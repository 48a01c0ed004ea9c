"""From a doorbell to a job that is ours."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from comfyq.domain import job as jobs
from comfyq.domain.errors import (
    DomainError,
    IllegalTransition,
    JobNotFound,
    LeaseHeld,
    TooContended,
    Unavailable,
)
from comfyq.domain.job import Job, JobId
from comfyq.ports.clock import Clock
from comfyq.ports.journal import Journal
from comfyq.ports.queue import Delivery, JobQueue
from comfyq.records.jobs import JobRecords
from comfyq.services.notify.announcer import Announcer
from comfyq.services.worker.capabilities import Capabilities
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.membership import Membership
from comfyq.services.worker.timing import Timing

TAKEN_OVER = "a real ComfyUI has taken over from its simulator"
LEFT_FOR = timedelta(seconds=1)  # to workers that may claim it


class Claims:
    """Claims jobs for one worker and remembers them for the worker's next process."""

    def __init__(
        self,
        *,
        membership: Membership,
        records: JobRecords,
        queue: JobQueue,
        journal: Journal,
        capabilities: Capabilities,
        announcer: Announcer,
        clock: Clock,
        timing: Timing,
    ) -> None:
        self._membership = membership
        self._records = records
        self._queue = queue
        self._journal = journal
        self._capabilities = capabilities
        self._announcer = announcer
        self._clock = clock
        self._timing = timing
        self._held: dict[JobId, int] = {}  # by what token

    async def claim(self, delivery: Delivery) -> HeldJob | None:
        """The job that ``delivery`` rang for, if it can be ours; else the doorbell is settled."""
        if delivery.job_id in self._held:
            await delivery.ack()  # a second one; if we die with the job, the reaper rings again
            return None
        try:
            if self._capabilities.declines(delivery.job_id):
                await self._leave(delivery)
                return None
            job = await self._take(delivery.job_id)
        except LeaseHeld as held:
            wait = held.until - self._clock.now()
            await delivery.hide(max(0.0, wait / timedelta(seconds=1)) + 0.05)
        except TooContended:
            await delivery.hide(1)
        except Unavailable:
            with suppress(Unavailable):  # then it comes back after its visibility time-out
                await delivery.hide(self._timing.unavailable_s)
            raise
        except (JobNotFound, IllegalTransition):
            await delivery.ack()  # a late duplicate of a job that has ended
        else:
            return await self._hold(job, delivery)
        return None

    async def claim_waiting(self, job_id: JobId) -> HeldJob | None:
        """A job that was found waiting, without its doorbell; None if somebody was faster."""
        try:
            return await self._hold(await self._take(job_id), None)
        except (JobNotFound, IllegalTransition, LeaseHeld, TooContended):
            return None

    async def retake(self) -> AsyncIterator[HeldJob]:
        """The jobs that this worker's former process held and nobody has taken since.

        They are taken without a doorbell, since here is the ComfyUI that has their prompts.
        After an Unavailable, another call goes on with the rest.
        """
        for job_id in await self._journal.noted():
            if job_id not in self._held and (held := await self._retake(job_id)) is not None:
                yield held

    async def strays(self) -> Sequence[JobId]:
        """The jobs of the former process that are not ours any more."""
        return [job_id for job_id in await self._journal.noted() if job_id not in self._held]

    async def forget(self, job_id: JobId) -> None:
        """The attempt is over; there is nothing to come back for."""
        await self._journal.forget(job_id)

    def let_go(self, held: HeldJob) -> None:
        """Nobody works on it here any more, however that came: its doorbell is heard again."""
        if self._held.get(held.id) == held.token:
            del self._held[held.id]

    async def _leave(self, delivery: Delivery) -> None:
        """Leave a doorbell to workers that can run its job. A new one rings instead: one that is
        heard too often is a dead letter."""
        left = self._capabilities.leave(delivery.job_id)
        if left is not None:
            await self._queue.send(delivery.job_id, tenant=left.tenant, delay_s=left.pause_s)
        await delivery.ack()

    async def _retake(self, job_id: JobId) -> HeldJob | None:
        try:
            job = await self._records.get(job_id)
            if job.lease is None or job.lease.worker == self._membership.worker:
                return await self._hold(await self._take(job_id), None)
        except (JobNotFound, IllegalTransition, LeaseHeld):
            pass  # what is left of it in ComfyUI is swept away
        return None

    async def _take(self, job_id: JobId) -> Job:
        if not await self._membership.lasts():
            raise self._left_to_others()
        claim = partial(
            jobs.claim,
            worker=self._membership.worker,
            ttl=self._timing.lease,
            simulated=self._membership.simulated,
        )
        job = await self._records.get(job_id)
        claim(
            job, now=self._clock.now()
        )  # decides, before anything is noted, whether it can be ours
        await self._journal.note(job_id)  # before the claim: a crash in between loses nothing
        try:
            return await self._kept(await self._records.update(job, claim))
        except Unavailable:
            raise  # it may be ours all the same: better a note too many than one too few
        except DomainError:
            await self._journal.forget(job_id)
            raise

    async def _kept(self, job: Job) -> Job:
        """The job that was claimed, unless a real ComfyUI took the store over meanwhile."""
        if not job.status.terminal and not await self._membership.lasts():
            release = partial(jobs.release, token=job.attempt, reason=TAKEN_OVER)
            await self._records.update(job, release)
            raise self._left_to_others()
        return job

    def _left_to_others(self) -> LeaseHeld:
        return LeaseHeld(until=self._clock.now() + LEFT_FOR)

    async def _hold(self, job: Job, delivery: Delivery | None) -> HeldJob | None:
        held = HeldJob(
            job,
            delivery=delivery,
            queue=self._queue,
            records=self._records,
            timing=self._timing,
        )
        if not job.status.terminal:
            self._held[job.id] = held.token
            return held
        await held.acknowledge()  # the claim settled what nobody else could
        await self._announcer.announce_end(job)
        return None  # still noted: what a former attempt left in ComfyUI is swept away

"""Claiming jobs: from a doorbell, or a waiting job's id, to a job that this worker holds."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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
    TooManyRunning,
    Unavailable,
)
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.spec import Spec
from comfyq.ports.clock import Clock
from comfyq.ports.journal import Journal
from comfyq.ports.queue import MAX_HIDE_S, Delivery, JobQueue
from comfyq.records.jobs import JobRecords
from comfyq.services.notify.announcer import Announcer
from comfyq.services.worker.capabilities import Capabilities, Unsuited
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.membership import Membership
from comfyq.services.worker.timing import Timing
from comfyq.telemetry.tracing import tracing

TAKEN_OVER = "a real ComfyUI has taken over from its simulator"
CHOICES = 10  # so often a worker chooses with one doorbell
LEFT_FOR = timedelta(seconds=1)  # a doorbell is hidden that long for workers that may claim

Choose = Callable[[JobId | None], Awaitable[Sequence[JobId]]]
"""Return jobs to claim with a doorbell, the best first; none if the one that it names (None: it
cannot be claimed) will do."""


async def no_choice(_: JobId | None) -> Sequence[JobId]:
    return ()


class Claims:
    """Claim jobs for one worker, and note them in its journal for the worker's next process."""

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
        self._held: dict[JobId, int] = {}  # the token of each job held by this process

    async def claim(self, delivery: Delivery, choose: Choose = no_choice) -> HeldJob | None:
        """Claim a job with a doorbell: one that ``choose`` prefers to the one that it names, else
        this one, or if that cannot be claimed now, any that ``choose`` finds. None: there is none,
        and the doorbell was acknowledged or hidden.

        As many doorbells are there as jobs wait, whatever their names: one whose job was claimed
        with another's takes the place of that other.
        """
        try:
            return await self._claim_one(
                await choose(delivery.job_id), delivery
            ) or await self._claim_named(delivery, choose)
        except Unavailable:
            with suppress(Unavailable):  # then it is delivered after its visibility time-out
                await delivery.hide(self._timing.unavailable_s)
            raise

    async def _claim_named(self, delivery: Delivery, choose: Choose) -> HeldJob | None:
        hidden_s: float | None = None  # None: the doorbell is acknowledged
        try:
            # Of a job that this process holds it is a duplicate, or stands for another job.
            if delivery.job_id not in self._held:
                job, spec = await self._take(delivery.job_id)
                return await self._hold(job, delivery, spec)
        except LeaseHeld as held:
            wait = held.until - self._clock.now()
            hidden_s = max(0.0, wait / timedelta(seconds=1)) + 0.05
        except TooContended:
            hidden_s = 1
        except (JobNotFound, IllegalTransition):
            pass  # the job has ended
        except Unsuited as unsuited:
            await _settle(delivery, unsuited)
            return None
        except TooManyRunning:
            pass  # its tenant's turns go on when one of them has ended, without a doorbell
        if (other := await self._claim_any(delivery, choose)) is not None:
            return other
        await (delivery.ack() if hidden_s is None else delivery.hide(hidden_s))
        return None

    async def _claim_any(self, delivery: Delivery, choose: Choose) -> HeldJob | None:
        tried: set[JobId] = set()
        for _ in range(CHOICES):  # other workers may be faster, while more jobs wait
            if tried.issuperset(job_ids := await choose(None)):
                break
            tried.update(job_ids)
            if (held := await self._claim_one(job_ids, delivery)) is not None:
                return held
        return None

    async def _claim_one(
        self, job_ids: Sequence[JobId], delivery: Delivery | None
    ) -> HeldJob | None:
        for job_id in job_ids:
            if (held := await self.claim_waiting(job_id, delivery)) is not None:
                return held
        return None

    async def claim_waiting(
        self, job_id: JobId, delivery: Delivery | None = None
    ) -> HeldJob | None:
        """Claim a waiting job without its own doorbell; None if another worker was faster.

        ``delivery`` is the doorbell that stands for it from now on.
        """
        if job_id in self._held:
            return None  # what showed it as waiting lags; claiming it would end its attempt
        try:
            job, spec = await self._take(job_id)
            return await self._hold(job, delivery, spec)
        except (JobNotFound, IllegalTransition, LeaseHeld, TooContended, Unsuited, TooManyRunning):
            return None

    async def retake(self) -> AsyncIterator[HeldJob]:
        """Claim the jobs that this worker's former process held and no other worker has since.

        They are claimed without a doorbell, because this worker's ComfyUI has their prompts.
        After an Unavailable, calling this again goes on with the rest.
        """
        for job_id in await self._journal.noted():
            if job_id not in self._held and (held := await self._retake(job_id)) is not None:
                yield held

    async def orphaned(self) -> Sequence[JobId]:
        """Return the journal's jobs that this process does not hold."""
        return [job_id for job_id in await self._journal.noted() if job_id not in self._held]

    async def forget(self, job_id: JobId) -> None:
        """Delete a job from the journal: ComfyUI has no prompt of it that needs care."""
        await self._journal.forget(job_id)

    def let_go(self, held: HeldJob) -> None:
        """Drop the claim: from now on, a doorbell for this job makes this worker claim it."""
        if self._held.get(held.id) == held.token:
            del self._held[held.id]

    async def _retake(self, job_id: JobId) -> HeldJob | None:
        try:
            job = await self._records.get(job_id)
            if job.lease is None or job.lease.worker == self._membership.worker:
                taken, spec = await self._take(job_id)
                return await self._hold(taken, None, spec)
        except (JobNotFound, IllegalTransition, LeaseHeld, Unsuited, TooManyRunning):
            pass  # OrphanedPrompts deletes its prompts once the job has ended
        return None

    async def _take(self, job_id: JobId) -> tuple[Job, Spec | None]:
        """Claim a job; its work is returned if it was read for that."""
        if not await self._membership.lasts():
            raise self._left_to_others()
        worker = self._membership.worker
        claim = partial(
            jobs.claim,
            worker=worker,
            ttl=self._timing.lease,
            simulated=self._membership.simulated,
        )
        job = await self._records.get(job_id)
        # Raises for a job that cannot be claimed, before the journal is written.
        ends = jobs.ends_if_claimed(job, worker=worker, now=self._clock.now())
        spec = None if ends else await self._suited(job)
        await self._journal.note(job_id)  # before the claim: a crash in between loses nothing
        try:
            # After a power cut, which ends this worker too, the job is claimed anew.
            with tracing.span("claim", parent=job.trace, comfyq__job=job_id):
                taken = await self._kept(await self._records.update(job, claim, synced=False))
            waited_since = job.not_before or job.created_at
            tracing.record("wait", parent=job.trace, start=waited_since, end=self._clock.now())
            return taken, spec
        except Unavailable:
            raise  # the write may have been stored all the same, so the note stays
        except DomainError:
            await self._journal.forget(job_id)
            raise

    async def _suited(self, job: Job) -> Spec | None:
        """Return the work of a job if this ComfyUI is able to do it; otherwise set the job aside.

        None: that is left to the attempt, e.g. because an earlier one may have left its prompt in
        this ComfyUI.

        Raises:
            Unsuited: this ComfyUI lacks what the job needs.
        """
        if job.lease is not None or job.unsettled:
            return None
        try:
            spec = await self._records.spec(job.id)
            await self._capabilities.suited(job, spec)
        except Unsuited as unsuited:
            await self._records.update(job, partial(jobs.set_aside, reason=str(unsuited)))
            raise
        except Exception:  # the attempt meets it again, and is ended by it
            return None
        return spec

    async def _kept(self, job: Job) -> Job:
        """Return the claimed job, or release it if a real ComfyUI took the store over meanwhile."""
        if not job.status.terminal and not await self._membership.lasts():
            release = partial(jobs.release, token=job.attempt, reason=TAKEN_OVER)
            await self._records.update(job, release)
            raise self._left_to_others()
        return job

    def _left_to_others(self) -> LeaseHeld:
        return LeaseHeld(until=self._clock.now() + LEFT_FOR)

    async def _hold(self, job: Job, delivery: Delivery | None, spec: Spec | None) -> HeldJob | None:
        held = HeldJob(
            job,
            delivery=delivery,
            queue=self._queue,
            records=self._records,
            timing=self._timing,
            spec=spec,
        )
        if not job.status.terminal:
            self._held[job.id] = held.token
            return held
        await held.acknowledge()  # the claim ended the job, e.g. by its limit of attempts
        await self._announcer.announce_end(job)
        return None  # the journal keeps it, so that OrphanedPrompts deletes its prompts


async def _settle(delivery: Delivery, unsuited: Unsuited) -> None:
    """Settle the doorbell of a job that was set aside, which as a rule needs none."""
    if unsuited.keeps_doorbell and unsuited.again_s is not None:
        await delivery.hide(min(unsuited.again_s, MAX_HIDE_S))
    else:
        await delivery.ack()

"""The end of an attempt: store its outcome, acknowledge its doorbell, notify the followers."""

from contextlib import suppress
from functools import partial

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.errors import (
    DomainError,
    IllegalTransition,
    JobNotFound,
    LeaseLost,
    Unavailable,
)
from comfyq.ports.clock import Clock
from comfyq.records.jobs import JobRecords
from comfyq.services.notify.announcer import Announcer
from comfyq.services.worker.attempt_outcome import AttemptOutcome
from comfyq.services.worker.claims import Claims
from comfyq.services.worker.disk_cleanup import DiskCleanup
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.output_files import OutputCollector
from comfyq.services.worker.renderer import Renderer
from comfyq.services.worker.reporting.run_times import RunTimes
from comfyq.telemetry.tracing import tracing


class Conclusion:
    """Conclude attempts.

    Delivery is at least once and a worker may die anywhere, so the doorbell is acknowledged and the
    end announced only after the outcome is stored: a crash in between costs a doorbell or an
    announcement, which the reaper repeats, never a job.
    """

    def __init__(
        self,
        *,
        records: JobRecords,
        claims: Claims,
        renderer: Renderer,
        collector: OutputCollector,
        announcer: Announcer,
        run_times: RunTimes,
        clock: Clock,
        disk_cleanup: DiskCleanup | None = None,
    ) -> None:
        self._records = records
        self._claims = claims
        self._renderer = renderer
        self._collector = collector
        self._announcer = announcer
        self._run_times = run_times
        self._clock = clock
        self._disk_cleanup = disk_cleanup  # None: ComfyUI's folders are not on this machine

    async def conclude(self, held: HeldJob, outcome: AttemptOutcome) -> None:
        """Store the outcome, then settle the doorbell and notify the followers.

        If another worker has taken the job over, nothing is stored and the attempt is abandoned.
        """
        try:
            change = partial(outcome.change, token=held.token)
            with tracing.span("conclude"):
                unfollowed = await self._announcer.noted_at_once(held.job)
                await held.conclude(change, outputs=outcome.outputs, unfollowed=unfollowed)
        except (LeaseLost, IllegalTransition, JobNotFound):
            await self.abandon(held)
        except Exception:  # the table will never accept this outcome
            await self._discard(held, outcome)
            raise
        else:
            await self.announce(held)
            await self._clean_up(held, outcome)
        if not held.won:
            await self._discard(held, outcome)

    async def announce(self, held: HeldJob) -> None:
        """Settle the doorbell of an attempt whose end is stored, and notify the followers."""
        try:
            await (self._end(held) if held.job.status.terminal else self._give_back(held))
        except DomainError as unavailable:
            log.warning("end_unannounced", job=held.id, reason=str(unavailable))

    async def abandon(self, held: HeldJob) -> None:
        """Stop ComfyUI's work on a job that another worker has taken over; store nothing."""
        log.warning("lease_lost", job=held.id, attempt=held.token)
        adopted = await self.adopted(held)
        await self._renderer.stop(held, but=adopted)
        if not adopted:  # otherwise the journal keeps it, and its prompts go once it has ended
            await self._claims.forget(held.id)

    async def give_up(
        self, held: HeldJob, reason: str, *, unstored: AttemptOutcome | None = None
    ) -> None:
        """Stop ComfyUI's work on the job and give it back, uncounted.

        ``unstored`` is an outcome whose storing was interrupted: if it is not the job's end, its
        outputs are deleted.
        """
        await self._renderer.stop(held)
        await self.conclude(held, AttemptOutcome(partial(jobs.release, reason=reason)))
        if unstored is not None and not held.won:
            await self._discard(held, unstored)

    def let_go(self, held: HeldJob) -> None:
        """Drop the claim: from now on, a doorbell for this job makes this worker claim it."""
        self._claims.let_go(held)

    async def adopted(self, held: HeldJob) -> int:
        """Return the attempt whose prompt in this ComfyUI the job's next holder has adopted; 0 if
        it has adopted none."""
        try:
            job = await held.stored()
        except DomainError:
            return 0
        return job.adopted_attempt if job.attempt > held.token else 0

    async def _discard(self, held: HeldJob, outcome: AttemptOutcome) -> None:
        """Delete the attempt's outputs; if deleting their records fails, the reaper does it."""
        if outcome.outputs:
            await self._collector.discard(outcome.outputs)
            with suppress(DomainError):
                await self._records.discard_outputs(held.id, held.token)

    async def _clean_up(self, held: HeldJob, outcome: AttemptOutcome) -> None:
        if self._disk_cleanup is not None:
            self._disk_cleanup.ended(held.id, held.token)
            if held.won:
                await self._disk_cleanup.outputs(held.job, outcome.files)

    async def _end(self, held: HeldJob) -> None:
        if held.won:
            self._run_times.note(held.job, held.node_times)
        try:
            if held.job.end_pending:  # else nobody follows it
                await self._announcer.announce_end(held.job)
        finally:
            await self._acknowledge(held)
        await self._claims.forget(held.id)

    async def _acknowledge(self, held: HeldJob) -> None:
        try:
            await held.acknowledge()
        except Unavailable as away:  # the doorbell is delivered again, and acknowledged then
            log.warning("doorbell_unacknowledged", job=held.id, reason=str(away))

    async def _give_back(self, held: HeldJob) -> None:
        job = held.job
        await self._claims.forget(held.id)
        # Drop the claim before requeueing: this worker may receive the message immediately.
        self._claims.let_go(held)
        wait_s = (job.not_before - self._clock.now()).total_seconds() if job.not_before else 0
        await held.give_back(delay_s=max(0.0, wait_s))
        await self._announcer.announce(job)

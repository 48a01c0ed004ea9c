"""What a worker does with one job that it has claimed, from the graph to the announced end."""

import asyncio
from contextlib import suppress
from functools import partial
from time import monotonic

from comfyq.aio.logs import log
from comfyq.aio.tasks import all_of, beside
from comfyq.domain import job as jobs
from comfyq.domain.errors import (
    AssetsUnavailable,
    DomainError,
    IllegalTransition,
    JobNotFound,
    LeaseLost,
    Unavailable,
)
from comfyq.domain.job import Job, JobError
from comfyq.domain.submission.spec import Spec
from comfyq.ports.clock import Clock
from comfyq.ports.engine import DeviceFault, EngineError, EngineUnavailable, OutOfMemory
from comfyq.records.jobs import JobRecords
from comfyq.services.jobs.result_cache import ResultCache
from comfyq.services.notify.announcer import Announcer
from comfyq.services.worker.attempt_outcome import (
    AttemptOutcome,
    outcome_of,
    outcome_of_decision,
    outcome_of_input,
)
from comfyq.services.worker.claims import Claims
from comfyq.services.worker.disk_cleanup import DiskCleanup
from comfyq.services.worker.failure_policy import (
    Infected,
    Overdue,
    Stalled,
    decide,
)
from comfyq.services.worker.held_job import CancelRequested, HeldJob
from comfyq.services.worker.input_files import InputFailed
from comfyq.services.worker.output_files import OutputCollector
from comfyq.services.worker.renderer import JobEnded, Renderer, Turn
from comfyq.services.worker.run_times import RunTimes
from comfyq.services.worker.timing import Timing

MAY_STILL_RUN = (Stalled, Overdue, EngineUnavailable)


class Executor:
    """Runs one claimed job.

    Delivery is at least once and a worker may die anywhere, so the doorbell is acknowledged and the
    end announced only after the outcome is stored: a crash in between costs a doorbell or an
    announcement, which the reaper makes good, never a job.
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
        reuse: ResultCache,
        clock: Clock,
        timing: Timing,
        disk_cleanup: DiskCleanup | None = None,
    ) -> None:
        self._records = records
        self._claims = claims
        self._renderer = renderer
        self._collector = collector
        self._announcer = announcer
        self._run_times = run_times
        self._reuse = reuse
        self._clock = clock
        self._timing = timing
        self._disk_cleanup = disk_cleanup  # None: ComfyUI's folders are not at hand
        self._struck_at = float("-inf")  # when the device last failed (monotonic)

    async def run(self, held: HeldJob, turn: Turn) -> EngineError | None:
        """See a held job through; what it told of ComfyUI's state, if that is bad news.

        When cancelled (the worker drains), the job is given back, uncounted, for the reason that
        the cancellation carries.
        """
        try:
            async with beside(held.keep()):
                outcome = await self._attempt(held, turn)
            await self._conclude(held, outcome)
        except asyncio.CancelledError as stopped:
            reason = str(stopped) or "its worker was stopped"
            await asyncio.shield(self._drain(held, reason))
            raise
        except Exception as raised:  # whatever it is ends the attempt now, not its lease later
            return await self._settle(held, raised)
        finally:
            turn.left()
            self._claims.let_go(held)
        return None

    async def _settle(self, held: HeldJob, raised: Exception) -> EngineError | None:
        """Bring an attempt to its end that did not get to its own."""
        try:
            return await self._end_early(held, raised)
        except Exception as second:  # the end that it deserves cannot be stored
            await self._conclude(held, outcome_of(second, held, self._timing))
        return None

    async def _end_early(self, held: HeldJob, raised: Exception) -> EngineError | None:
        if isinstance(raised, JobEnded):
            await self._finish(held)
            return None
        if isinstance(raised, LeaseLost | IllegalTransition | JobNotFound):
            await self._abandon(held)
            return None
        if isinstance(raised, EngineError):
            return await self._rule(held, raised)
        if isinstance(raised, InputFailed):
            await self._conclude(held, outcome_of_input(raised))
            return None
        await self._renderer.stop(held)
        if isinstance(raised, CancelRequested):
            await self._conclude(held, AttemptOutcome(jobs.confirm_cancel))
            return None
        await self._conclude(held, outcome_of(raised, held, self._timing))
        return None

    async def _attempt(self, held: HeldJob, turn: Turn) -> AttemptOutcome:
        spec = await self._records.spec(held.id)
        rendering = await self._renderer.render(held, spec, turn)
        try:
            outputs = await self._collector.collect(held.job, rendering.files, spec=spec)
        except AssetsUnavailable as refused:
            error = JobError(jobs.STORAGE_REFUSED, f"the results could not be stored: {refused}")
            return AttemptOutcome(partial(jobs.fail, error=error, retry_in=None))
        await self._note_results(held.job, spec)
        succeed = partial(jobs.succeed, steps=rendering.steps)
        return AttemptOutcome(succeed, outputs, files=rendering.files)

    async def _note_results(self, job: Job, spec: Spec) -> None:
        """Before the job has succeeded: who sees that it has finds its results."""
        try:
            await self._reuse.note(job, spec)
        except DomainError as unavailable:  # they are made once more then
            log.warning("results_unnoted", job=job.id, reason=str(unavailable))

    async def _rule(self, held: HeldJob, raised: EngineError) -> EngineError:
        """Give the job its verdict after ComfyUI ended the attempt badly."""
        if isinstance(raised, MAY_STILL_RUN):  # or we have slept, and it is in other hands
            await self._renderer.stop(held, but=await self._adopted(held))
        verdict = decide(self._blamed(held, raised), held.job, self._timing)
        log.info("attempt_ended", job=held.id, attempt=held.token, reason=verdict.reason)
        await self._conclude(held, outcome_of_decision(verdict))
        return raised

    def _blamed(self, held: HeldJob, raised: EngineError) -> EngineError:
        """A failure of the device counts against the prompt that it struck first alone: what stood
        behind that one in ComfyUI may be as innocent as it is unlucky."""
        if not isinstance(raised, OutOfMemory | DeviceFault):
            return raised
        if held.taken_at < self._struck_at:
            return Infected(f"behind another prompt that had made it fail: {raised}")
        self._struck_at = monotonic()
        return raised

    async def _conclude(self, held: HeldJob, outcome: AttemptOutcome) -> None:
        """Store the outcome, then let the doorbell and the followers know."""
        change = partial(outcome.change, token=held.token)
        try:
            await held.conclude(change, outputs=outcome.outputs)
        except (LeaseLost, IllegalTransition, JobNotFound):
            await self._abandon(held)
        except Exception:  # the table will not have it
            await self._discard(held, outcome)
            raise
        else:
            await self._finish(held)
            await self._tidy(held, outcome)
        if not held.won:
            await self._discard(held, outcome)

    async def _discard(self, held: HeldJob, outcome: AttemptOutcome) -> None:
        """Delete what the attempt stored; the reaper does, where that fails."""
        if outcome.outputs:
            await self._collector.discard(outcome.outputs)
            with suppress(DomainError):
                await self._records.discard_outputs(held.id, held.token)

    async def _tidy(self, held: HeldJob, outcome: AttemptOutcome) -> None:
        if self._disk_cleanup is not None:
            self._disk_cleanup.ended(held.id, held.token)
            if held.won:
                await self._disk_cleanup.outputs(held.job, outcome.files)

    async def _finish(self, held: HeldJob) -> None:
        try:
            await (self._end(held) if held.job.status.terminal else self._give_back(held))
        except DomainError as unavailable:
            log.warning("end_unannounced", job=held.id, reason=str(unavailable))

    async def _end(self, held: HeldJob) -> None:
        if held.won:
            self._run_times.note(held.job)
        await all_of([self._acknowledge(held), self._tell_end(held)])
        await self._claims.forget(held.id)

    async def _tell_end(self, held: HeldJob) -> None:
        await self._announcer.announce_end(held.job)

    async def _acknowledge(self, held: HeldJob) -> None:
        try:
            await held.acknowledge()
        except Unavailable as away:  # the doorbell comes again, and is dropped then
            log.warning("doorbell_left", job=held.id, reason=str(away))

    async def _give_back(self, held: HeldJob) -> None:
        """Let go of first: the doorbell may ring here, at once, for our own next claim."""
        job = held.job
        await self._claims.forget(held.id)
        self._claims.let_go(held)
        wait = (job.not_before - self._clock.now()).total_seconds() if job.not_before else 0
        await held.give_back(delay_s=max(0.0, wait))
        await self._announcer.announce(job)

    async def _abandon(self, held: HeldJob) -> None:
        """The job is another's: stop ComfyUI's work on our prompt, write nothing."""
        log.warning("lease_lost", job=held.id, attempt=held.token)
        adopted = await self._adopted(held)
        await self._renderer.stop(held, but=adopted)
        if not adopted:  # otherwise it is noted still, and swept away once the job has ended
            await self._claims.forget(held.id)

    async def _adopted(self, held: HeldJob) -> int:
        """The attempt of ours whose prompt our successor goes on with, in this same ComfyUI."""
        try:
            job = await held.stored()
        except DomainError:
            return 0
        return job.adopted_attempt if job.attempt > held.token else 0

    async def _drain(self, held: HeldJob, reason: str) -> None:
        await self._renderer.stop(held)
        await self._conclude(held, AttemptOutcome(partial(jobs.release, reason=reason)))

"""The attempt at one claimed job, from its graph to its stored outcome."""

import asyncio
from functools import partial
from time import monotonic

from comfyq.aio.logs import log
from comfyq.aio.tasks import beside
from comfyq.domain import job as jobs
from comfyq.domain.errors import (
    AssetsUnavailable,
    DomainError,
    IllegalTransition,
    JobNotFound,
    LeaseLost,
)
from comfyq.domain.graph.saving_nodes import silent_savers
from comfyq.domain.job import Job, JobError
from comfyq.domain.models.errors import ModelError
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import EngineError, EngineLeft, EngineUnavailable
from comfyq.records.jobs import JobRecords
from comfyq.services.jobs.result_cache import ResultCache
from comfyq.services.worker.attempt_outcome import (
    AttemptOutcome,
    outcome_of,
    outcome_of_decision,
    outcome_of_input,
    outcome_of_model,
)
from comfyq.services.worker.conclusion import Conclusion
from comfyq.services.worker.failure_policy import DeviceBlame, Overdue, Stalled, decide
from comfyq.services.worker.held_job import CancelRequested, HeldJob
from comfyq.services.worker.input_files import InputFailed
from comfyq.services.worker.losses.engine_losses import EngineLosses
from comfyq.services.worker.output_files import OutputCollector
from comfyq.services.worker.renderer import JobEnded, Renderer, Rendering
from comfyq.services.worker.timing import Timing
from comfyq.services.worker.turn import Turn
from comfyq.telemetry.numbers import UPLOAD_SECONDS
from comfyq.telemetry.tracing import tracing

NO_OUTPUT = "the job has no output: no node of its graph saved or showed anything to collect"
MAY_STILL_RUN = (Stalled, Overdue, EngineUnavailable)


class Executor:
    """Run claimed jobs: render, collect the outputs, conclude.

    Whatever ends an attempt early is turned into an outcome as well, so that every attempt has one
    that is stored; a lease that lapses ends only the attempts of processes that died.
    """

    def __init__(
        self,
        *,
        records: JobRecords,
        renderer: Renderer,
        collector: OutputCollector,
        result_cache: ResultCache,
        conclusion: Conclusion,
        losses: EngineLosses,
        timing: Timing,
    ) -> None:
        self._records = records
        self._renderer = renderer
        self._collector = collector
        self._result_cache = result_cache
        self._conclusion = conclusion
        self._losses = losses
        self._timing = timing
        self._blame = DeviceBlame()

    async def run(self, held: HeldJob, turn: Turn) -> EngineError | None:
        """See a held job through; return the error that says something about ComfyUI's state.

        When this is canceled (the worker drains), the job is given back, uncounted, for the
        reason that the cancellation carries.
        """
        outcome: AttemptOutcome | None = None
        try:
            try:
                async with beside(held.keep()):
                    spec = held.spec or await self._records.spec(held.id)
                    outcome = await self._attempt(held, spec, turn)
                    if outcome.outputs is not None and outcome.is_whole:
                        await self._note_results(held.job, spec)
                await self._conclusion.conclude(held, outcome)
            except Exception as raised:  # any error ends the attempt now, not at its lease's end
                return await self._end_early(held, raised)
        except asyncio.CancelledError as stopped:
            reason = str(stopped) or "its worker was stopped"
            await asyncio.shield(self._conclusion.give_up(held, reason, unstored=outcome))
            raise
        finally:
            turn.left()
            self._conclusion.let_go(held)
        return None

    async def _attempt(self, held: HeldJob, spec: Spec, turn: Turn) -> AttemptOutcome:
        async with self._renderer.rendering(held, spec, turn) as rendering:
            return await self._collect(held, spec, rendering)

    async def _collect(self, held: HeldJob, spec: Spec, rendering: Rendering) -> AttemptOutcome:
        began = monotonic()
        try:
            with tracing.span("upload", comfyq__files=len(rendering.files)):
                collected = await self._collector.collect(held.job, rendering.files, spec=spec)
        except AssetsUnavailable as refused:
            error = JobError(jobs.STORAGE_REFUSED, f"the results could not be stored: {refused}")
            return AttemptOutcome(partial(jobs.fail, error=error, retry_in=None))
        UPLOAD_SECONDS.observe(monotonic() - began, held.job.workflow)
        reporting = {file.node for file in rendering.files}
        silent = silent_savers(spec.graph, reporting)
        warnings = [*rendering.lost, *collected.lost, *silent]
        if not collected.outputs:
            warnings.insert(0, NO_OUTPUT)
        succeed = partial(
            jobs.succeed, steps=rendering.steps, nodes=rendering.nodes, warnings=warnings
        )
        is_whole = not (rendering.lost or collected.lost)
        return AttemptOutcome(succeed, collected.outputs, files=rendering.files, is_whole=is_whole)

    async def _note_results(self, job: Job, spec: Spec) -> None:
        """Record the results for reuse before the job succeeds, so that a client that sees it
        succeeded can already reuse them."""
        try:
            await self._result_cache.note(job, spec)
        except DomainError as unavailable:  # then a later job renders them once more
            log.warning("reuse_unrecorded", job=job.id, reason=str(unavailable))

    async def _end_early(self, held: HeldJob, raised: Exception) -> EngineError | None:
        """Conclude an attempt that ``raised`` ended early."""
        try:
            return await self._end_as_raised(held, raised)
        except Exception as second:  # the outcome of ``raised`` cannot be stored
            await self._conclusion.conclude(held, outcome_of(second, held, self._timing))
        return None

    async def _end_as_raised(self, held: HeldJob, raised: Exception) -> EngineError | None:
        if isinstance(raised, JobEnded):
            await self._conclusion.announce(held)
        elif isinstance(raised, LeaseLost | IllegalTransition | JobNotFound):
            await self._conclusion.abandon(held)
        elif isinstance(raised, EngineError):
            return await self._fail(held, raised)
        elif isinstance(raised, InputFailed):
            await self._conclusion.conclude(held, outcome_of_input(raised))
        elif isinstance(raised, ModelError):
            await self._conclusion.conclude(held, outcome_of_model(raised, held, self._timing))
        else:
            await self._renderer.stop(held)
            canceled = isinstance(raised, CancelRequested)
            confirmed = AttemptOutcome(jobs.confirm_cancel)
            outcome = confirmed if canceled else outcome_of(raised, held, self._timing)
            await self._conclusion.conclude(held, outcome)
        return None

    async def _fail(self, held: HeldJob, raised: EngineError) -> EngineError:
        """Conclude an attempt that an error of ComfyUI ended, as the failure policy decides."""
        if isinstance(raised, MAY_STILL_RUN):  # or this process stalled and another took over
            await self._renderer.stop(held, but=await self._conclusion.adopted(held))
        decision = decide(self._blame.attributed(held, raised), held.job, self._timing)
        log.debug("attempt_ended", job=held.id, attempt=held.token, reason=decision.reason)
        await self._conclusion.conclude(held, outcome_of_decision(decision))
        if isinstance(raised, EngineLeft):
            self._losses.suspect(held, raised)
        return raised

"""Running one job's prompt in ComfyUI, or adopting an earlier attempt's, up to its end."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from comfyq.aio.tasks import beside
from comfyq.domain import job as jobs
from comfyq.domain.job.progress import Advance
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import (
    Delayed,
    Ended,
    Engine,
    EngineEvent,
    EngineLeft,
    EngineUnavailable,
    PromptId,
    PromptLost,
    PromptState,
    Rendered,
    Started,
)
from comfyq.services.access.partner_keys import PartnerKeys
from comfyq.services.worker.failure_policy import Overdue, Stalled
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.last_look import LastLook
from comfyq.services.worker.membership import Membership
from comfyq.services.worker.preparation import Preparation
from comfyq.services.worker.prompt_stopper import LIVE, PromptStopper
from comfyq.services.worker.prompts import prompt_id, prompt_of, prompts_of
from comfyq.services.worker.reporting.previews import Previews
from comfyq.services.worker.reporting.reporter import ProgressReporter, Reporting
from comfyq.services.worker.turn import Turn
from comfyq.telemetry.numbers import RUN_SECONDS
from comfyq.telemetry.tracing import tracing


@dataclass(frozen=True, slots=True)
class Rendering:
    """The result of a prompt."""

    files: Sequence[Rendered]
    lost: Sequence[str]  # what else it made, in words
    steps: int  # of the last sampler that ran
    nodes: int  # of its graph


class JobEnded(Exception):
    """A write of this attempt ended the job: its last failure, or a cancellation."""


class Renderer:
    def __init__(
        self,
        *,
        engine: Engine,
        membership: Membership,
        stopper: PromptStopper,
        last_look: LastLook,
        preparation: Preparation,
        reporting: Reporting,
        previews: Previews,
        partner_keys: PartnerKeys,
    ) -> None:
        self._engine = engine
        self._membership = membership
        self._stopper = stopper
        self._last_look = last_look
        self._preparation = preparation
        self._reporting = reporting
        self._previews = previews
        self._partner_keys = partner_keys

    @asynccontextmanager
    async def rendering(self, held: HeldJob, spec: Spec, turn: Turn) -> AsyncIterator[Rendering]:
        """Run the job's graph, or go on with what an earlier attempt left in ComfyUI.

        The body stores the results while the start is stored, which it is when the context ends.

        Raises:
            EngineError: see ``services.worker.failure_policy``.
            InputFailed: an input file of the job cannot be used.
            ModelError: a model that its lock names cannot be had.
            PartnerKeyUnreadable, JobEnded, LeaseLost, and the table's errors.
        """
        async with self._preparation.using_models(spec):
            prompt = await self._submitted(held, spec, turn)
            reporter = self._reporting.of(held, spec.graph)
            async with beside(reporter.run(), self._previews.run(prompt, reporter)):
                followed = self._follow(prompt, reporter, turn)
                with tracing.span("render"):
                    ended = await self._within_limits(held, followed)
                held.node_times = reporter.node_times()
                shown = reporter.progress
                try:
                    yield Rendering(ended.rendered, ended.lost, shown.max_steps, shown.nodes_total)
                except Exception:
                    await reporter.begun()  # the attempt fails as one that had begun
                    raise
                await reporter.begun()

    async def _submitted(self, held: HeldJob, spec: Spec, turn: Turn) -> PromptId:
        """Return the prompt that an earlier attempt left in ComfyUI, or this attempt's own."""
        if (adopted := await self._adopt(held)) is not None:
            return adopted
        if held.job.unsettled:
            await self._forfeit(held)
        await self._preparation.models(held, spec, turn)
        passed = await self._last_look.passed(held.job, spec)
        prepared = await self._preparation.inputs(held, passed, turn)
        await self._membership.require()
        key = await self._partner_keys.of(held.job)
        with tracing.span("submit to ComfyUI"):
            await self._engine.submit(prompt_of(held.job, prepared, partner_key=key))
        return self.own_prompt(held)

    def own_prompt(self, held: HeldJob) -> PromptId:
        return prompt_id(held.id, held.token)

    async def stop(self, held: HeldJob, *, but: int = 0) -> None:
        """Stop the prompts of all attempts at the job except attempt ``but``; the stopper keeps
        watching a prompt that does not stop at once. The lease is renewed meanwhile."""
        spared = prompt_id(held.id, but)
        ours = prompts_of(held.id, attempts=held.token)
        async with beside(held.hold()):
            await self._stopper.stop(
                [prompt for prompt in ours if prompt != spared],
                patience_s=held.pace.left_s(now=_loop_time(), stall_s=held.job.limits.stall_s),
            )

    async def _adopt(self, held: HeldJob) -> PromptId | None:
        """Adopt the newest prompt that a lost attempt left in ComfyUI, and stop all others; None
        if there is none."""
        adopted = 0
        for attempt in range(held.token - 1, 0, -1):
            earlier = prompt_id(held.id, attempt)
            state = await self._engine.find(earlier)
            lost = attempt > held.job.settled_attempt
            if lost and not adopted and state is not PromptState.ABSENT:
                adopted = attempt
            elif state in LIVE:
                await self._stopper.stop([earlier], patience_s=held.job.limits.stall_s)
        if not adopted:
            return None
        # Stored before the prompt is followed: its former holder may only have stalled, and
        # would stop a prompt that nobody has adopted.
        await held.settle(partial(jobs.adopt, token=held.token, attempt=adopted))
        return prompt_id(held.id, adopted)

    async def _forfeit(self, held: HeldJob) -> None:
        reason = f"attempt {held.job.started_attempt} was lost with its worker while it ran"
        forfeit = partial(jobs.forfeit, token=held.token, reason=reason)
        if (await held.write(forfeit)).status.terminal:
            raise JobEnded(reason)

    async def _within_limits(
        self, held: HeldJob, followed: AsyncGenerator[EngineEvent, None]
    ) -> Ended:
        """Read events up to the end; raises Overdue, or Stalled when none comes for too long."""
        limits = held.job.limits
        began, overdue_at = _loop_time(), math.inf  # a prompt that waits its turn may wait
        patience = asyncio.timeout(None)
        async with aclosing(followed) as events:
            try:
                async with patience:
                    while not isinstance(event := await anext(events), Ended):
                        held.pace.note(event, now=(now := _loop_time()))
                        if isinstance(event, Started):
                            began, overdue_at = now, now + limits.run_timeout_s
                        if overdue_at != math.inf:
                            patience.reschedule(min(overdue_at, now + limits.stall_s))
                    RUN_SECONDS.observe(_loop_time() - began, held.job.workflow)
                    return event
            except TimeoutError:
                if not patience.expired():
                    raise
                if patience.when() == overdue_at:
                    late = f"not finished within {limits.run_timeout_s} s of its start"
                    raise Overdue(late) from None
                raise Stalled(f"no sign of progress for {limits.stall_s:g} s") from None

    async def _follow(
        self, prompt: PromptId, reporter: ProgressReporter, turn: Turn
    ) -> AsyncGenerator[EngineEvent, None]:
        started, ended = False, None
        try:
            async for event in self._engine.follow(prompt):
                if not started and isinstance(event, Started | Ended):
                    started = True
                    turn.started()
                    reporter.begin()
                    yield Started()
                _pass_on(event, reporter, turn)
                if isinstance(event, Ended):
                    ended = event  # yielded last: nobody would close what is still followed
                elif not isinstance(event, Delayed | Started):
                    yield event
            if ended is not None:
                reporter.end()
                yield ended
        except PromptLost as lost:
            raise PromptLost(str(lost), started=lost.started or started) from lost
        except EngineUnavailable as away:
            _raise_if_left(away, prompt, started=started)
            raise
        finally:
            turn.left()


def _pass_on(event: EngineEvent, reporter: ProgressReporter, turn: Turn) -> None:
    if isinstance(event, Delayed):
        turn.delayed(event.foreign)
    elif isinstance(event, Advance):
        reporter.report(event)


def _raise_if_left(away: EngineUnavailable, prompt: PromptId, *, started: bool) -> None:
    """Raise EngineLeft in place of ``away`` if ComfyUI had begun the prompt."""
    if started:
        raise EngineLeft(str(away), prompt=prompt) from away


def _loop_time() -> float:
    return asyncio.get_running_loop().time()

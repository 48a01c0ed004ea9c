"""A worker's life: retake, receive, claim, run, and give back what cannot be finished."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import structlog

from comfyq.aio.tasks import beside
from comfyq.domain.errors import DomainError, TooContended, Unavailable
from comfyq.edges.worker.catalogue_watch import CatalogueWatch
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.edges.worker.gate import Gate, Place
from comfyq.edges.worker.guard import Guard
from comfyq.edges.worker.heart import Heart
from comfyq.edges.worker.space_watch import SpaceWatch
from comfyq.edges.worker.unstopped_watch import UnstoppedWatch
from comfyq.ports.caretaker import Caretaker
from comfyq.ports.engine import (
    DeviceFault,
    EngineError,
    EngineUnavailable,
    OutOfMemory,
    PromptLost,
    RenderedFileGone,
)
from comfyq.ports.queue import JobQueue
from comfyq.services.worker.affinity import Affinity
from comfyq.services.worker.claims import Claims
from comfyq.services.worker.executor import Executor
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.orphaned_prompts import OrphanedPrompts
from comfyq.services.worker.output_retry import OutputRetry
from comfyq.services.worker.prompts import prompts_of
from comfyq.services.worker.run_times import RunTimes

log = structlog.get_logger()

T = TypeVar("T")

PAUSE_S = 1.0  # when the queue or the table does not answer
DEVICE_FAULTS = 2  # in a row, until the worker says that its GPU is broken


class Worker:
    """One ComfyUI's consumer; ``run`` returns when ``stop`` was called and the drain is over."""

    def __init__(
        self,
        *,
        claims: Claims,
        executor: Executor,
        queue: JobQueue,
        gate: Gate,
        watch: EngineWatch,
        space: SpaceWatch,
        unstopped: UnstoppedWatch,
        heart: Heart,
        caretaker: Caretaker,
        affinity: Affinity | None,
        output_retry: OutputRetry,
        orphaned_prompts: OrphanedPrompts,
        run_times: RunTimes,
        wait_s: float,
        drain_s: float,
        guard: Guard | None = None,
        catalogue: CatalogueWatch | None = None,
    ) -> None:
        self._claims = claims
        self._executor = executor
        self._queue = queue
        self._gate = gate
        self._watch = watch
        self._space = space
        self._unstopped = unstopped
        self._heart = heart
        self._caretaker = caretaker
        self._affinity = affinity  # None: jobs are taken in the order of the queue
        self._output_retry = output_retry
        self._orphaned_prompts = orphaned_prompts
        self._run_times = run_times
        self._wait_s = wait_s
        self._drain_s = drain_s
        self._guard = guard
        self._catalogue = catalogue
        self._stopped = asyncio.Event()
        self._places: dict[asyncio.Task[None], Place] = {}
        self._device_faults = 0

    def stop(self) -> None:
        """Claim nothing more; what runs may finish within ``drain_s``."""
        self._stopped.set()

    async def run(self) -> None:
        others = [each.run() for each in (self._guard, self._catalogue) if each is not None]
        others += [self._output_retry.run(), self._orphaned_prompts.run(), self._run_times.run()]
        others.append(self._unstopped.run(self._on_hung))
        await self._space.look()
        async with beside(self._watch.run(), self._space.run(), self._heart.run(), *others):
            await self._serve()
        await self._heart.stop()

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as attempts:
            await self._retake(attempts)
            while not self._stopped.is_set():
                await self._serve_one(attempts)
            self._heart.drain()
            await self._drain()

    async def _retake(self, attempts: asyncio.TaskGroup) -> None:
        await self._or_stopped(self._watch.wait_ok())
        while not self._stopped.is_set():
            try:
                async for held in self._claims.retake():
                    log.info("job_retaken", job=held.id, attempt=held.token)
                    self._begin(attempts, held, self._gate.enter())
            except (Unavailable, TooContended) as away:
                await self._pause(away)
            else:
                return

    async def _serve_one(self, attempts: asyncio.TaskGroup) -> None:
        await self._or_stopped(self._watch.wait_ok())
        await self._or_stopped(self._gate.room())
        await self._or_stopped(self._space.wait_ok())
        await self._or_stopped(self._unstopped.wait_ok())
        try:
            if not await self._claim_fitting(attempts):
                delivery = await self._or_stopped(self._queue.receive(wait_s=self._wait_s))
                if delivery is not None and self._can_claim:
                    await self._claim(attempts, self._claims.claim(delivery))
                elif delivery is not None:
                    await delivery.hide(0)  # ComfyUI or the room went away while we listened
        except (Unavailable, OSError) as away:
            await self._pause(away)

    @property
    def _can_claim(self) -> bool:
        return self._watch.ok and self._space.ok and self._unstopped.ok

    async def _pause(self, away: Exception) -> None:
        """Something that is needed does not answer, or the worker's own disk is full."""
        log.warning("backend_away", reason=str(away))
        await self._or_stopped(asyncio.sleep(random.uniform(PAUSE_S / 2, PAUSE_S)))

    async def _claim_fitting(self, attempts: asyncio.TaskGroup) -> bool:
        """Claim a waiting job whose models ComfyUI holds, if the order of waiting allows it."""
        if self._affinity is None or self._stopped.is_set():
            return False
        chosen = await self._affinity.choose()
        if chosen is None:
            return False
        return await self._claim(attempts, self._claims.claim_waiting(chosen))

    async def _claim(
        self, attempts: asyncio.TaskGroup, claim: Coroutine[Any, Any, HeldJob | None]
    ) -> bool:
        place = self._gate.enter()
        held = None
        try:
            held = await claim
        finally:
            if held is None:
                place.leave()
        if held is not None:
            self._begin(attempts, held, place)
        return held is not None

    def _begin(self, attempts: asyncio.TaskGroup, held: HeldJob, place: Place) -> None:
        self._heart.took(held.id)
        if self._affinity is not None:
            self._affinity.loaded(held.job.family)
        task = attempts.create_task(self._attempt(held, place))
        self._places[task] = place
        task.add_done_callback(self._places.pop)

    async def _attempt(self, held: HeldJob, place: Place) -> None:
        try:
            raised = await self._executor.run(held, place.turn)
        except (DomainError, OSError) as left:
            log.error("attempt_left", job=held.id, reason=str(left))  # its lease will lapse
        except Exception:
            log.exception("attempt_crashed", job=held.id)  # a defect of ours ends no worker
        else:
            with suppress(EngineError):
                await self._judge(held, raised)
        finally:
            place.leave()
            self._heart.gave(held.id)

    async def _judge(self, held: HeldJob, raised: EngineError | None) -> None:
        """What the end of an attempt tells of ComfyUI, and what can be done for it."""
        self._device_faults = self._device_faults + 1 if isinstance(raised, DeviceFault) else 0
        if isinstance(raised, OutOfMemory | RenderedFileGone):
            await self._caretaker.free()  # memory, and cached results whose files are gone
        elif self._device_faults >= DEVICE_FAULTS:
            reason = f"the device failed {self._device_faults} times in a row: {raised}"
            failed = prompts_of(held.id, attempts=held.token)
            self._mend(reason, healed=partial(self._watch.has_lost, failed))
        elif isinstance(raised, EngineUnavailable | PromptLost):
            self._watch.doubt()

    def _on_hung(self, reason: str) -> None:
        self._mend(reason, healed=self._unstopped.is_ok)

    def _mend(self, reason: str, *, healed: Callable[[], Awaitable[bool]]) -> None:
        log.error("comfyui_broken", reason=reason)
        self._device_faults = 0
        for task in self._places.keys() - {asyncio.current_task()}:
            task.cancel("its ComfyUI has to be restarted")
        if self._caretaker.restart():
            self._unstopped.killed()
            self._watch.doubt()
        else:
            self._watch.latch(f"{reason}; restart ComfyUI", healed=healed)

    async def _drain(self) -> None:
        """What ComfyUI has not started goes back at once; what runs has ``drain_s``."""
        for task, place in list(self._places.items()):
            if place.waits:
                task.cancel()
        if self._places:
            await asyncio.wait(list(self._places), timeout=self._drain_s)
        for task in list(self._places):
            task.cancel()

    async def _or_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of ``work``, or None as soon as the worker is stopped."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            stopped.cancel()
            task.cancel()

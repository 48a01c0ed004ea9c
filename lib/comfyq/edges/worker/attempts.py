"""The attempts that a worker runs at the same time, each a task."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from comfyq.aio.logs import log, log_context
from comfyq.domain.errors import DomainError
from comfyq.edges.worker.engine_repair import Breakdown, EngineRepair
from comfyq.edges.worker.heartbeat import Heartbeat
from comfyq.edges.worker.prompt_slots import PromptSlot, PromptSlots
from comfyq.ports.engine import EngineError
from comfyq.services.worker.executor import Executor
from comfyq.services.worker.held_job import HeldJob
from comfyq.telemetry.numbers import WORKERS
from comfyq.telemetry.tracing import tracing

AGAIN = "a second Ctrl-C or SIGTERM ends it at once; its jobs are then run again"


class Attempts:
    """Run held jobs in a task group that is open as long as this context is."""

    def __init__(
        self, *, executor: Executor, slots: PromptSlots, heartbeat: Heartbeat, repair: EngineRepair
    ) -> None:
        self._executor = executor
        self._slots = slots
        self._heartbeat = heartbeat
        self._repair = repair
        self._group = asyncio.TaskGroup()
        self._running: dict[asyncio.Task[None], PromptSlot] = {}

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        WORKERS.add()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        WORKERS.add(by=-1)
        await self._group.__aexit__(kind, raised, traceback)

    async def room(self) -> None:
        """Wait until ComfyUI's queue has room for another prompt."""
        await self._slots.room()

    @property
    def has_room(self) -> bool:
        return self._slots.has_room

    def slot(self) -> PromptSlot:
        """Reserve a place in ComfyUI's queue for a job that is about to be claimed."""
        return self._slots.enter()

    def begin(self, held: HeldJob, slot: PromptSlot) -> None:
        """Run a claimed job beside the others."""
        self._heartbeat.add(held.job)
        task = self._group.create_task(self._run(held, slot))
        self._running[task] = slot
        task.add_done_callback(self._running.pop)

    async def drain(self, *, drain_s: float) -> None:
        """Give back at once what ComfyUI has not started, and what still runs after ``drain_s``."""
        for task, slot in list(self._running.items()):
            if slot.waits:
                task.cancel()
        if finishing := sum(not slot.waits for slot in self._running.values()):
            log.info("draining", finishing=finishing, within_s=drain_s, again=AGAIN)
        if self._running:
            await asyncio.wait(list(self._running), timeout=drain_s)
        for task in list(self._running):
            task.cancel()

    def on_hung(self, reason: str) -> None:
        """Give every job back, and repair a ComfyUI that does not stop a prompt."""
        self._break_off(self._repair.hung(reason))

    async def _run(self, held: HeldJob, slot: PromptSlot) -> None:
        job = held.job
        span = tracing.span(
            "attempt",
            parent=job.trace,
            comfyq__job=held.id,
            comfyq__attempt=held.token,
            comfyq__workflow=job.workflow,
            comfyq__worker=self._heartbeat.worker,
        )
        with span, log_context(job=held.id, attempt=held.token):
            try:
                delayed = partial(self._heartbeat.delay, held.id, held.token)
                raised = await self._executor.run(held, replace(slot.turn, delayed=delayed))
                await self._judge(held, raised)
            except (DomainError, OSError) as left:  # its lease will lapse
                log.error("attempt_unconcluded", job=held.id, reason=str(left))
            except Exception:
                log.exception("attempt_crashed", job=held.id)  # a defect must not end the worker
            finally:
                slot.leave()
                self._heartbeat.remove(held.id, held.token)

    async def _judge(self, held: HeldJob, raised: EngineError | None) -> None:
        """Repair ComfyUI if an attempt shows that it is broken."""
        with suppress(EngineError):
            broken = await self._repair.judge(held, raised)
            if broken is not None:
                self._break_off(broken)

    def _break_off(self, broken: Breakdown) -> None:
        for task, slot in list(self._running.items()):
            # A prompt that has left ComfyUI only needs its files stored.
            if task is not asyncio.current_task() and not slot.has_left:
                task.cancel("its ComfyUI has to be restarted")
        self._repair.repair(broken)

"""Judging ComfyUI's state by how attempts end, and repairing it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from comfyq.aio.logs import log
from comfyq.edges.worker.readiness import Readiness
from comfyq.ports.caretaker import Caretaker
from comfyq.ports.engine import (
    DeviceFault,
    EngineError,
    EngineUnavailable,
    OutOfMemory,
    PromptLost,
    RenderedFileGone,
)
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.membership import NotAdmitted
from comfyq.services.worker.prompts import prompts_of

DEVICE_FAULTS = 2  # in a row, until the worker says that its GPU is broken


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A ComfyUI that has to be restarted; ``healed`` checks whether it is sound again."""

    reason: str
    healed: Callable[[], Awaitable[bool]]


class EngineRepair:
    def __init__(self, *, caretaker: Caretaker, readiness: Readiness) -> None:
        self._caretaker = caretaker
        self._readiness = readiness
        self._device_faults = 0

    async def judge(self, held: HeldJob, raised: EngineError | None) -> Breakdown | None:
        """Act on what an attempt's end shows about ComfyUI's state.

        Memory is freed after an out-of-memory error. A Breakdown is returned when only a restart
        helps; the caller stops the other attempts, then calls ``repair``.

        Raises:
            EngineError: ComfyUI does not answer.
        """
        self._device_faults = self._device_faults + 1 if isinstance(raised, DeviceFault) else 0
        if isinstance(raised, OutOfMemory | RenderedFileGone):
            await self._caretaker.free()  # memory, and cached results whose files are gone
        elif self._device_faults >= DEVICE_FAULTS:
            failed = prompts_of(held.id, attempts=held.token)
            return Breakdown(
                f"the device failed {self._device_faults} times in a row: {raised}",
                healed=partial(self._readiness.engine.has_lost, failed),
            )
        elif isinstance(raised, EngineUnavailable | PromptLost | NotAdmitted):
            self._readiness.engine.doubt()
        return None

    def hung(self, reason: str) -> Breakdown:
        """Describe a ComfyUI that did not stop a prompt when requested."""
        return Breakdown(reason, healed=self._readiness.unstopped.is_ok)

    def repair(self, broken: Breakdown) -> None:
        """Restart a supervised ComfyUI; otherwise claim nothing until it is found sound."""
        log.error("comfyui_broken", reason=broken.reason)
        self._device_faults = 0
        if self._caretaker.restart():
            self._readiness.unstopped.killed()
            self._readiness.engine.doubt()
        else:
            self._readiness.engine.latch(f"{broken.reason}; restart ComfyUI", healed=broken.healed)

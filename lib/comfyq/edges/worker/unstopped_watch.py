"""Watching prompts that ComfyUI was requested to stop; nothing is claimed while one runs."""

import asyncio
from collections.abc import Callable

from comfyq.aio.logs import log
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.ports.clock import Clock
from comfyq.ports.engine import EngineError, EngineUnavailable
from comfyq.services.worker.prompt_stopper import PromptStopper
from comfyq.wire.times import format_time

PERIOD_S = 0.25


class UnstoppedWatch:
    """Wait for a slow step to end, and report when ComfyUI seems to hang instead."""

    def __init__(self, stopper: PromptStopper, *, engine_watch: EngineWatch, clock: Clock) -> None:
        self._stopper = stopper
        self._engine_watch = engine_watch
        self._clock = clock
        self._refused: str | None = None  # the last reason logged
        self.on_change: Callable[[], None] = lambda: None
        self.reason: str | None = None  # why nothing is claimed

    @property
    def ok(self) -> bool:
        return self._stopper.free

    async def is_ok(self) -> bool:
        return self.ok

    async def wait_ok(self) -> None:
        await self._stopper.wait_free()

    async def run(self, on_hung: Callable[[str], None]) -> None:
        """Watch until canceled; ``on_hung`` is called with the reason if ComfyUI seems to hang."""
        while True:
            await self.look()
            hung = self._stopper.hung
            if hung is not None and not self._engine_watch.latched:
                on_hung(hung)
            if self._stopper.free:
                await self._stopper.wait_busy()
            else:
                await asyncio.sleep(PERIOD_S)

    async def look(self) -> None:
        if not self._stopper.free:
            self._explain()
            await self._ask()
        if self._stopper.free and self.reason is not None:
            log.info("comfyui_free")
            self.reason = None
            self.on_change()

    def killed(self) -> None:
        """Drop all watched prompts: ComfyUI's process was ended, and they with it."""
        self._stopper.forget()

    def _explain(self) -> None:
        if self.reason is None:
            self.reason = (
                "waiting for ComfyUI to finish the step that it was asked to stop, since "
                + format_time(self._clock.now())
            )
            log.warning("comfyui_busy", reason=self.reason)
            self.on_change()

    async def _ask(self) -> None:
        try:
            await self._stopper.look()
        except EngineUnavailable:
            self._engine_watch.doubt()
        except EngineError as unable:
            if str(unable) != self._refused:
                self._refused = str(unable)
                log.warning("stop_refused", reason=self._refused)

"""Freeing the GPU of models that no job has used for long."""

from collections.abc import Callable
from time import monotonic

from comfyq.aio.logs import log
from comfyq.aio.rhythm import beat
from comfyq.ports.caretaker import Caretaker
from comfyq.ports.engine import EngineError

LOOKS = 10  # of a period
LEAST_LOOK_S = 0.05
MOST_LOOK_S = 5.0


class IdleUnload:
    """Have ComfyUI unload its models when nothing was run for ``idle_s``; once, until it is used
    again.

    ``uses`` counts what was begun: a run may begin and end between two looks. A job that comes at
    that moment loads its models again.
    """

    def __init__(
        self,
        caretaker: Caretaker,
        *,
        is_busy: Callable[[], bool],
        uses: Callable[[], int],
        on_unload: Callable[[], None],
        idle_s: float,
    ) -> None:
        self._caretaker = caretaker
        self._is_busy = is_busy
        self._uses = uses
        self._on_unload = on_unload
        self._idle_s = idle_s

    async def run(self) -> None:
        """Look until canceled. ComfyUI may have models from before this worker's start."""
        seen, since, is_unloaded = self._uses(), monotonic(), False
        while True:
            await beat(min(max(self._idle_s / LOOKS, LEAST_LOOK_S), MOST_LOOK_S))
            if self._is_busy() or self._uses() != seen:
                seen, since, is_unloaded = self._uses(), monotonic(), False
            elif not is_unloaded and monotonic() - since >= self._idle_s:
                is_unloaded = await self._unload()
                since = monotonic()

    async def _unload(self) -> bool:
        """Return whether ComfyUI was asked; not while it runs what others sent to it."""
        try:
            if not await self._caretaker.is_idle() or self._is_busy():
                return False
            await self._caretaker.free()
        except EngineError:
            return False  # it is asked again
        log.info("models_unloaded", idle_s=self._idle_s)
        self._on_unload()
        return True

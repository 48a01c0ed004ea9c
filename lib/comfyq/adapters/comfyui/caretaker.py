from collections.abc import Callable

from comfyq.adapters.comfyui.engine import ComfyEngine


class ComfyCaretaker:
    """``restart`` is given where a supervisor of ours runs the ComfyUI."""

    def __init__(self, engine: ComfyEngine, *, restart: Callable[[], None] | None) -> None:
        self._engine = engine
        self._restart = restart

    async def free(self) -> None:
        await self._engine.free()

    async def is_idle(self) -> bool:
        return await self._engine.is_idle()

    def restart(self) -> bool:
        if self._restart is None:
            return False
        self._restart()
        return True

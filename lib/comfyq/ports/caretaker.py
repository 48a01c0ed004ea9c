from typing import Protocol


class Caretaker(Protocol):
    """Measures for a ComfyUI that is in trouble."""

    async def free(self) -> None:
        """Have ComfyUI unload its models, drop its cached results and free its memory.

        Raises:
            EngineUnavailable: ComfyUI does not answer.
        """
        ...

    async def is_idle(self) -> bool:
        """Return whether ComfyUI runs nothing and has nothing in its queue, whoever sent it.

        Raises:
            EngineUnavailable: ComfyUI does not answer.
        """
        ...

    def restart(self) -> bool:
        """Kill ComfyUI and start it again; False if no supervisor of ours runs it."""
        ...

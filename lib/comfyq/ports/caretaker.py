from typing import Protocol


class Caretaker(Protocol):
    """Measures for a ComfyUI that is in trouble."""

    async def free(self) -> None:
        """Ask it to unload its models, forget its cached results and give its memory back.

        Raises:
            EngineUnavailable: it does not answer.
        """
        ...

    def restart(self) -> bool:
        """Kill it and start it again; False where it is not ours to restart."""
        ...

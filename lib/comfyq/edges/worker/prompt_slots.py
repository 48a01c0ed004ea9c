"""Places for prompts in ComfyUI's queue."""

import asyncio

from comfyq.services.worker.renderer import Turn


class PromptSlots:
    """Let a worker claim the next job when ComfyUI has room for its prompt.

    With a depth of two, the next prompt is claimed when the one before it has started, so that
    ComfyUI goes from one to the next by itself; a depth of one waits for the end.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._waiting = 0  # claimed, but not started by ComfyUI
        self._running = 0
        self._open = asyncio.Event()
        self._open.set()

    async def room(self) -> None:
        """Wait until another job may be claimed."""
        await self._open.wait()

    def enter(self) -> "Slot":
        """Reserve a place for a job that is about to be claimed."""
        self.move(waiting=1)
        return Slot(self)

    def move(self, *, waiting: int = 0, running: int = 0) -> None:
        self._waiting += waiting
        self._running += running
        if self._waiting == 0 and self._running < self._depth:
            self._open.set()
        else:
            self._open.clear()


class Slot:
    """One job's place in ComfyUI's queue: first it waits, then it runs, then it has left."""

    def __init__(self, slots: PromptSlots) -> None:
        self._slots = slots
        self.started = False
        self.has_left = False

    @property
    def waits(self) -> bool:
        """Return whether the job is claimed but not started by ComfyUI."""
        return not self.started and not self.has_left

    @property
    def turn(self) -> Turn:
        return Turn(started=self.start, left=self.leave)

    def start(self) -> None:
        if not self.started and not self.has_left:
            self.started = True
            self._slots.move(waiting=-1, running=1)

    def leave(self) -> None:
        if not self.has_left:
            self.has_left = True
            self._slots.move(waiting=0 if self.started else -1, running=-1 if self.started else 0)

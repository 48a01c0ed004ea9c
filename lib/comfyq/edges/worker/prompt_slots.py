"""Places for prompts in ComfyUI's queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto

from comfyq.services.worker.renderer import Turn


class JobPlace(Enum):
    WAITS = auto()  # claimed, but not started by ComfyUI
    PREPARES = auto()  # its input files are fetched: its place is another's
    RUNS = auto()
    LEFT = auto()


class PromptSlots:
    """Let a worker claim the next job when ComfyUI has room for its prompt.

    With a depth of two, the next prompt is claimed when the one before it has started, so that
    ComfyUI goes from one to the next by itself; a depth of one waits for the end. Up to
    ``preparing`` jobs beside these have their input files fetched.
    """

    def __init__(self, depth: int, *, preparing: int = 16) -> None:
        self._depth = depth
        self._preparing = preparing
        self._jobs = dict.fromkeys(JobPlace, 0)
        self._open = asyncio.Event()
        self._open.set()

    async def room(self) -> None:
        """Wait until another job may be claimed."""
        await self._open.wait()

    @property
    def has_room(self) -> bool:
        return self._open.is_set()

    @property
    def may_prepare(self) -> bool:
        """Return whether another job's files may be fetched without keeping its place."""
        return self._jobs[JobPlace.PREPARES] < self._preparing

    def enter(self) -> "PromptSlot":
        """Reserve a place for a job that is about to be claimed."""
        self._jobs[JobPlace.WAITS] += 1
        self._settle()
        return PromptSlot(self)

    def move(self, before: JobPlace, after: JobPlace) -> None:
        self._jobs[before] -= 1
        self._jobs[after] += 1
        self._settle()

    def _settle(self) -> None:
        if self._jobs[JobPlace.WAITS] == 0 and self._jobs[JobPlace.RUNS] < self._depth:
            self._open.set()
        else:
            self._open.clear()


class PromptSlot:
    """One job's place in ComfyUI's queue: it waits, perhaps after it has prepared; then it runs,
    then it has left."""

    def __init__(self, slots: PromptSlots) -> None:
        self._slots = slots
        self._place = JobPlace.WAITS

    @property
    def waits(self) -> bool:
        """Return whether the job is claimed but not started by ComfyUI."""
        return self._place in (JobPlace.WAITS, JobPlace.PREPARES)

    @property
    def has_left(self) -> bool:
        return self._place is JobPlace.LEFT

    @property
    def turn(self) -> Turn:
        return Turn(started=self.start, left=self.leave, preparing=self.preparing)

    @asynccontextmanager
    async def preparing(self) -> AsyncIterator[None]:
        """Leave the place to other jobs while the body fetches files, then wait for one again."""
        if not self._slots.may_prepare:
            yield
            return
        self._become(JobPlace.PREPARES)
        yield
        while self._place is JobPlace.PREPARES:
            await self._slots.room()
            if self._slots.has_room:
                self._become(JobPlace.WAITS)

    def start(self) -> None:
        if self.waits:
            self._become(JobPlace.RUNS)

    def leave(self) -> None:
        self._become(JobPlace.LEFT)

    def _become(self, place: JobPlace) -> None:
        if not self.has_left:
            self._slots.move(self._place, place)
            self._place = place

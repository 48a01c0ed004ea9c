"""Places for prompts in ComfyUI's queue."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum, auto

from comfyq.services.worker.turn import Turn
from comfyq.telemetry.numbers import BUSY_SECONDS, RUNNING

KEEP_S = 1.0  # a fetch that is shorter keeps its place: claiming another job takes as long


class JobPlace(StrEnum):  # whose hash, unlike an Enum's, is no call
    WAITS = auto()  # claimed, but not started by ComfyUI
    PROVISIONS = auto()  # its models are fetched: its place is another's
    PREPARES = auto()  # its input files are fetched, likewise
    PREPARED = auto()  # they are here, and it waits for a place
    RUNS = auto()
    LEFT = auto()


class PromptSlots:
    """Let a worker claim the next job when ComfyUI has room for its prompt.

    With a depth of two, the next prompt is claimed when the one before it has started, so that
    ComfyUI goes from one to the next by itself; a depth of one waits for the end. Up to
    ``preparing`` jobs beside these have their input files fetched, each after it has kept its place
    for ``keep_s``; a job whose models are fetched leaves its place at once. One that is prepared
    gets a place before another job is claimed.
    """

    def __init__(self, depth: int, *, preparing: int = 16, keep_s: float = KEEP_S) -> None:
        self.keep_s = keep_s
        self._depth = depth
        self._preparing = preparing
        self._jobs = dict.fromkeys(JobPlace, 0)
        self._prepared: deque[PromptSlot] = deque()
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

    def move(self, slot: "PromptSlot", before: JobPlace, after: JobPlace) -> None:
        self._jobs[before] -= 1
        self._jobs[after] += 1
        if JobPlace.RUNS in (before, after):
            self._count_runs(1 if after is JobPlace.RUNS else -1)
        if before is JobPlace.PREPARED:
            self._prepared.remove(slot)
        if after is JobPlace.PREPARED:
            self._prepared.append(slot)
        self._settle()

    def _count_runs(self, change: int) -> None:
        RUNNING.add(by=change)
        running = self._jobs[JobPlace.RUNS]
        if change > 0 and running == 1:
            BUSY_SECONDS.begin()
        elif change < 0 and not running:
            BUSY_SECONDS.end()

    def _settle(self) -> None:
        is_free = self._jobs[JobPlace.WAITS] == 0 and self._jobs[JobPlace.RUNS] < self._depth
        if is_free and not self._prepared:
            self._open.set()
            return
        self._open.clear()
        if is_free:
            self._prepared[0].become(JobPlace.WAITS)


class PromptSlot:
    """One job's place in ComfyUI's queue: it waits, perhaps after it has prepared; then it runs,
    then it has left."""

    def __init__(self, slots: PromptSlots) -> None:
        self._slots = slots
        self._place = JobPlace.WAITS
        self._moved = asyncio.Event()

    @property
    def waits(self) -> bool:
        """Return whether the job is claimed but not started by ComfyUI."""
        return self._place not in (JobPlace.RUNS, JobPlace.LEFT)

    @property
    def has_left(self) -> bool:
        return self._place is JobPlace.LEFT

    @property
    def turn(self) -> Turn:
        return Turn(
            started=self.start,
            left=self.leave,
            preparing=self.preparing,
            provisioning=self.provisioning,
        )

    @asynccontextmanager
    async def preparing(self) -> AsyncIterator[None]:
        """Leave the place to other jobs if the body fetches files for long; then wait for one."""
        timer = asyncio.get_running_loop().call_later(self._slots.keep_s, self._lend)
        try:
            yield
        finally:
            timer.cancel()
        await self._return()

    @asynccontextmanager
    async def provisioning(self) -> AsyncIterator[None]:
        """Leave the place to other jobs while the body fetches models; then wait for one."""
        if self._place is JobPlace.WAITS:
            self.become(JobPlace.PROVISIONS)
        yield
        await self._return()

    def start(self) -> None:
        if self.waits:
            self.become(JobPlace.RUNS)

    def leave(self) -> None:
        self.become(JobPlace.LEFT)

    def become(self, place: JobPlace) -> None:
        if not self.has_left:
            before, self._place = self._place, place
            if before is JobPlace.PREPARED:
                self._moved.set()
            self._slots.move(self, before, place)

    async def _return(self) -> None:
        """Wait for a place, if the job has left its own."""
        if self._place in (JobPlace.PREPARES, JobPlace.PROVISIONS):
            self._moved.clear()
            self.become(JobPlace.PREPARED)
            await self._moved.wait()

    def _lend(self) -> None:
        if self._place is JobPlace.WAITS and self._slots.may_prepare:
            self.become(JobPlace.PREPARES)

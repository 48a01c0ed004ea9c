"""Waiting for the next deadline of a job, instead of looking for due jobs all the time."""

import asyncio
import time
from contextlib import suppress
from datetime import datetime

from comfyq.ports.clock import Clock


class Deadlines:
    """Know the earliest deadline that this process has read or written since ``forget``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._earliest: datetime | None = None
        self._came_earlier = asyncio.Event()

    @property
    def earliest(self) -> datetime | None:
        return self._earliest

    def forget(self) -> None:
        """Begin anew: the deadlines are about to be read."""
        self._earliest = None

    def note(self, due_at: datetime) -> None:
        """Note a deadline, and wake ``wait`` if no earlier one is known."""
        if self._earliest is None or due_at < self._earliest:
            self._earliest = due_at
            self._came_earlier.set()

    async def wait(self, *, most_s: float) -> None:
        """Wait until the earliest deadline has come, ``most_s`` seconds at most."""
        ends_s = time.monotonic() + most_s  # whatever is done to the clock meanwhile
        while True:
            self._came_earlier.clear()
            left_s = ends_s - time.monotonic()
            if self._earliest is not None:
                left_s = min(left_s, (self._earliest - self._clock.now()).total_seconds())
            if left_s <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._came_earlier.wait()

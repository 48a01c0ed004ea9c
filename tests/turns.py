"""Turns that the event loop gives to others while something runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class Turns:
    taken: int = 0

    async def take(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.taken += 1


@asynccontextmanager
async def counted_turns() -> AsyncIterator[Turns]:
    """Count, while the body runs, the turns that another task gets."""
    turns = Turns()
    task = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    try:
        yield turns
    finally:
        task.cancel()

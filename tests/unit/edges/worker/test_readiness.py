import asyncio

import pytest

from comfyq.edges.worker.readiness import Readiness

pytestmark = pytest.mark.anyio


class Switch:
    """A watch that a test turns on and off."""

    def __init__(self) -> None:
        self._on = asyncio.Event()
        self.reason: str | None = None

    @property
    def ok(self) -> bool:
        return self._on.is_set()

    async def wait_ok(self) -> None:
        await self._on.wait()

    def turn(self, on: bool) -> None:
        if on:
            self._on.set()
        else:
            self._on.clear()


async def test_all_conditions_hold_at_the_same_time() -> None:
    engine, space, unstopped = Switch(), Switch(), Switch()
    readiness = Readiness(engine=engine, space=space, unstopped=unstopped)  # type: ignore[arg-type]
    engine.turn(on=True)
    space.turn(on=True)
    waiting = asyncio.ensure_future(readiness.wait())
    await asyncio.sleep(0)
    engine.turn(on=False)  # while the last of them is waited for
    unstopped.turn(on=True)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    engine.turn(on=True)
    async with asyncio.timeout(10):
        await waiting
    assert readiness.ok

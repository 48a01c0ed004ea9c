"""What a worker does with a GPU that has no job."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from comfyq.edges.worker.idle_unload import IdleUnload
from comfyq.edges.worker.warm_up import WarmUp
from comfyq.ports.engine import EngineUnavailable

pytestmark = pytest.mark.anyio

IDLE_S = 0.1


class Looks:
    """A worker that is busy for its first ``count`` looks."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self) -> bool:
        self.left -= 1
        return self.left >= 0


class ComfyUI:
    """One that is away, runs a prompt of others, or is idle, look by look."""

    def __init__(self, *states: bool | None) -> None:
        self.states = list(states)
        self.freed = asyncio.Event()
        self.frees = 0

    async def is_idle(self) -> bool:
        state = self.states.pop(0) if self.states else True
        if state is None:
            raise EngineUnavailable("away")
        return state

    async def free(self) -> None:
        self.frees += 1
        self.freed.set()

    def restart(self) -> bool:
        return False


async def test_models_stay_while_a_job_or_somebody_elses_prompt_runs() -> None:
    comfyui, busy, noted = ComfyUI(None, False), Looks(12), []
    unload = IdleUnload(
        comfyui,
        is_busy=busy,
        uses=lambda: 0,
        on_unload=lambda: noted.append(busy.left),
        idle_s=IDLE_S,
    )
    task = asyncio.create_task(unload.run())
    async with asyncio.timeout(10):
        await comfyui.freed.wait()
        while busy.left > noted[0] - 15:  # noqa: ASYNC110 - many more looks
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert comfyui.states == [], "it was asked again when it was away, and when it was not idle"
    assert len(noted) == comfyui.frees == 1
    assert noted[0] < 0, "not while a job ran, which took longer than the models may be idle"


class Runs:
    def __init__(self, busy: Looks) -> None:
        self.busy = busy
        self.begun: list[tuple[str, int]] = []
        self.done = asyncio.Event()

    async def names(self) -> Sequence[str]:
        return ["one", "two"]

    async def run(self, name: str) -> bool:
        self.begun.append((name, self.busy.left))
        if name == "one":
            self.busy.left = 3  # a job came meanwhile
            return False
        self.done.set()
        raise ValueError("a defect")


class Ready:
    """A ComfyUI that answers, and is away once for each time that it is told to be."""

    def __init__(self) -> None:
        self.ok = True
        self.engine = SimpleNamespace(returns=1, wait_return=self.wait_return)
        self.returned = asyncio.Event()

    async def wait(self) -> None:
        pass

    async def wait_return(self, *, since: int) -> None:
        await self.returned.wait()
        self.returned.clear()


async def test_a_job_that_comes_between_two_warm_runs_goes_first() -> None:
    busy, ready = Looks(3), Ready()
    runs, readiness = Runs(busy), ready
    stand_in: Any = readiness
    task = asyncio.create_task(WarmUp(runs, readiness=stand_in, is_busy=busy, look_s=0.01).run())
    async with asyncio.timeout(10):
        await runs.done.wait()
        assert [name for name, _ in runs.begun] == ["one", "two"], "a failed one stops no other"
        assert all(left < 0 for _, left in runs.begun)
        runs.done.clear()
        ready.returned.set()  # it was restarted: its models are gone
        await runs.done.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [name for name, _ in runs.begun] == ["one", "two"] * 2

"""How often followers of a running job are told, and how often they are looked for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from comfyq.domain.job.progress import Advance
from comfyq.ports.engine import Ended, EngineEvent, PromptId, Started
from comfyq.services.worker.timing import Timing
from tests.farm import FAST, Farm
from tests.scripted_engine import IMAGE, ScriptedEngine, until

pytestmark = pytest.mark.anyio

STEPS = 100


class SteppingEngine(ScriptedEngine):
    """Reports a step each time that it may, and the end after the last one."""

    def __init__(self, *, pause_s: float | None = None) -> None:
        """Without a pause, a test lets it take each step."""
        super().__init__()
        self.may_step = asyncio.Semaphore(0)
        self._pause_s = pause_s

    async def follow(self, prompt_id: PromptId) -> AsyncIterator[EngineEvent]:
        yield Started()
        for step in range(1, STEPS + 1):
            if self._pause_s is None:
                await self.may_step.acquire()
            else:
                await asyncio.sleep(self._pause_s)
            yield Advance("3", step=step, max_steps=STEPS)
        yield Ended([IMAGE])


def told(farm: Farm, connection: str) -> list[str]:
    return [frame.decode() for to, frame in farm.notifier.posts if to.id == connection]


async def test_however_often_comfyui_reports_progress_is_told_four_times_a_second() -> None:
    assert 1 / Timing().push_progress_s == 4
    period_s, loop = 0.05, asyncio.get_running_loop()
    farm = Farm(timing=replace(FAST, push_progress_s=period_s))
    job = await farm.submit()
    await farm.follow(job)
    began = loop.time()
    await farm.worker("w1", SteppingEngine(pause_s=0.002)).run_once()
    most = 1 + (loop.time() - began) / period_s
    frames = told(farm, "c1")
    assert 2 < len(frames) <= 2 + most
    assert (frames[0], frames[-1]) == ("running 0.0", "succeeded 1.0")


async def test_progress_goes_to_who_was_known_a_moment_ago_and_a_status_to_who_is_there() -> None:
    farm = Farm(timing=replace(FAST, followers_s=3_600))
    job, engine = await farm.submit(), SteppingEngine()
    await farm.follow(job, "early")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(farm.worker("w1", engine).run_once())
        await until(lambda: len(told(farm, "early")) > 0)
        await farm.follow(job, "late")
        for step in range(3):
            engine.may_step.release()
            await until(lambda: len(told(farm, "early")) > 1 + step)  # noqa: B023
        assert told(farm, "late") == []
        for _ in range(STEPS):
            engine.may_step.release()
    assert told(farm, "late") == ["succeeded 1.0"]

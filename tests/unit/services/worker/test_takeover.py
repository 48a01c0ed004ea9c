"""Workers that die, sleep or come again: who goes on with their jobs, and with what."""

import asyncio

import pytest

from comfyq.domain.job import Job, JobStatus
from comfyq.ports.engine import (
    NodeError,
    PromptState,
    Started,
)
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.prompts import prompt_id
from tests.farm import Farm
from tests.scripted_engine import HALF, RUN, Never, PowerCut, ScriptedEngine

pytestmark = pytest.mark.anyio

BROKEN = NodeError("3", "KSampler", "shapes differ")


async def test_a_job_outlives_the_worker_that_died_on_it(farm: Farm) -> None:
    job = await farm.submit()
    await farm.worker("w1", ScriptedEngine(Started(), HALF, PowerCut())).dies()
    farm.clock.advance(farm.timing.lease_s)

    assert await farm.worker("w2").run_once()

    survivor = await farm.records.get(job.id)
    assert (survivor.status, survivor.attempt, survivor.failures) == (JobStatus.SUCCEEDED, 2, 1)
    assert not farm.queue.messages


async def test_a_second_delivery_waits_for_the_first_lease(farm: Farm) -> None:
    job = await farm.submit()
    await farm.worker("w1", ScriptedEngine(Started(), PowerCut())).dies()
    farm.clock.advance(31)  # the doorbell is back, but the lease has 89 s left

    assert await farm.worker("w2").run_once()
    assert (await farm.records.get(job.id)).attempt == 1
    assert not await farm.worker("w2").run_once(), "the doorbell is hidden until the lease lapses"


async def test_a_restarted_worker_goes_on_with_what_comfyui_still_runs(farm: Farm) -> None:
    job = await farm.submit()
    engine = ScriptedEngine(Started(), PowerCut())
    await farm.worker("w1", engine).dies()
    engine.script = RUN

    assert await farm.worker("w1", engine).retake() == 1

    ended = await farm.records.get(job.id)
    assert (ended.status, ended.attempt, ended.failures) == (JobStatus.SUCCEEDED, 2, 0)
    assert len(engine.submitted) == 1, "rendered once"


async def test_a_restarted_worker_takes_what_has_finished_meanwhile(farm: Farm) -> None:
    job = await farm.submit()
    engine = ScriptedEngine(Started(), PowerCut())
    await farm.worker("w1", engine).dies()
    engine.states[prompt_id(job.id, 1)] = PromptState.ENDED
    engine.script = (RUN[-1],)

    await farm.worker("w1", engine).retake()

    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert len(engine.submitted) == 1


async def test_a_restarted_worker_leaves_alone_what_became_anothers(farm: Farm) -> None:
    job = await farm.submit()
    await farm.worker("w1", ScriptedEngine(Started(), PowerCut())).dies()
    farm.clock.advance(farm.timing.lease_s)
    await farm.worker("w2").run_once()

    assert await farm.worker("w1").retake() == 0
    assert (await farm.records.get(job.id)).attempt == 2


async def test_a_job_that_kills_every_worker_fails(farm: Farm) -> None:
    job = await farm.submit()
    for _ in range(3):
        await farm.worker("w1", ScriptedEngine(Started(), PowerCut())).dies()
        farm.clock.advance(farm.timing.lease_s)

    await farm.worker("w2").run_once()

    ended = await farm.records.get(job.id)
    assert (ended.status, ended.failures) == (JobStatus.FAILED, 3)
    assert not farm.queue.messages
    story = await farm.records.attempts(job.id)
    assert [(a.number, a.verdict) for a in story] == [
        (1, "lost"),
        (2, "lost"),
        (3, "lost"),
        (4, "failed"),
    ]


async def test_a_worker_that_lost_its_job_stops_the_prompt_and_writes_nothing(farm: Farm) -> None:
    job = await farm.submit()
    zombie = ScriptedEngine(Started(), Never())
    async with asyncio.TaskGroup() as group:
        group.create_task(farm.worker("w1", zombie).run_once())
        await farm.until(job, JobStatus.RUNNING)
        farm.clock.advance(farm.timing.lease_s)
        await farm.reaper.reap()
        while not (await farm.records.get(job.id)).status.terminal:
            await farm.worker("w2").run_once()

    ended = await farm.records.get(job.id)
    assert (ended.status, ended.attempt) == (JobStatus.SUCCEEDED, 2)
    assert zombie.canceled == [prompt_id(job.id, 1)]


@pytest.mark.parametrize("shared", [True, False])
async def test_a_worker_that_slept_leaves_alone_what_its_successor_goes_on_with(
    shared: bool, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another ComfyUI, its successor cannot: then the prompt is of no use."""
    job = await farm.submit()
    engine = ScriptedEngine(Started(), Never())
    sleeper = farm.worker("w1", engine)
    awake = asyncio.Event()
    look = HeldJob._look

    async def asleep(held: HeldJob) -> None:
        if held.token == 1:
            await awake.wait()
        await look(held)

    monkeypatch.setattr(HeldJob, "_look", asleep)
    async with asyncio.TaskGroup() as group:
        sleeping = group.create_task(sleeper.run_once())
        await farm.until(job, JobStatus.RUNNING)
        farm.clock.advance(121)
        other = farm.worker("w2", engine if shared else ScriptedEngine(Started(), Never()))
        succeeding = group.create_task(other.run_once())
        await until_attempt(farm, job, 2)
        awake.set()
        await sleeping
        left_alone = prompt_id(job.id, 1) not in engine.canceled
        await farm.cancel(await farm.records.get(job.id))
        await succeeding
    assert left_alone == shared
    assert bool(await sleeper.claims.orphaned()) == shared, "it looks again once the job has ended"


async def until_attempt(farm: Farm, job: Job, attempt: int) -> None:
    """Wait until ComfyUI works for that attempt."""
    async with asyncio.timeout(10):
        while (await farm.records.get(job.id)).started_attempt != attempt:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

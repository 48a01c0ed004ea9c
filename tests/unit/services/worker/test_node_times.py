"""What a worker learns of a run's nodes, and how the progress of later runs goes by it."""

import asyncio
from functools import partial

import pytest

from comfyq.aio.tasks import beside
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobStatus
from comfyq.domain.job.progress import Advance
from comfyq.domain.job.run_time import RunTime
from comfyq.domain.submission.admission import RAW
from comfyq.ports.engine import Ended, Started
from comfyq.services.worker.reporting.node_times import NodeTimes
from tests.farm import Farm, FarmWorker
from tests.scripted_engine import HALF, IMAGE, ScriptedEngine

pytestmark = pytest.mark.anyio

SAVED = (Started(), HALF, Advance("9"), Ended([IMAGE]))


def told(farm: Farm) -> list[str]:
    return [frame.decode() for _, frame in farm.notifier.posts]


def test_a_node_takes_the_time_until_the_next_report_of_another() -> None:
    times = NodeTimes()
    times.note(Advance("1", done=True, cached=True), now=0)
    times.note(Advance("2"), now=1)
    times.note(Advance("2", step=1, max_steps=2), now=3)
    times.note(Advance("3"), now=6)
    times.note(Advance("3", done=True), now=7)
    times.note(Advance("4"), now=9)
    assert times.taken_s(now=13) == {"2": 5, "3": 1, "4": 4}


async def test_progress_goes_by_the_times_of_earlier_runs(farm: Farm) -> None:
    usual = RunTime(5.0, {"3 KSampler": 1.0, "9 SaveImage": 3.0})
    await farm.services.run_times.put(DEFAULT_TENANT, "w", usual)
    job = await farm.submit()
    await farm.follow(job)
    await farm.worker("w1", ScriptedEngine(*SAVED)).run_once()
    assert "running 0.2" in told(farm), "one of two steps of a second, of five in all"
    assert told(farm)[-1] == "succeeded 1.0"
    ended = await farm.records.get(job.id)
    assert (ended.progress.nodes_done, ended.progress.nodes_total) == (2, 2)


async def test_but_not_by_those_of_another_tenant(farm: Farm) -> None:
    """Its progress would tell how long another's nodes of the same workflow have run."""
    usual = RunTime(5.0, {"3 KSampler": 1.0, "9 SaveImage": 3.0})
    await farm.services.run_times.put(TenantId("another"), "w", usual)
    job = await farm.submit()
    await farm.follow(job)
    await farm.worker("w1", ScriptedEngine(*SAVED)).run_once()
    assert "running 0.2" not in told(farm)
    assert await farm.services.run_times.usual(DEFAULT_TENANT, "another") is None


async def run_and_learn(farm: Farm, worker: FarmWorker, workflow: str) -> RunTime:
    await farm.submit(workflow=workflow)
    async with beside(worker.run_times.run()):
        await worker.run_once()
        async with asyncio.timeout(5):
            read = partial(farm.services.run_times.usual, DEFAULT_TENANT, workflow)
            while (usual := await read()) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    return usual


async def test_a_run_that_succeeds_tells_its_nodes_with_its_time(farm: Farm) -> None:
    usual = await run_and_learn(farm, farm.worker("w1", ScriptedEngine(*SAVED)), "w")
    assert set(usual.nodes) == {"3 KSampler", "9 SaveImage"}


async def test_of_clients_own_graphs_classes_are_remembered(farm: Farm) -> None:
    usual = await run_and_learn(farm, farm.worker("w1", ScriptedEngine(*SAVED)), RAW)
    assert set(usual.nodes) == {"KSampler", "SaveImage"}


async def test_progress_needs_no_table(farm: Farm) -> None:
    worker = farm.worker("w1", ScriptedEngine(*SAVED))
    job = await farm.submit()
    read = farm.table.get

    async def refuses(key: tuple[str, str]) -> object:
        if key[0].startswith("RUNTIME"):
            raise TableUnavailable("away")
        return await read(key)

    farm.table.get = refuses  # type: ignore[method-assign,assignment]
    await worker.run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED

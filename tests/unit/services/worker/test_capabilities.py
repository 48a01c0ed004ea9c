"""Jobs that a worker's ComfyUI cannot run are left to others, without going round and round."""

import asyncio
import threading
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.job import MAX_CLAIMS, Job, JobStatus
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import EngineUnavailable
from comfyq.records.families import FamilyRecords
from comfyq.services.worker import capabilities
from comfyq.services.worker.affinity import Affinity
from tests.farm import Farm, FarmWorker
from tests.scripted_engine import CLASSES, ScriptedEngine
from tests.unit.services.worker.test_affinity import waiting

pytestmark = pytest.mark.anyio

SAVE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
GRAPH = {"1": {"class_type": "Loader", "inputs": {"name": "mine"}}, "9": SAVE}


def classes(*names: str) -> dict[str, Any]:
    """A catalogue with a loader of models of these names."""
    loader = {"input": {"required": {"name": [list(names), {}]}}, "output": ["IMAGE"]}
    return {**CLASSES, "Loader": loader}


def worker(farm: Farm, name: str, catalogue: Mapping[str, Any]) -> FarmWorker:
    engine = ScriptedEngine()
    engine.catalogue = catalogue
    return farm.worker(name, engine)


async def submit(farm: Farm) -> Job:
    return await farm.submit(spec=Spec(graph=GRAPH, parameters={}))


@pytest.mark.parametrize(
    ("catalogue", "expected"),
    [(CLASSES, "Loader (1): Node 'Loader' not found"), (classes("other.safetensors"), "'mine'")],
    ids=["class", "model"],
)
async def test_it_is_given_back_for_another_worker(
    farm: Farm, catalogue: Mapping[str, Any], expected: str
) -> None:
    job = await submit(farm)
    poor, rich = worker(farm, "poor", catalogue), worker(farm, "rich", classes("mine.safetensors"))
    await poor.run_once()
    left = await farm.records.get(job.id)
    assert (left.status, left.failures, left.lease) == (JobStatus.QUEUED, 0, None)
    assert poor.engine.submitted == []
    farm.clock.advance(1)
    await rich.run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    first, second = await farm.records.attempts(job.id)
    assert (first.verdict, second.verdict) == ("released", "succeeded")
    assert first.reason is not None
    assert expected in first.reason


async def test_names_are_completed_to_those_of_the_worker(farm: Farm) -> None:
    await submit(farm)
    own = worker(farm, "w", classes("folder\\mine.safetensors"))
    await own.run_once()
    assert own.engine.submitted[0].graph["1"]["inputs"]["name"] == "folder\\mine.safetensors"


async def test_it_is_not_claimed_a_second_time(farm: Farm) -> None:
    job = await submit(farm)
    poor = worker(farm, "poor", CLASSES)
    await poor.run_once()
    heard_at = []
    for _ in range(600):
        farm.clock.advance(1)
        if await poor.run_once():
            heard_at.append(farm.clock.now())
    assert (await farm.records.get(job.id)).attempt == 1
    pauses = [(b - a).total_seconds() for a, b in pairwise(heard_at)]
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 128
    assert [message.job_id for message in farm.queue.messages] == [job.id], "others may hear it"


async def test_it_waits_for_a_model_for_as_long_as_it_may_wait(farm: Farm) -> None:
    """Neither claims that came to nothing nor doorbells heard in vain end it."""
    job = await submit(farm)
    workers = [worker(farm, f"w{n}", CLASSES) for n in range(3)]
    for _ in range(24 * 60 - 1):
        farm.clock.advance(60)
        for each in workers:
            await each.run_once()
        await farm.reaper.reap()
    waited = await farm.records.get(job.id)
    assert waited.status is JobStatus.QUEUED
    assert MAX_CLAIMS < waited.attempt < 24 * 6
    assert await farm.queue.dead.receive(wait_s=0) == []
    farm.clock.advance(120)
    await farm.reaper.reap()
    assert (await farm.records.get(job.id)).status is JobStatus.EXPIRED


async def test_it_is_run_here_once_the_model_is_here(farm: Farm) -> None:
    job = await submit(farm)
    own = worker(farm, "w", CLASSES)
    await own.run_once()
    own.engine.catalogue = classes("mine.safetensors")
    await own.capabilities.object_info()  # as each minute
    farm.clock.advance(1)
    await own.run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED


async def test_comfyui_is_asked_again_before_a_job_is_given_back(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = worker(farm, "w", CLASSES)
    await own.capabilities.object_info()
    own.engine.catalogue = classes("mine.safetensors")
    monkeypatch.setattr(capabilities, "AGAIN_S", 0)
    job = await submit(farm)
    await own.run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED


async def test_what_nobody_could_run_is_left_to_comfyui(farm: Farm) -> None:
    graph = {"1": {"class_type": "Loader", "inputs": {}}, "9": SAVE}
    await farm.submit(spec=Spec(graph=graph, parameters={}))
    own = worker(farm, "w", classes("mine"))
    await own.run_once()
    assert own.engine.submitted[0].graph == graph


async def test_a_comfyui_that_does_not_tell_gets_the_job_as_it_is(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = worker(farm, "w", CLASSES)
    asked = []

    async def broken() -> dict[str, Any]:
        asked.append(1)
        raise EngineUnavailable("HTTP 500")

    monkeypatch.setattr(own.engine, "object_info", broken)
    jobs = [await submit(farm) for _ in range(2)]
    for job in jobs:
        await own.run_once()
        assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert len(asked) == 1, "not before each job"


async def test_affinity_looks_past_it(farm: Farm) -> None:
    own = worker(farm, "w", CLASSES)
    affinity = Affinity(
        records=farm.records,
        families=FamilyRecords(farm.table),
        capabilities=own.capabilities,
        clock=farm.clock,
        max_wait_s=0,
    )
    affinity.loaded("other")
    first = await waiting(farm, "flux", graph=GRAPH)
    await own.run_once()
    farm.clock.advance(1)
    second = await waiting(farm, "flux")
    assert own.capabilities.declines(first.id)
    assert await affinity.choose() == second.id


async def test_a_job_waits_for_a_catalogue_that_is_being_read(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has just started would submit it unjudged, and ComfyUI would refuse it."""
    own, parsing, go_on = worker(farm, "w", CLASSES), threading.Event(), threading.Event()
    read = read_catalogue

    def slow(info: Mapping[str, Any]) -> NodeCatalogue:
        parsing.set()
        assert go_on.wait(10)
        return read(info)

    monkeypatch.setattr(capabilities, "read_catalogue", slow)
    job = await submit(farm)
    async with asyncio.TaskGroup() as group:
        group.create_task(own.capabilities.object_info())
        await asyncio.to_thread(parsing.wait, 10)
        group.create_task(own.run_once())
        for _ in range(20):
            await asyncio.sleep(0)
        go_on.set()
    assert own.engine.submitted == []
    assert (await farm.records.get(job.id)).status is JobStatus.QUEUED

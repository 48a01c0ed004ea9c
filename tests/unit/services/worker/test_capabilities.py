"""Jobs that a worker's ComfyUI cannot run are left to others, without going round and round."""

import asyncio
import threading
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.node_catalogue import NodeCatalogue, essence, id_of, read_catalogue
from comfyq.domain.graph.validation import Validation, validate
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import EngineUnavailable
from comfyq.services.worker import capabilities
from tests.farm import Farm, FarmWorker
from tests.scripted_engine import CLASSES, ScriptedEngine
from tests.unit.services.worker.choice_lab import turns_of, waiting

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
async def test_it_is_set_aside_for_another_worker(
    farm: Farm, catalogue: Mapping[str, Any], expected: str
) -> None:
    job = await submit(farm)
    poor, rich = worker(farm, "poor", catalogue), worker(farm, "rich", classes("mine.safetensors"))
    await poor.run_once()
    left = await farm.records.get(job.id)
    assert (left.status, left.failures, left.lease) == (JobStatus.QUEUED, 0, None)
    assert left.note is not None
    assert expected in left.note
    assert poor.engine.submitted == []
    await rich.run_aside()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert [each.worker for each in await farm.records.attempts(job.id)] == ["rich"]


async def test_names_are_completed_to_those_of_the_worker(farm: Farm) -> None:
    await submit(farm)
    own = worker(farm, "w", classes("folder\\mine.safetensors"))
    await own.run_once()
    assert own.engine.submitted[0].graph["1"]["inputs"]["name"] == "folder\\mine.safetensors"


async def test_it_is_neither_claimed_nor_rung_for_again_and_again(farm: Farm) -> None:
    job = await submit(farm)
    poor = worker(farm, "poor", CLASSES)
    rung_after_s = []
    for passed_s in range(0, 4 * 3_600, 30):
        await farm.reaper.reap()
        if await poor.run_once():
            rung_after_s.append(passed_s)
        farm.clock.advance(30)
    assert (await farm.records.get(job.id)).attempt == 0
    pauses = [after - before for before, after in pairwise(rung_after_s)]
    assert pauses[0] >= jobs.RING_ASIDE.total_seconds()
    assert all(later >= 1.9 * sooner for sooner, later in pairwise(pauses[1:])), "it doubles"
    assert farm.queue.messages == []


async def test_without_a_worker_able_to_run_it_it_fails_and_says_what_was_missing(
    farm: Farm,
) -> None:
    job = await submit(farm)
    workers = [worker(farm, f"w{n}", CLASSES) for n in range(3)]
    for _ in range(job.limits.unsuited_timeout_s // 600):
        for each in workers:
            await each.run_once()
        await farm.reaper.reap()
        assert (await farm.records.get(job.id)).status is JobStatus.QUEUED
        farm.clock.advance(600)
    await farm.reaper.reap()
    failed = await farm.records.get(job.id)
    assert (failed.status, failed.attempt) == (JobStatus.FAILED, 0)
    assert failed.error is not None
    assert failed.error.code == jobs.NO_ABLE_WORKER
    assert f"within {job.limits.unsuited_timeout_s} s" in failed.error.message
    assert "Node 'Loader' not found" in failed.error.message


async def test_a_job_whose_worker_is_busy_does_not_fail_for_want_of_one(farm: Farm) -> None:
    job = await submit(farm)
    poor, busy = worker(farm, "poor", CLASSES), worker(farm, "busy", classes("mine"))
    await poor.run_once()
    await busy.capabilities.object_info()
    await busy.parts.aside.look()
    farm.clock.advance(job.limits.unsuited_timeout_s + 1)
    await farm.reaper.reap()
    assert (await farm.records.get(job.id)).status is JobStatus.QUEUED
    await busy.run_aside()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED


async def test_it_is_run_here_once_the_model_is_here(farm: Farm) -> None:
    job = await submit(farm)
    own = worker(farm, "w", CLASSES)
    await own.run_once()
    await own.run_aside()
    assert (await farm.records.get(job.id)).status is JobStatus.QUEUED
    own.engine.catalogue = classes("mine.safetensors")
    await own.run_aside()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED


async def test_each_job_set_aside_is_judged_once_by_each_catalogue(farm: Farm) -> None:
    own = worker(farm, "w", CLASSES)
    for _ in range(3):
        await submit(farm)
        await own.run_once()
    await own.capabilities.object_info()
    reads = []
    for _ in range(3):
        before = farm.table.gets
        await own.parts.aside.look()
        reads.append(farm.table.gets - before)
        farm.clock.advance(60)
    assert reads == [6, 0, 0]
    farm.clock.advance(60)
    await submit(farm)
    await own.run_once()
    before = farm.table.gets
    await own.parts.aside.look()
    assert farm.table.gets - before == 2, "the new one alone"


async def test_an_uploaded_file_makes_no_new_catalogue(farm: Farm) -> None:
    """Each job with input files changes the list of LoadImage."""

    def listing(*files: str) -> dict[str, Any]:
        load = {"input": {"required": {"image": [list(files), {"image_upload": True}]}}}
        return {**CLASSES, "LoadImage": load}

    own = worker(farm, "w", listing("a.png"))
    await submit(farm)
    await own.run_once()
    await own.capabilities.object_info()
    await own.parts.aside.look()
    farm.clock.advance(60)
    await own.parts.aside.look()
    own.engine.catalogue = listing("a.png", "b.png")
    await own.capabilities.object_info()
    before = farm.table.gets
    await own.parts.aside.look()
    assert farm.table.gets == before


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


async def test_the_choice_looks_past_it(farm: Farm) -> None:
    own = worker(farm, "w", CLASSES)
    turns = turns_of(farm)
    turns.took(await waiting(farm, "other"))
    farm.queue.messages.clear()
    await waiting(farm, "flux", graph=GRAPH)
    await own.run_once()
    farm.clock.advance(61)
    second = await waiting(farm, "flux")
    assert [job.id for job in await turns.choose()] == [second.id]


async def test_a_job_waits_for_a_catalogue_that_is_being_read(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has just started would submit it unjudged, and ComfyUI would refuse it."""
    own, parsing, go_on = worker(farm, "w", CLASSES), threading.Event(), threading.Event()
    read = read_catalogue

    def slow(info: Mapping[str, Any], *, id: str) -> NodeCatalogue:
        parsing.set()
        assert go_on.wait(10)
        return read(info, id=id)

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


async def test_a_graph_that_an_equal_catalogue_admitted_is_judged_no_more(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []

    def counted(graph: Graph, catalogue: NodeCatalogue, **options: Any) -> Validation:
        judged.append(graph)
        return validate(graph, catalogue, **options)

    monkeypatch.setattr(capabilities, "validate", counted)
    own = worker(farm, "w", catalogue := classes("mine.safetensors"))
    graph = {**GRAPH, "1": {"class_type": "Loader", "inputs": {"name": "mine.safetensors"}}}
    for judged_by, times in ((id_of(essence(catalogue)), 0), ("another", 1), (None, 2)):
        await farm.submit(spec=Spec(graph=graph, parameters={}, judged_by=judged_by))
        await own.run_once()
        assert len(judged) == times
    assert len(own.engine.submitted) == 3

"""Models that waiting jobs need come while the GPU works, and harm nothing that goes before."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.caller import TenantId
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.models.lock import LockedModel
from comfyq.services.models.fetch_policy import ROOM_AGAIN_S
from comfyq.services.worker.provisioning.fetch_ahead import FetchAhead
from tests.farm import Farm
from tests.model_hub import Fault, hub_with_cdn, safetensors
from tests.provisioning_lab import MODEL, Lab
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab(farm: Farm, tmp_path: Path) -> Iterator[Lab]:
    with hub_with_cdn() as hub:
        yield Lab(farm, hub, tmp_path)


class Ahead:
    """A worker whose ComfyUI has no room for another prompt."""

    def __init__(self, lab: Lab, name: str = "w", **options: Any) -> None:
        self.lab, self.worker, self.busy = lab, lab.worker(name, **options), True
        ahead = self.worker.parts.fetch_ahead(lambda: self.busy)
        assert ahead is not None
        self.ahead: FetchAhead = ahead
        self.folder = lab.folder / name / "loras"

    @property
    def here(self) -> str:
        return "".join(sorted(each.stem for each in self.folder.glob("*")))

    async def look(self) -> None:
        await self.worker.capabilities.object_info()
        await self.ahead.look()


def model(lab: Lab, seed: str) -> LockedModel:
    return lab.model(safetensors(seed=seed), f"{seed}.safetensors")


async def test_the_next_jobs_models_come_before_the_jobs_are_claimed(lab: Lab) -> None:
    own = Ahead(lab)
    alice = [await lab.submit(model(lab, seed), tenant=TenantId("alice")) for seed in "abcdef"]
    bob = [await lab.submit(model(lab, "z"), tenant=TenantId("bob"))]
    own.busy = False
    await own.look()
    assert own.here == "", "a job that may be claimed now is claimed"
    own.busy = True
    await own.look()
    assert own.here == "abcdz", "of each tenant the next ones"
    for job in (*alice, *bob):
        shown = await lab.farm.records.get(job.id)
        assert (shown.attempt, shown.is_aside, shown.progress.provisioning) == (0, False, None)
    stages: list[object] = []
    posted = lab.farm.announcer.post

    async def post(job: Job, followers: Any) -> bool:
        stages.append(job.progress.provisioning)
        return await posted(job, followers)

    lab.farm.announcer.post = post  # type: ignore[method-assign]
    await own.worker.run_once()
    assert (await lab.story(alice[0]))[0] is JobStatus.SUCCEEDED
    assert not any(stages), "it had nothing to wait for"


async def test_it_makes_way_for_what_a_claimed_job_needs_and_goes_on_later(lab: Lab) -> None:
    own = Ahead(lab)
    assert lab.hub.cdn is not None
    later = await lab.submit(model(lab, "a"))
    lab.faulty(Fault(cut=50_000, stall=True))
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(own.look())
        parts = lab.folder / "w" / "by-sha256" / "parts"
        await until(lambda: any(each.stat().st_size for each in parts.glob("*.part")))
        now = await lab.submit(model(lab, "b"))
        held = await own.worker.claims.claim_waiting(now.id)
        assert held is not None
        await own.worker.executor.run(held, own.worker.turn)
        await looking
    assert (await lab.story(now))[0] is JobStatus.SUCCEEDED
    assert own.here == "b"
    await own.look()
    assert own.here == "ab"
    asked = [each.headers["Range"] for each in lab.hub.cdn.bytes_asked()]
    assert asked[:2] == [None, None]
    assert asked[2].startswith("bytes="), "what had come was kept"
    assert (await lab.farm.records.get(later.id)).attempt == 0


async def test_nothing_goes_for_it_that_a_claimed_or_a_next_job_needs(lab: Lab) -> None:
    size = len(MODEL)
    own = Ahead(lab, store_max_bytes=2 * size, evicts=True)
    for seed in "ab":
        await lab.submit(model(lab, seed))
        await own.worker.run_once()
    go_on = own.worker.engine.before_end = asyncio.Event()
    running = await lab.submit(model(lab, "a"))
    async with asyncio.TaskGroup() as group:
        group.create_task(own.worker.run_once())
        await until(lambda: len(own.worker.engine.submitted) == 3)
        first, second = await lab.submit(model(lab, "b")), await lab.submit(model(lab, "c"))
        await own.look()
        assert own.here == "ab", "the next job needs b"
        await lab.farm.cancel(first)
        lab.farm.clock.advance(ROOM_AGAIN_S)
        await own.look()
        assert own.here == "ac", "nobody needs b any more, and a is in use"
        go_on.set()
    assert (await lab.story(running))[0] is JobStatus.SUCCEEDED
    assert (await lab.farm.records.get(second.id)).attempt == 0


async def test_one_of_several_workers_fetches_it_and_none_that_another_holds(lab: Lab) -> None:
    names = ("w1", "w2", "w3")
    workers = [Ahead(lab, name) for name in names]
    models = [model(lab, seed) for seed in "abcd"]
    for name in names:
        await lab.tell(name)
    await lab.tell("holder", models[3], fetches=False)
    await lab.tell("untold", fetches=False)
    for each in models:
        await lab.submit(each)
    for worker in workers:
        await worker.look()
    assert "".join(sorted("".join(each.here for each in workers))) == "abc"
    assert lab.fetched() == 3


async def test_what_cannot_be_had_is_left_to_its_job_which_tells_it(lab: Lab) -> None:
    own, job = Ahead(lab), await lab.submit(model(lab, "a"))
    lab.faulty(*[Fault(status=404)] * 2)
    for _ in range(3):
        await own.look()
    assert (lab.fetched(), (await lab.farm.records.get(job.id)).attempt) == (1, 0)
    await own.worker.run_once()
    assert (await lab.story(job))[1] == "model-refused"
    assert own.here == ""


async def test_a_worker_that_fetches_none_looks_at_nothing(farm: Farm) -> None:
    assert farm.worker("poor").parts.fetch_ahead(lambda: True) is None

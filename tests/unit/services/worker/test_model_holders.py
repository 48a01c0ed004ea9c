"""A job goes to a worker that holds its models or has room for them, and no job waits for ever."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyq.domain.job import Job, JobStatus
from comfyq.domain.submission.spec import Spec
from comfyq.services.models.fetch_policy import AGAIN_S, ROOM_AGAIN_S
from comfyq.services.models.holders import NOTED_WITHIN
from comfyq.services.worker.choice import aside_jobs
from comfyq.services.worker.choice.aside_jobs import ALL_AGAIN_S
from tests.farm import Farm, FarmWorker
from tests.model_hub import hub_with_cdn, safetensors
from tests.provisioning_lab import LIE, FolderEngine, Lab

pytestmark = pytest.mark.anyio

HELD = "a worker that holds its models"
NOTED_S = NOTED_WITHIN.total_seconds()


@pytest.fixture
def lab(farm: Farm, tmp_path: Path) -> Iterator[Lab]:
    with hub_with_cdn() as hub:
        yield Lab(farm, hub, tmp_path)


@pytest.fixture
def max_wait_s(lab: Lab) -> float:
    return lab.farm.services.settings.worker.affinity_max_wait_s


async def holder(lab: Lab) -> FarmWorker:
    """A worker that holds the lab's model, and has told so."""
    worker = lab.worker("holder")
    await lab.submit(lab.model())
    await worker.run_once()
    await lab.tell("holder", lab.model())
    return worker


async def run_all(worker: FarmWorker) -> None:
    """See all doorbells through, also those of jobs that have ended since."""
    while await worker.run_once():
        pass


async def test_who_holds_its_models_takes_a_job_before_who_would_fetch_them(lab: Lab) -> None:
    holding, other = await holder(lab), lab.worker("other")
    await lab.tell("other")
    job, unheld = await lab.submit(lab.model()), await lab.submit(lab.model(LIE, "z.safetensors"))
    await other.run_once()
    await other.run_aside()
    assert await lab.left(job) == HELD
    assert await other.run_once()
    assert not await other.run_once(), "no doorbell comes again and again"
    assert (await lab.story(unheld))[0] is JobStatus.SUCCEEDED, "nobody holds what it needs"
    await holding.run_aside()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED
    assert [each.worker for each in await lab.farm.records.attempts(job.id)] == ["holder"]
    assert lab.fetched() == 2


async def test_it_is_left_to_them_for_a_bounded_time(lab: Lab, max_wait_s: float) -> None:
    holding, other = await holder(lab), lab.worker("other")
    job = await lab.submit(lab.model())
    await other.run_once()
    await holding.capabilities.object_info()
    await holding.parts.aside.look()  # it is able to run the job, and has no room for its prompt
    for passed_s in (NOTED_S + 1, max_wait_s - NOTED_S - 2):
        lab.farm.clock.advance(passed_s)
        await lab.tell("holder", lab.model())
        await other.run_aside()
        assert await lab.left(job) == HELD
    lab.farm.clock.advance(2)
    await other.run_aside()
    assert [each.worker for each in await lab.farm.records.attempts(job.id)] == ["other"]
    late = await lab.submit(lab.model(LIE, "z.safetensors"))
    lab.farm.clock.advance(max_wait_s)
    await lab.tell("holder", lab.model(), lab.model(LIE))
    await run_all(other)
    assert (await lab.story(late))[0] is JobStatus.SUCCEEDED, "it has waited for long enough"


async def test_it_is_not_left_to_who_cannot_run_it_takes_none_or_has_gone(lab: Lab) -> None:
    other = lab.worker("other")
    held = [lab.model(safetensors(seed=str(each)), f"{each}.safetensors") for each in range(3)]
    await lab.tell("holder", *held)
    jobs = [await lab.submit(model) for model in held]
    for _ in jobs:
        await other.run_once()
    assert [await lab.left(job) for job in jobs] == [HELD] * 3
    lab.farm.clock.advance(NOTED_S - 1)
    await lab.tell("holder", *held)
    await other.run_aside()
    assert await lab.left(jobs[0]) == HELD
    await lab.tell("holder", *held, draining=True)
    await other.run_aside()
    assert [await lab.left(job) for job in jobs] == [None] * 3, "it takes none any more"
    more = [lab.model(safetensors(seed=str(each)), f"{each}.safetensors") for each in range(3, 5)]
    for model in more:
        await lab.tell("holder", model)
        job = await lab.submit(model)
        await run_all(other)
        assert await lab.left(job) == HELD
        if model is more[0]:  # it is there, and lacks something else that the job needs
            lab.farm.clock.advance(NOTED_S + 1)
            await lab.tell("holder", model)
        else:  # it is not heard of any more
            lab.farm.clock.advance(30)
        await other.run_aside()
        assert (await lab.story(job))[0] is JobStatus.SUCCEEDED


async def test_who_has_them_without_comfyq_takes_it_as_well(lab: Lab) -> None:
    """Nobody tells what people put into the folders of a ComfyUI whose worker fetches none."""
    model, other = lab.model(), lab.worker("other")
    by_hand = FolderEngine(lab.folder / "by-hand")
    jobs = []
    for able in (True, False):
        await lab.tell("by-hand", fetches=False, models_room=None)
        jobs.append(await lab.submit(model))
        by_hand.others = (model.file,) if able else ()
        await run_all(other)
        assert await lab.left(jobs[-1]) == HELD
        await lab.farm.worker("by-hand", by_hand).run_aside()
        lab.farm.clock.advance(NOTED_S + 1)
        await lab.tell("by-hand", fetches=False, models_room=None)
        await other.run_aside()
    ran = [(await lab.farm.records.attempts(job.id))[0].worker for job in jobs]
    assert (ran, lab.fetched()) == (["by-hand", "other"], 1)


async def test_if_all_go_that_knew_of_it_its_doorbell_finds_another(lab: Lab) -> None:
    job, other = await lab.submit(lab.model()), lab.worker("other")
    await lab.tell("holder", lab.model())
    await other.run_once()
    assert await lab.left(job) == HELD
    new = lab.worker("new")
    assert not await new.run_once()
    lab.farm.clock.advance(30)
    assert await new.run_once(), "on AWS it starts a worker"
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED


async def test_without_room_it_is_left_and_judged_again_when_others_may_have_made_some(
    lab: Lab,
) -> None:
    free = [10]
    full, job = lab.worker("full", free_bytes=lambda _: free[0]), await lab.submit(lab.model())
    await full.run_once()
    await full.run_aside()
    assert "a worker with room for its models" in (await lab.left(job) or "")
    assert not await full.run_once(), "no doorbell comes again and again"
    looked: list[str] = []
    check = full.capabilities.check

    async def counted(job: Job, spec: Spec) -> None:
        looked.append(job.id)
        await check(job, spec)

    full.capabilities.check = counted  # type: ignore[method-assign]
    free[0] = 10**9  # a person deletes files: nothing tells the worker
    for _ in range(5):
        await full.run_aside()
    assert (looked, (await lab.farm.records.get(job.id)).attempt) == ([], 0)
    lab.farm.clock.advance(ROOM_AGAIN_S)
    await full.run_aside()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED


async def test_a_model_that_this_machine_could_not_take_is_tried_again(lab: Lab) -> None:
    job, own = await lab.submit(lab.model()), lab.worker("w")
    folder = lab.folder / "w" / "loras"
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be")
    await own.run_once()
    await own.run_aside()
    assert "can write model.safetensors" in (await lab.left(job) or "")
    folder.unlink()
    await own.run_aside()
    assert await lab.left(job), "each try may fetch gigabytes"
    lab.farm.clock.advance(AGAIN_S)
    await own.run_aside()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED


async def test_more_jobs_than_are_kept_in_mind_are_judged_again_too(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside_jobs, "MOST", 2)
    free = [10]
    own = lab.worker("w", free_bytes=lambda _: free[0])
    jobs = [await lab.submit(lab.model()) for _ in range(5)]
    for _ in jobs:
        await own.run_once()
    await own.run_aside()
    free[0] = 10**9
    for again_s in (ROOM_AGAIN_S, ALL_AGAIN_S):
        lab.farm.clock.advance(again_s)
        await own.run_aside()
    await own.run_aside()
    for job in jobs:
        assert (await lab.story(job))[0] is JobStatus.SUCCEEDED

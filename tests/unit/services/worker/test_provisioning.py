"""A worker fetches the models that a job's lock names: each job ends with the right file, or with a
reason, or at a worker that has room."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.job import Job, JobStatus
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import PromptState, Started
from comfyq.services.models.fetch_policy import MOST_JOBS
from tests.cells import Cells
from tests.farm import Farm
from tests.model_hub import PAGE, Fault, hub_with_cdn, safetensors
from tests.model_lab import FILE
from tests.provisioning_lab import LIE, MODEL, SAVE, FolderEngine, Lab
from tests.scripted_engine import PowerCut, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab(farm: Farm, tmp_path: Path) -> Iterator[Lab]:
    with hub_with_cdn() as hub:
        yield Lab(farm, hub, tmp_path)


async def test_a_model_is_there_before_the_prompt_goes_to_comfyui(lab: Lab) -> None:
    job, own = await lab.submit(lab.model()), lab.worker("w")
    seen: list[tuple[int, int] | None] = []
    announced = lab.farm.announcer.post

    async def post(job: Job, followers: Sequence[Any]) -> bool:
        at = job.progress.provisioning
        seen.append(None if at is None else (at.done, at.total))
        return await announced(job, followers)

    lab.farm.announcer.post = post  # type: ignore[method-assign]
    await own.run_once()
    assert (await lab.farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert len(own.engine.submitted) == 1
    assert seen[0] == (0, len(MODEL))
    assert None in seen, "what follows has no such stage"
    assert (await lab.farm.records.get(job.id)).progress.provisioning is None
    again = await lab.submit(lab.model())
    await own.run_once()
    assert (await lab.farm.records.get(again.id)).status is JobStatus.SUCCEEDED
    assert lab.fetched() == 1, "it is here"


async def test_what_cannot_be_had_fails_the_job_with_its_reason(lab: Lab) -> None:
    faults = {
        "wrong bytes": (Fault(body=LIE), "has the SHA-256"),
        "a page": (Fault(body=PAGE, headers={"Content-Type": "text/html"}), "web page"),
        "no such file": (Fault(status=404), "answers 404"),
        "no token": (Fault(status=401), "COMFYQ_MODEL_TOKENS"),
    }
    with Cells() as cells:
        for number, (name, (fault, why)) in enumerate(faults.items()):
            file = f"{number}.safetensors"
            job = await lab.submit(lab.model(safetensors(seed=str(number)), file))
            lab.faulty(fault)
            own = lab.worker(f"w{number}")
            await own.run_once()
            with cells.cell(name):
                status, code, message = await lab.story(job)
                assert (status, code) == (JobStatus.FAILED, "model-refused")
                assert why in message
                assert own.engine.submitted == []
                assert str(lab.folder) not in message


async def test_an_origin_that_is_busy_is_asked_again_later(lab: Lab) -> None:
    job, own = await lab.submit(lab.model()), lab.worker("w")
    lab.faulty(Fault(status=429, headers={"Retry-After": "900"}))
    await own.run_once()
    waiting = await lab.farm.records.get(job.id)
    assert waiting.status is JobStatus.QUEUED
    assert waiting.not_before is not None
    assert (waiting.not_before - lab.farm.clock.now()).total_seconds() == 900
    lab.farm.clock.advance(901)
    lab.faulty(*[Fault(cut=9_000, unsized=True)] * 2)
    await own.run_once()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED
    gone = await lab.submit(lab.model(LIE, "other.safetensors"))
    lab.faulty(*[Fault(status=503)] * 99)
    for _ in range(gone.limits.max_attempts):
        await own.run_once()
        lab.farm.clock.advance(600)
    assert (await lab.story(gone))[:2] == (JobStatus.FAILED, "model-unavailable")


async def test_without_room_it_goes_to_a_worker_that_has_some(lab: Lab) -> None:
    job = await lab.submit(lab.model())
    full = lab.worker("full", free_bytes=lambda _: 10)
    await full.run_once()
    left = await lab.farm.records.get(job.id)
    assert (left.is_aside, left.attempt) == (True, 0)
    assert "a worker with room for its models" in (left.note or "")
    # It had room when the job was claimed, and then somebody else filled the disk.
    free = iter([10**9] * 2)
    filling = lab.worker("filling", free_bytes=lambda _: next(free, 10))
    await filling.run_aside()
    left = await lab.farm.records.get(job.id)
    assert (left.is_aside, left.failures) == (True, 0)
    assert str(lab.folder) not in (left.note or ""), "clients read it"
    await filling.run_aside()
    assert (await lab.farm.records.get(job.id)).attempt == 1, "it does not claim it again and again"
    await lab.worker("roomy").run_aside()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED
    assert [each.worker for each in await lab.farm.records.attempts(job.id)] == ["filling", "roomy"]


async def test_a_comfyui_that_reads_another_folder_gets_no_such_jobs(lab: Lab) -> None:
    job, blind = await lab.submit(lab.model()), lab.worker("blind", read="elsewhere")
    await blind.run_once()
    await blind.run_aside()
    left = await lab.farm.records.get(job.id)
    assert (left.is_aside, left.attempt, left.failures) == (True, 1, 0)
    assert "finds loras/model.safetensors where it was put" in (left.note or "")
    assert blind.engine.submitted == []
    await lab.worker("seeing").run_aside()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED


async def test_a_folder_that_cannot_be_written_leaves_the_job_to_others(lab: Lab) -> None:
    job, own = await lab.submit(lab.model()), lab.worker("w")
    (lab.folder / "w").mkdir(exist_ok=True)
    (lab.folder / "w" / "loras").write_text("a file where the folder should be")
    await own.run_once()
    left = await lab.farm.records.get(job.id)
    assert (left.is_aside, left.attempt, left.failures) == (True, 1, 0)
    assert "can write model.safetensors" in (left.note or "")
    await lab.worker("clean").run_aside()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED


async def test_other_files_of_a_name_are_kept_and_leave_the_job_to_others(lab: Lab) -> None:
    own = lab.worker("w")
    place = lab.folder / "w" / "loras" / FILE
    place.parent.mkdir(parents=True)
    place.write_bytes(LIE)
    job = await lab.submit(lab.model())
    await own.run_once()
    left = await lab.farm.records.get(job.id)
    assert left.is_aside
    assert "no other file stands in the place of" in (left.note or "")
    assert place.read_bytes() == LIE
    await lab.worker("clean").run_aside()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED


async def test_a_model_deleted_by_hand_comes_again_and_one_elsewhere_is_left(lab: Lab) -> None:
    own, model = lab.worker("w"), lab.model()
    await lab.submit(model)
    await own.run_once()
    for place in (lab.folder / "w").rglob("*"):
        if place.is_file() or place.is_symlink():
            place.unlink()
    job = await lab.submit(model)
    await own.run_once()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED
    assert lab.fetched() == 2
    sharing = lab.worker("sharing", FILE)  # its ComfyUI has the file in another folder
    job = await lab.submit(model)
    await sharing.run_once()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED
    assert lab.fetched() == 2


async def test_a_job_is_canceled_or_given_back_in_mid_download(lab: Lab) -> None:
    model = lab.model()
    canceled, own = await lab.submit(model), lab.worker("w")
    assert lab.hub.cdn is not None
    lab.faulty(Fault(cut=50_000, stall=True))
    running = asyncio.create_task(own.run_once())
    await asyncio.to_thread(lab.hub.cdn.stalled.wait, 10)
    async with asyncio.timeout(10):
        while not (await lab.farm.records.get(canceled.id)).progress.provisioning:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await lab.farm.cancel(canceled)
    await running
    assert (await lab.farm.records.get(canceled.id)).status is JobStatus.CANCELED
    drained = await lab.submit(model)
    lab.hub.cdn.stalled.clear()
    lab.faulty(Fault(cut=50_000, stall=True))
    running = asyncio.create_task(own.run_once())
    await asyncio.to_thread(lab.hub.cdn.stalled.wait, 10)
    running.cancel("its worker was stopped")
    with pytest.raises(asyncio.CancelledError):
        await running
    left = await lab.farm.records.get(drained.id)
    assert (left.status, left.lease, left.failures) == (JobStatus.QUEUED, None, 0)
    assert own.engine.submitted == []
    await own.run_once()
    assert (await lab.story(drained))[0] is JobStatus.SUCCEEDED
    assert (lab.folder / "w" / "loras" / FILE).read_bytes() == MODEL


async def test_a_burst_for_models_that_come_leaves_the_gpu_to_others(lab: Lab) -> None:
    own = lab.worker("w", "there.safetensors")
    assert lab.hub.cdn is not None
    contents = [safetensors(seed=chr(97 + n)) for n in range(MOST_JOBS + 2)]
    models = [lab.model(each, f"{n}.safetensors") for n, each in enumerate(contents)]
    burst = [await lab.submit(model) for model in models]
    lab.faulty(*[Fault(cut=1_000, stall=True)] * MOST_JOBS)
    async with asyncio.TaskGroup() as group:
        fetching = [group.create_task(own.run_once()) for _ in range(MOST_JOBS)]
        await until(lambda: lab.fetched() == MOST_JOBS)
        await own.run_once()
        await own.run_once()
        aside = [(await lab.farm.records.get(job.id)).is_aside for job in burst]
        assert aside == [False] * MOST_JOBS + [True] * 2
        graph = {"1": {"class_type": "Loader", "inputs": {"name": "there.safetensors"}}, "9": SAVE}
        other = await lab.farm.submit(spec=Spec(graph=graph, parameters={}))
        await own.run_once()
        assert (await lab.story(other))[0] is JobStatus.SUCCEEDED
        assert not any(each.done() for each in fetching)
        lab.hub.cdn.goes_on.set()
    await own.run_aside()
    for job in burst:
        assert (await lab.story(job))[0] is JobStatus.SUCCEEDED


async def test_without_a_setting_nothing_is_fetched(lab: Lab) -> None:
    job = await lab.submit(lab.model())
    engine = FolderEngine(lab.folder / "nothing")
    await lab.farm.worker("poor", engine).run_once()
    assert (await lab.farm.records.get(job.id)).is_aside
    assert lab.fetched() == 0


async def test_models_go_for_others_but_not_those_of_jobs_that_run(lab: Lab) -> None:
    contents = {seed: safetensors(seed=seed) for seed in "abcd"}
    models = {seed: lab.model(each, f"{seed}.safetensors") for seed, each in contents.items()}
    own = lab.worker("w", store_max_bytes=2 * len(MODEL), evicts=True)
    folder = lab.folder / "w" / "loras"

    def here() -> str:
        return "".join(sorted(each.stem for each in folder.iterdir()))

    async def fetched(seed: str) -> None:
        await until(lambda: folder.exists() and seed in here())

    await lab.submit(models["a"])
    await own.run_once()
    go_on = own.engine.before_end = asyncio.Event()
    jobs = []
    async with asyncio.TaskGroup() as group:
        for count, seed in enumerate("bc", 2):
            jobs.append(await lab.submit(models[seed]))
            group.create_task(own.run_once())
            await until(lambda count=count: len(own.engine.submitted) == count)  # type: ignore[misc]
        assert here() == "bc"
        jobs.append(await lab.submit(models["d"]))
        await own.run_once()
        left = await lab.farm.records.get(jobs[-1].id)
        assert (left.is_aside, left.attempt, here()) == (True, 0, "bc")
        assert "a worker with room for its models" in (left.note or "")
        await own.run_aside()
        assert (await lab.farm.records.get(left.id)).attempt == 0
        go_on.set()
    await own.run_aside()
    for job in jobs:
        assert (await lab.story(job))[0] is JobStatus.SUCCEEDED
    assert here() in ("bd", "cd")


async def test_models_of_what_comfyui_still_runs_stay_after_a_restart(lab: Lab) -> None:
    job, dying = await lab.submit(lab.model()), lab.worker("w")
    dying.engine.script = (Started(), PowerCut())
    await dying.dies()
    own = lab.worker("w", store_max_bytes=len(MODEL), evicts=True)
    own.engine.states = dict.fromkeys(dying.engine.states, PromptState.PENDING)
    await own.capabilities.object_info()  # as a worker does when it starts
    go_on = own.engine.before_end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(own.retake())
        await until(lambda: PromptState.RUNNING in own.engine.states.values())
        other = await lab.submit(lab.model(LIE, "other.safetensors"))
        await own.run_once()
        left = await lab.farm.records.get(other.id)
        assert (left.is_aside, left.attempt) == (True, 0)
        assert (lab.folder / "w" / "loras" / FILE).read_bytes() == MODEL
        go_on.set()
    assert (await lab.story(job))[0] is JobStatus.SUCCEEDED
    assert own.engine.submitted == [], "the prompt of the first attempt was taken over"
    await own.run_aside()
    assert (await lab.story(other))[0] is JobStatus.SUCCEEDED

"""The executor against in-memory ports: no patching, no fixed sleeps, no network."""

import asyncio
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.errors import AssetsUnavailable, TableUnavailable
from comfyq.domain.job import Job, JobStatus
from comfyq.ports.engine import (
    Delayed,
    DeviceFault,
    EngineError,
    EngineUnavailable,
    GraphRefused,
    NodeError,
    NodeFailed,
    OutOfMemory,
    PromptId,
    PromptInterrupted,
    PromptLost,
    PromptState,
    RenderedFileGone,
    ResultsUnreadable,
    Started,
)
from comfyq.ports.table import Write
from comfyq.services.worker.prompts import prompt_id
from tests.farm import FAST, Farm
from tests.log_lines import logged
from tests.scripted_engine import RUN, Never, ScriptedEngine

pytestmark = pytest.mark.anyio

BROKEN = NodeError("3", "KSampler", "shapes differ")


async def test_a_job_succeeds_with_its_files_stored(farm: Farm) -> None:
    job = await farm.submit()
    worker = farm.worker("w1")

    assert await worker.run_once()

    ended = await farm.records.get(job.id)
    [output] = await farm.records.outputs(job.id)
    assert ended.status is JobStatus.SUCCEEDED
    assert ended.progress.fraction == 1.0
    assert farm.assets.stored[output.key].body == b"pixels of a_00001_.png"
    assert not farm.queue.messages
    assert worker.turns[0] == "started"
    assert "left" in worker.turns


async def test_each_attempt_saves_under_a_name_of_its_own(farm: Farm) -> None:
    job = await farm.submit()
    worker = farm.worker("w1")
    await worker.run_once()
    [prompt] = worker.engine.submitted
    prefix = prompt.graph["9"]["inputs"]["filename_prefix"]
    assert re.fullmatch(rf"comfyq/{job.id}/1-[0-9a-f]{{16}}/a", prefix), "nobody can guess it"


async def test_followers_are_told_of_start_progress_and_end(farm: Farm) -> None:
    job = await farm.submit()
    await farm.follow(job)
    await farm.worker("w1").run_once()
    posts = [frame.decode() for _, frame in farm.notifier.posts]
    assert posts[0] == "running 0.0"
    assert posts[-1] == "succeeded 1.0"


async def test_a_second_doorbell_of_a_job_that_we_run_changes_nothing(farm: Farm) -> None:
    job = await farm.submit()
    await farm.queue.send(job.id, tenant=job.tenant)
    worker = farm.worker("w1", ScriptedEngine(Started(), Never()))
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run_once())
        running = await farm.until(job, JobStatus.RUNNING)
        assert await worker.run_once(), "the second doorbell came"
        assert (await farm.records.get(job.id)).attempt == running.attempt == 1
        await farm.cancel(job)
    assert (await farm.records.get(job.id)).attempt == 1


async def test_an_end_that_could_not_be_posted_is_posted_by_the_reaper(farm: Farm) -> None:
    job = await farm.submit()
    await farm.follow(job)
    farm.notifier.unavailable.add("http://gateway")
    await farm.worker("w1").run_once()
    assert (await farm.records.get(job.id)).end_pending
    farm.notifier.unavailable.clear()
    farm.clock.advance(11)

    await farm.reaper.reap()

    assert [frame for _, frame in farm.notifier.posts] == [b"succeeded 1.0"]
    assert not (await farm.records.get(job.id)).end_pending


async def settled(farm: Farm, engine: ScriptedEngine, **limits: Any) -> Job:
    """Run a job until it ends, letting time pass between attempts."""
    job = await farm.submit(**limits)
    worker = farm.worker("w1", engine)
    for _ in range(300):
        if not await worker.run_once():
            farm.clock.advance(600)
            await farm.reaper.reap()
        job = await farm.records.get(job.id)
        if job.status.terminal:
            break
    return job


@pytest.mark.parametrize(
    ("raised", "code", "failures"),
    [
        (NodeFailed(BROKEN, exception_type="RuntimeError"), "node-error", 1),
        (OutOfMemory(BROKEN, exception_type="torch.OutOfMemoryError"), "out-of-memory", 2),
        (DeviceFault(BROKEN, exception_type="RuntimeError"), "device-fault", 3),
        (PromptLost("restarted", started=True), "engine-lost", 3),
        (PromptLost("restarted", started=False), "too-many-attempts", 0),
        (PromptInterrupted("by somebody"), "too-many-attempts", 0),
        (EngineUnavailable("no answer"), "too-many-attempts", 0),
        (ResultsUnreadable("ComfyUI answers 500 to history"), "results-unreadable", 2),
    ],
    ids=["node", "oom", "device", "lost", "unstarted", "interrupted", "away", "unreadable"],
)
async def test_what_comfyui_raises_counts_as_the_table_says(
    farm: Farm, raised: EngineError, code: str, failures: int
) -> None:
    started = () if isinstance(raised, PromptLost) and not raised.started else (Started(),)
    ended = await settled(farm, ScriptedEngine(*started, raised))
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.failures) == (code, failures)


async def test_the_end_of_an_attempt_is_no_second_line_beside_the_job_s(farm: Farm) -> None:
    with logged() as lines:
        await settled(farm, ScriptedEngine(NodeFailed(BROKEN, exception_type="RuntimeError")))
    assert [each["event"] for each in lines if "ended" in each["event"]] == ["job_ended"]


@pytest.mark.parametrize(("for_good", "failures"), [(False, 2), (True, 1)])
async def test_a_file_that_stays_gone_is_not_rendered_on_and_on(
    farm: Farm, for_good: bool, failures: int
) -> None:
    gone = RenderedFileGone("gone.png is not in output", for_good=for_good)
    ended = await settled(farm, ScriptedEngine(Started(), gone))
    assert ended.error is not None
    assert (ended.error.code, ended.failures) == ("output-gone", failures)


async def test_a_refused_graph_fails_at_once_and_names_the_node(farm: Farm) -> None:
    engine = ScriptedEngine()
    wrong = NodeError("12", "LoraLoader", "not in list", ("a.safetensors", "b.safetensors"))
    engine.refuses = GraphRefused("Prompt outputs failed validation", [wrong])
    ended = await settled(farm, engine)
    assert ended.error is not None
    assert (ended.error.code, ended.error.node) == ("invalid-graph", "12")
    assert "b.safetensors" in ended.error.details[0]


async def test_no_sign_of_progress_stops_the_prompt(farm: Farm) -> None:
    engine = ScriptedEngine(Started(), Never())
    ended = await settled(farm, engine, stall_s=0, max_attempts=1)
    assert ended.error is not None
    assert ended.error.code == "stalled"
    assert engine.canceled


async def test_a_run_that_takes_too_long_ends_with_its_deadline(farm: Farm) -> None:
    engine = ScriptedEngine(Started(), Never())
    ended = await settled(farm, engine, run_timeout_s=0)
    assert ended.error is not None
    assert (ended.error.code, ended.failures) == ("deadline", 1)
    assert engine.canceled


async def test_a_running_job_stops_when_a_client_cancels_it(farm: Farm) -> None:
    job = await farm.submit()
    engine = ScriptedEngine(Started(), Never())
    async with asyncio.TaskGroup() as group:
        group.create_task(farm.worker("w1", engine).run_once())
        await farm.until(job, JobStatus.RUNNING)
        await farm.cancel(job)

    assert (await farm.records.get(job.id)).status is JobStatus.CANCELED
    assert engine.canceled == [prompt_id(job.id, 1)]
    assert not farm.queue.messages


class SlowEngine(ScriptedEngine):
    """One that is at a long step of whatever it was given."""

    async def find(self, prompt_id: PromptId) -> PromptState:
        return PromptState.RUNNING

    async def cancel(self, prompt_id: PromptId) -> bool:
        await super().cancel(prompt_id)
        return False


async def test_a_canceled_job_does_not_wait_for_a_slow_step(farm: Farm) -> None:
    """Its GPU does: what runs is remembered until ComfyUI has stopped it."""
    job = await farm.submit(stall_s=60)
    worker = farm.worker("w1", engine := SlowEngine(Started(), Never()))
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run_once())
        await farm.until(job, JobStatus.RUNNING)
        await farm.cancel(job)

    assert (await farm.records.get(job.id)).status is JobStatus.CANCELED
    assert engine.canceled == [prompt_id(job.id, 1)]
    assert (worker.stopper.free, worker.stopper.hung) == (False, None)
    assert not farm.queue.messages


async def test_a_deadline_does_not_wait_for_a_slow_step(farm: Farm) -> None:
    job = await farm.submit(run_timeout_s=0)
    worker = farm.worker("w1", SlowEngine(Started(), Never()))
    await worker.run_once()
    ended = await farm.records.get(job.id)
    assert (ended.status, ended.error and ended.error.code) == (JobStatus.FAILED, "deadline")
    assert not worker.stopper.free


async def test_a_drain_does_not_wait_for_a_slow_step(farm: Farm) -> None:
    job = await farm.submit()
    worker = farm.worker("w1", SlowEngine(Started(), Never()))
    running = asyncio.ensure_future(worker.run_once())
    await farm.until(job, JobStatus.RUNNING)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await farm.records.get(job.id)).status is JobStatus.QUEUED
    assert not worker.stopper.free


async def test_a_lost_lease_waits_for_a_slow_step_before_the_next_job(farm: Farm) -> None:
    job = await farm.submit()
    worker = farm.worker("w1", engine := SlowEngine(Started(), Never()))
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run_once())
        await farm.until(job, JobStatus.RUNNING)
        farm.clock.advance(farm.timing.lease_s + jobs.LEASE_SLACK.total_seconds())
        await farm.reaper.reap()
        assert (await farm.records.get(job.id)).lease is None
    assert engine.canceled == [prompt_id(job.id, 1)]
    assert not worker.stopper.free


async def test_a_lease_is_renewed_while_comfyui_takes_long_to_stop() -> None:
    """Else the reaper would take the job, and a failure would be told as the loss of its worker."""
    farm = Farm(timing=replace(FAST, renew_s=0.01, let_go_s=30))
    job = await farm.submit(stall_s=0)
    worker = farm.worker("w1", engine := ReluctantEngine(Started(), Never()))
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run_once())
        await engine.asked.wait()
        lease = (await farm.records.get(job.id)).lease
        farm.clock.advance(1)
        while (renewed := (await farm.records.get(job.id)).lease) == lease:  # noqa: ASYNC110
            await asyncio.sleep(0)
        engine.stopped.set()
    assert lease is not None
    assert renewed is not None
    assert renewed.expires_at > lease.expires_at


class ReluctantEngine(ScriptedEngine):
    """One whose prompt stops when the test says so."""

    def __init__(self, *script: Any) -> None:
        super().__init__(*script)
        self.asked, self.stopped = asyncio.Event(), asyncio.Event()

    async def cancel(self, prompt_id: PromptId) -> bool:
        self.asked.set()
        await self.stopped.wait()
        return await super().cancel(prompt_id)


async def test_a_drained_job_is_claimable_at_once_and_not_counted(farm: Farm) -> None:
    job = await farm.submit()
    engine = ScriptedEngine(Started(), Never())
    running = asyncio.ensure_future(farm.worker("w1", engine).run_once())
    await farm.until(job, JobStatus.RUNNING)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    waiting = await farm.records.get(job.id)
    assert (waiting.status, waiting.lease, waiting.failures) == (JobStatus.QUEUED, None, 0)
    assert await farm.worker("w2").run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED


async def test_results_are_not_rendered_again_because_storage_was_away(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.timing = replace(farm.timing, upload_give_up_s=60)  # on a busy machine too
    farm.open()
    job = await farm.submit()
    worker = farm.worker("w1")
    put, tries = farm.assets.put, []

    async def flaky(*args: object, **kwargs: object) -> None:
        tries.append(args)
        if len(tries) < 3:
            raise AssetsUnavailable("503")
        await put(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(farm.assets, "put", flaky)
    await worker.run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert len(worker.engine.submitted) == 1


async def test_storage_that_refuses_for_good_fails_the_job_with_that_reason(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await farm.submit()

    async def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssetsUnavailable("access denied")

    monkeypatch.setattr(farm.assets, "put", refuse)
    await farm.worker("w1").run_once()
    ended = await farm.records.get(job.id)
    assert ended.error is not None
    assert ended.error.code == "storage-refused"
    assert "access denied" in ended.error.message


async def test_files_that_are_gone_are_rendered_again_under_another_name(farm: Farm) -> None:
    job = await farm.submit()
    engine = ScriptedEngine()
    engine.gone = True
    worker = farm.worker("w1", engine)
    await worker.run_once()
    engine.gone = False
    farm.clock.advance(60)
    await farm.reaper.reap()
    await worker.run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    first, second = engine.submitted
    assert first.graph["9"] != second.graph["9"]


@pytest.mark.parametrize("nth", range(8))
async def test_a_lost_answer_of_the_table_costs_time_and_no_job(
    farm: Farm, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the worker's n-th write is lost after the write was applied."""
    job = await farm.submit()
    write, writes = farm.table.write, []

    async def forgetful(*args: Write, synced: bool = True) -> None:
        await write(*args)
        writes.append(args)
        if len(writes) == nth + 1:
            raise TableUnavailable("the answer was lost")

    monkeypatch.setattr(farm.table, "write", forgetful)
    for _ in range(20):
        worker = farm.worker("w1")
        with suppress(TableUnavailable):
            await worker.retake()
            await worker.run_once()
        farm.clock.advance(130)
        await farm.reaper.reap()
        if (await farm.records.get(job.id)).status.terminal:
            break
    ended = await farm.records.get(job.id)
    assert ended.status is JobStatus.SUCCEEDED
    assert len(await farm.records.outputs(job.id)) == 1


async def test_a_drain_in_the_middle_of_an_early_end_gives_the_job_back(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for a lease to lapse: what ends the attempt may be cut off as well."""
    job = await farm.submit()
    worker = farm.worker("w1", ScriptedEngine(Started(), PromptInterrupted("stopped by another")))
    begun = asyncio.Event()

    async def hangs(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(worker.executor, "_end_as_raised", hangs)
    running = asyncio.ensure_future(worker.run_once())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    waiting = await farm.records.get(job.id)
    assert (waiting.status, waiting.lease) == (JobStatus.QUEUED, None)


async def test_outputs_of_an_attempt_that_is_cut_off_before_its_end_are_deleted(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await farm.submit()
    worker, begun = farm.worker("w1"), asyncio.Event()

    async def hangs(*_: object) -> None:
        assert farm.assets.stored
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(farm.reuse, "note", hangs)
    running = asyncio.ensure_future(worker.run_once())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not farm.assets.stored
    monkeypatch.undo()
    assert await farm.worker("w2").run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert farm.assets.stored


async def test_prompts_of_others_before_its_own_are_passed_on(farm: Farm) -> None:
    worker = farm.worker("w1", ScriptedEngine(Delayed(2), Delayed(0), *RUN))
    counts: list[int] = []
    job = await farm.submit()
    delivery = await farm.queue.receive(wait_s=0)
    assert delivery is not None
    held = await worker.claims.claim(delivery)
    assert held is not None
    await worker.executor.run(held, replace(worker.turn, delayed=counts.append))
    assert counts == [2, 0]
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED

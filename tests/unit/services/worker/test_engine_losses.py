"""A ComfyUI that stops answering in mid-run: its job pays only for what is proven."""

import pytest

from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import Job, JobStatus
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.ports.engine import EngineInfo, EngineUnavailable, PromptId, PromptState, Started
from comfyq.ports.table import Write
from tests.farm import Farm, FarmWorker
from tests.scripted_engine import RUN, ScriptedEngine

pytestmark = pytest.mark.anyio

LEFT = (Started(), EngineUnavailable("no answer"))


class MortalEngine(ScriptedEngine):
    """A ComfyUI that falls silent in mid-run, and answers again after ``restart`` or ``appear``."""

    def __init__(self) -> None:
        super().__init__(*LEFT)
        self.silent = False

    async def cancel(self, prompt_id: PromptId) -> bool:
        raise EngineUnavailable("no answer")

    async def find(self, prompt_id: PromptId) -> PromptState:
        if self.silent:
            raise EngineUnavailable("no answer")
        return await super().find(prompt_id)

    async def info(self) -> EngineInfo:
        if self.silent:
            raise EngineUnavailable("no answer")
        return await super().info()

    def restart(self) -> None:
        self.states.clear()
        self.silent = False


async def lose(farm: Farm, worker: FarmWorker) -> None:
    """Run a job until its ComfyUI falls silent."""
    farm.clock.advance(farm.timing.unavailable_s)
    await farm.reaper.reap()
    await worker.run_once()


async def verdicts(farm: Farm, job: Job) -> list[str]:
    return [attempt.verdict for attempt in await farm.records.attempts(job.id)]


async def test_three_restarts_in_mid_run_end_a_job(farm: Farm) -> None:
    job = await farm.submit()
    await farm.follow(job)
    worker = farm.worker("w1", engine := MortalEngine())
    for losses in (1, 2, 3):
        await lose(farm, worker)
        assert await verdicts(farm, job) == ["failed"] * (losses - 1) + ["released"]
        engine.restart()
        await worker.parts.losses.settle()
        assert (await farm.records.get(job.id)).failures == losses
    ended = await farm.records.get(job.id)
    assert (ended.status, ended.error and ended.error.code) == (JobStatus.FAILED, "engine-lost")
    assert await verdicts(farm, job) == ["failed"] * 3
    [*_, last] = await farm.records.attempts(job.id)
    assert last.reason is not None
    assert "ended or was restarted while it ran the job (no answer)" in last.reason
    assert farm.notifier.posts[-1][1].startswith(b"failed")


@pytest.mark.parametrize("state", [PromptState.RUNNING, PromptState.PENDING, PromptState.ENDED])
async def test_a_cut_counts_for_nothing(farm: Farm, state: PromptState) -> None:
    job = await farm.submit()
    worker = farm.worker("w1", engine := MortalEngine())
    await lose(farm, worker)
    engine.states = dict.fromkeys(engine.states, state)
    await worker.parts.losses.settle()
    engine.restart()  # what happens later is not the job's doing
    await worker.parts.losses.settle()
    assert await verdicts(farm, job) == ["released"]
    assert (await farm.records.get(job.id)).failures == 0


async def test_another_worker_goes_on_meanwhile(farm: Farm) -> None:
    job = await farm.submit()
    worker = farm.worker("w1", engine := MortalEngine())
    await lose(farm, worker)
    farm.clock.advance(600)
    await farm.worker("w2", ScriptedEngine(*RUN)).run_once()
    engine.restart()
    await worker.parts.losses.settle()
    ended = await farm.records.get(job.id)
    assert (ended.status, ended.error) == (JobStatus.SUCCEEDED, None)
    assert await verdicts(farm, job) == ["released", "succeeded"]


async def test_a_loss_is_counted_once_though_an_answer_was_lost(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await farm.submit()
    worker = farm.worker("w1", engine := MortalEngine())
    await lose(farm, worker)
    engine.restart()
    write = farm.table.write

    async def stored_without_answer(*writes: Write, synced: bool = True) -> None:
        await write(*writes)
        raise TableUnavailable("the answer was lost")

    with monkeypatch.context() as patched:
        patched.setattr(farm.table, "write", stored_without_answer)
        await worker.parts.losses.settle()
    assert (await farm.records.get(job.id)).failures == 1
    await worker.parts.losses.settle()
    assert (await farm.records.get(job.id)).failures == 1


async def test_nothing_is_claimed_before_a_loss_is_counted(farm: Farm) -> None:
    job = await farm.submit()
    worker = farm.worker("w1", engine := MortalEngine())
    failures = []

    async def settle() -> None:
        await worker.parts.losses.settle()
        failures.append((await farm.records.get(job.id)).failures)
        assert not watch.ok

    watch = EngineWatch(engine, membership=worker.membership, before_claims=settle, period_s=60)
    await lose(farm, worker)
    engine.silent = True
    await watch.look()
    assert not failures
    engine.restart()
    await watch.look()
    assert (failures, watch.ok) == ([1], True)

"""Claims while the table is away: no doorbell and no job is forgotten by its worker."""

import pytest

from comfyq.aio.tasks import beside
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobStatus
from comfyq.ports.engine import Started
from comfyq.ports.queue import TAKEN_S
from comfyq.services.worker import held_job
from tests.farm import Farm
from tests.scripted_engine import Never, PowerCut, ScriptedEngine, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("applied", [False, True])
async def test_a_doorbell_that_could_not_be_followed_comes_back_soon(
    farm: Farm, applied: bool
) -> None:
    job = await farm.submit()
    faults = farm.table.faults_after if applied else farm.table.faults_before
    faults.append(TableUnavailable("503"))
    worker = farm.worker("w1")
    with pytest.raises(TableUnavailable):
        await worker.run_once()

    farm.clock.advance(farm.timing.unavailable_s)
    assert await worker.run_once(), "long before its visibility time-out"
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED


async def test_a_restarted_worker_retakes_the_rest_when_the_table_answers_again(
    farm: Farm,
) -> None:
    job = await farm.submit()
    engine = ScriptedEngine(Started(), PowerCut())
    await farm.worker("w1", engine).dies()
    engine.script = ScriptedEngine().script
    restarted = farm.worker("w1", engine)
    farm.table.faults_before.append(TableUnavailable("503"))
    with pytest.raises(TableUnavailable):
        await restarted.retake()

    assert await restarted.retake() == 1
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert len(engine.submitted) == 1, "rendered once"


async def test_a_worker_that_dies_between_a_doorbell_and_its_claim_costs_seconds(
    farm: Farm,
) -> None:
    job = await farm.submit()
    assert await farm.queue.receive(wait_s=0), "and the worker is gone"
    other = farm.worker("w2")
    assert not await other.run_once()
    assert farm.timing.lease_s / 10 >= TAKEN_S
    farm.clock.advance(TAKEN_S)
    assert await other.run_once()
    ended = await farm.records.get(job.id)
    assert (ended.status, ended.attempt) == (JobStatus.SUCCEEDED, 1)


async def test_the_doorbell_of_a_job_that_goes_on_is_hidden_for_as_long_as_its_lease(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_job, "HIDE_AFTER_S", 0)
    job = await farm.submit()
    async with beside(_run_once(farm, ScriptedEngine(Started(), Never()))):
        await farm.until(job, JobStatus.RUNNING)
        [message] = farm.queue.messages
        await until(lambda: message.visible_at_s > farm.queue.now_s() + TAKEN_S)
        assert message.visible_at_s == farm.queue.now_s() + farm.timing.lease_s


async def _run_once(farm: Farm, engine: ScriptedEngine) -> None:
    await farm.worker("w1", engine).run_once()

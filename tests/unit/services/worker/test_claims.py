"""Claims while the table is away: no doorbell and no job is forgotten by its worker."""

import pytest

from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobStatus
from comfyq.ports.engine import Started
from tests.farm import Farm
from tests.scripted_engine import PowerCut, ScriptedEngine

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

"""Affinity: fewer switches of models, and nobody passed over for too long."""

from uuid import uuid4

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.graph.graph import Graph
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.spec import Spec
from comfyq.records.families import FamilyRecords
from comfyq.services.worker.choice.affinity import Affinity
from comfyq.services.worker.choice.ready_jobs import ReadyJobs
from tests.farm import GRAPH, Farm

pytestmark = pytest.mark.anyio


@pytest.fixture
def affinity(farm: Farm) -> Affinity:
    ready = ReadyJobs(records=farm.records, families=FamilyRecords(farm.table))
    return Affinity(ready=ready, clock=farm.clock, max_wait_s=60)


async def waiting(farm: Farm, family: str, *, graph: Graph = GRAPH) -> Job:
    job = jobs.submitted(
        id=JobId(str(uuid4())),
        tenant=DEFAULT_TENANT,
        workflow="w",
        family=family,
        created_at=farm.clock.now(),
    )
    await FamilyRecords(farm.table).note(family)
    await farm.records.create(job, Spec(graph=graph, parameters={}))
    await farm.queue.send(job.id, tenant=job.tenant)
    return job


async def test_a_worker_that_has_run_nothing_takes_what_comes(
    farm: Farm, affinity: Affinity
) -> None:
    await waiting(farm, "flux")
    assert await affinity.choose() is None


async def test_one_family_alone_is_left_to_the_queue(farm: Farm, affinity: Affinity) -> None:
    await waiting(farm, "flux")
    affinity.loaded("flux")
    assert await affinity.choose() is None


async def test_the_loaded_family_is_preferred_to_an_older_job(
    farm: Farm, affinity: Affinity
) -> None:
    await waiting(farm, "sdxl")
    farm.clock.advance(1)
    fitting = await waiting(farm, "flux")
    affinity.loaded("flux")
    assert await affinity.choose() == fitting.id


async def test_nobody_is_passed_over_for_longer_than_the_bound(
    farm: Farm, affinity: Affinity
) -> None:
    passed_over = await waiting(farm, "sdxl")
    farm.clock.advance(60)
    await waiting(farm, "flux")
    affinity.loaded("flux")
    assert await affinity.choose() == passed_over.id


async def test_a_claimed_job_is_no_choice(farm: Farm, affinity: Affinity) -> None:
    await waiting(farm, "sdxl")
    fitting = await waiting(farm, "flux")
    affinity.loaded("flux")
    worker = farm.worker("w1")
    held = await worker.claims.claim_waiting(fitting.id)
    assert held is not None
    assert await affinity.choose() is None


async def test_a_job_that_is_held_here_is_not_claimed_again(farm: Farm) -> None:
    """The index that shows what is ready lags behind a claim."""
    job = await waiting(farm, "flux")
    worker = farm.worker("w1")
    assert await worker.claims.claim_waiting(job.id) is not None
    assert await worker.claims.claim_waiting(job.id) is None
    assert (await farm.records.get(job.id)).attempt == 1


async def test_of_two_that_choose_the_same_job_one_gets_it(farm: Farm) -> None:
    job = await waiting(farm, "flux")
    assert await farm.worker("w1").claims.claim_waiting(job.id) is not None
    assert await farm.worker("w2").claims.claim_waiting(job.id) is None


async def test_the_doorbell_of_a_job_claimed_without_it_is_dropped(farm: Farm) -> None:
    job = await waiting(farm, "flux")
    worker = farm.worker("w1")
    held = await worker.claims.claim_waiting(job.id)
    assert held is not None
    assert await worker.run_once(), "the doorbell came"
    assert not farm.queue.messages
    await worker.executor.run(held, worker.turn)
    assert (await farm.records.get(job.id)).status == "succeeded"


async def test_a_job_given_back_without_a_doorbell_is_rung_for(farm: Farm) -> None:
    job = await waiting(farm, "flux")
    worker = farm.worker("w1")
    held = await worker.claims.claim_waiting(job.id)
    assert held is not None
    await worker.run_once()
    released = jobs.release(held.job, token=held.token, now=farm.clock.now(), reason="drained")
    await farm.records.save(released)
    await held.give_back()
    assert await farm.worker("w2").run_once()
    assert (await farm.records.get(job.id)).status == "succeeded"

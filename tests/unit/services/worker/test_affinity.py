"""Affinity: fewer switches of models, and nobody passed over for too long."""

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.job import Job, JobId
from comfyq.services.worker.choice.turns import Turns
from tests.farm import Farm
from tests.unit.services.worker.choice_lab import ALICE, BOB, turns_of, waiting

pytestmark = pytest.mark.anyio


@pytest.fixture
def turns(farm: Farm) -> Turns:
    return turns_of(farm)


async def loads(farm: Farm, turns: Turns, family: str) -> Job:
    """Let the worker have claimed a job of ``family``, which waits no more."""
    job = await waiting(farm, family)
    await farm.worker("w0").claims.claim_waiting(job.id)
    turns.took(job)
    farm.queue.messages.clear()
    return job


async def chosen(turns: Turns, own: Job | None = None) -> JobId | None:
    """Return the job that is claimed with the doorbell of ``own``; None: that one."""
    return next((job.id for job in await turns.choose(own.id if own else None)), None)


async def test_a_worker_that_has_run_nothing_takes_what_comes(farm: Farm, turns: Turns) -> None:
    assert await chosen(turns, await waiting(farm, "flux")) is None


async def test_one_family_alone_is_left_to_the_queue(farm: Farm, turns: Turns) -> None:
    await loads(farm, turns, "flux")
    assert await chosen(turns, await waiting(farm, "flux")) is None


async def test_the_loaded_family_is_preferred_to_an_older_job(farm: Farm, turns: Turns) -> None:
    await loads(farm, turns, "flux")
    older = await waiting(farm, "sdxl")
    farm.clock.advance(1)
    fitting = await waiting(farm, "flux")
    assert await chosen(turns, older) == fitting.id


async def test_nobody_is_passed_over_for_longer_than_the_bound(farm: Farm, turns: Turns) -> None:
    await loads(farm, turns, "flux")
    passed_over = await waiting(farm, "sdxl")
    farm.clock.advance(60)
    assert await chosen(turns, await waiting(farm, "flux")) == passed_over.id


async def test_a_higher_priority_goes_before_loaded_models(farm: Farm, turns: Turns) -> None:
    await loads(farm, turns, "flux")
    fitting = await waiting(farm, "flux")
    urgent = await waiting(farm, "sdxl", priority=6)
    assert await chosen(turns, fitting) == urgent.id


async def test_it_counts_within_a_tenant_s_turn_and_not_beyond(farm: Farm, turns: Turns) -> None:
    await loads(farm, turns, "flux")
    for tenant in (ALICE, BOB):
        await waiting(farm, "sdxl", tenant=tenant)
        await waiting(farm, "flux", tenant=tenant)
    took = []
    for _ in range(4):
        (job_id, *_) = [job.id for job in await turns.choose()]
        held = await farm.worker("w1").claims.claim_waiting(job_id)
        assert held is not None
        turns.took(held.job)
        took.append((held.job.tenant, held.job.family))
    first, second = took[0][0], took[1][0]
    assert {first, second} == {ALICE, BOB}
    assert took == [(first, "flux"), (second, "flux"), (first, "sdxl"), (second, "sdxl")]


async def test_a_claimed_job_is_no_choice(farm: Farm, turns: Turns) -> None:
    await loads(farm, turns, "flux")
    other = await waiting(farm, "sdxl")
    fitting = await waiting(farm, "flux")
    assert await farm.worker("w1").claims.claim_waiting(fitting.id) is not None
    assert await chosen(turns) == other.id


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

"""The limit on a tenant's jobs that workers hold at once."""

import math
from collections.abc import Iterator

import pytest

from comfyq.aio.tasks import all_of
from comfyq.domain import job as jobs
from comfyq.domain.audit import Actor
from comfyq.domain.errors import TooManyRunning
from comfyq.domain.job import WorkerId
from comfyq.domain.tenant import Limits
from comfyq.records.limits.running_jobs import are_held_back
from comfyq.services.worker.choice import ready_jobs
from comfyq.services.worker.choice.turns import HELD_BACK_S, LIMITED_S
from comfyq.services.worker.held_job import HeldJob
from tests.farm import Farm
from tests.unit.services.worker.choice_lab import ALICE, BOB, Claimer, flood, waiting

pytestmark = pytest.mark.anyio

MOST = 2


@pytest.fixture
def farm() -> Iterator[Farm]:
    farm = Farm(running_jobs=MOST)
    yield farm
    farm.spool.close()


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_jobs, "TRIED_S", 0)


async def ends(farm: Farm, claimer: Claimer, at: int = 0) -> None:
    """End a job that a worker has claimed."""
    job = await farm.records.get(claimer.took[at].id)
    await farm.records.update(job, lambda job, *, now: jobs.start(job, token=1, now=now))
    job = await farm.records.get(job.id)
    await farm.records.update(job, lambda job, *, now: jobs.succeed(job, token=1, now=now))


async def test_no_more_are_claimed_until_one_has_ended(farm: Farm) -> None:
    await flood(farm, ALICE, 5)
    claimer = Claimer(farm, "w")
    assert await claimer.claim_all() == [ALICE] * MOST
    assert await claimer.claim() is None
    await ends(farm, claimer)
    assert await claimer.claim() is not None, "without a doorbell: all of them have come"
    assert await claimer.claim() is None


async def test_others_go_on_meanwhile(farm: Farm) -> None:
    await flood(farm, ALICE, 10)
    await flood(farm, BOB, 10)
    order = await Claimer(farm, "w").claim_all()
    assert sorted(order) == [ALICE] * MOST + [BOB] * MOST


async def test_a_worker_that_left_jobs_out_looks_again_soon(farm: Farm) -> None:
    await flood(farm, ALICE, 4)
    claimer = Claimer(farm, "w")
    assert claimer.turns.look_s == LIMITED_S
    await claimer.claim_all()
    for ended in range(2):
        assert claimer.turns.look_s == HELD_BACK_S, "also when one of them has been claimed"
        await ends(farm, claimer, ended)
        assert await claimer.claim() is not None
    await claimer.claim()
    assert claimer.turns.look_s == LIMITED_S


async def test_workers_that_claim_at_once_hold_no_more(farm: Farm) -> None:
    stored = await flood(farm, ALICE, 12)
    workers = [farm.worker(f"w{n}") for n in range(12)]
    claims = (
        worker.claims.claim_waiting(job.id) for worker, job in zip(workers, stored, strict=True)
    )
    held = [each for each in await all_of(claims) if each is not None]
    assert len(held) == MOST
    leased = [job for job in stored if (await farm.records.get(job.id)).lease is not None]
    assert len(leased) == MOST


async def test_a_job_that_is_taken_over_or_retaken_needs_no_room(farm: Farm) -> None:
    stored = await flood(farm, ALICE, MOST)
    first = farm.worker("w1")
    for job in stored:
        assert await first.claims.claim_waiting(job.id) is not None
    assert await farm.worker("w1").retake() == MOST, "the worker's next process"
    again = [await waiting(farm, tenant=ALICE) for _ in range(MOST)]
    other = farm.worker("w2")
    for job in again:
        assert await other.claims.claim_waiting(job.id) is not None
    farm.clock.advance(3_600)
    assert isinstance(await farm.worker("w3").claims.claim_waiting(again[0].id), HeldJob)


async def test_a_job_given_back_makes_room(farm: Farm) -> None:
    stored = await flood(farm, ALICE, MOST + 1)
    worker = farm.worker("w")
    assert await worker.claims.claim_waiting(stored[0].id) is not None
    held = await worker.claims.claim_waiting(stored[1].id)
    assert held is not None
    assert await worker.claims.claim_waiting(stored[MOST].id) is None
    now = farm.clock.now()
    await farm.records.save(jobs.release(held.job, token=held.token, now=now, reason="drained"))
    assert await worker.claims.claim_waiting(stored[MOST].id) is not None


async def test_a_claim_over_the_limit_changes_nothing(farm: Farm) -> None:
    stored = await flood(farm, ALICE, MOST + 1)
    for job in stored[:MOST]:
        await farm.worker("w").claims.claim_waiting(job.id)
    last = await farm.records.get(stored[MOST].id)

    def claim(job: jobs.Job, *, now: object) -> jobs.Job:
        ttl = farm.timing.lease
        return jobs.claim(job, worker=WorkerId("x"), now=farm.clock.now(), ttl=ttl)

    with pytest.raises(TooManyRunning):
        await farm.records.update(last, claim)
    assert await farm.records.get(last.id) == last


async def test_without_a_limit_nothing_is_listed(farm: Farm) -> None:
    farm.running_jobs = None
    farm.open()
    assert Claimer(farm, "w").turns.look_s == math.inf
    await flood(farm, ALICE, 4)
    await Claimer(farm, "w").claim_all()
    assert not [pk for pk, _ in farm.table._items if pk.startswith("RUNNING")]


async def test_a_tenant_may_have_a_limit_of_its_own(farm: Farm) -> None:
    tenants = farm.services.tenants
    await tenants.limit(ALICE, Limits(running_jobs=MOST + 1), by=Actor("user me"))
    await tenants.limit(BOB, Limits(running_jobs=1), by=Actor("user me"))
    for tenant in (ALICE, BOB):
        await flood(farm, tenant, 5)
    order = await Claimer(farm, "w").claim_all()
    assert sorted(order) == [ALICE] * (MOST + 1) + [BOB]


async def test_who_knows_no_limit_sees_that_a_tenant_is_held_back(farm: Farm) -> None:
    await flood(farm, ALICE, 3)
    claimer = Claimer(farm, "w")
    await claimer.claim_all()
    assert await are_held_back(farm.table, ALICE)
    assert not await are_held_back(farm.table, BOB)
    await ends(farm, claimer)
    assert not await are_held_back(farm.table, ALICE)

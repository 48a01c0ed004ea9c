"""Turns: no tenant waits behind another's backlog, and no job of one waits for ever."""

from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyq.aio.tasks import all_of
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import Job, JobId
from comfyq.domain.job.model import HIGHEST_PRIORITY
from comfyq.domain.job.order import AGEING, rank
from comfyq.ports.table import Page, Put
from comfyq.records.demand import KEPT_S
from comfyq.records.job_items import to_item
from tests.farm import Farm
from tests.unit.services.worker.choice_lab import (
    ALICE,
    BOB,
    CAROL,
    Claimer,
    flood,
    turns_of,
    waiting,
)

pytestmark = pytest.mark.anyio


def counted(farm: Farm) -> list[str]:
    """Return the partitions of the index that are queried from now on."""
    asked: list[str] = []
    query = farm.table.query

    async def noted(index: str, partition: str, **how: object) -> Page:
        asked.append(f"{index} {partition}")
        return await query(index, partition, **how)  # type: ignore[arg-type]

    farm.table.query = noted  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize("workers", [1, 4])
async def test_a_flood_delays_anothers_job_by_one_job_a_worker_at_most(
    farm: Farm, workers: int
) -> None:
    await waiting(farm, tenant=BOB)
    await flood(farm, ALICE, 80)
    claimers = [Claimer(farm, f"w{n}") for n in range(workers)]
    for _ in range(5):
        await all_of(each.claim() for each in claimers)
        await all_of(each.claim() for each in claimers)
        own = await waiting(farm, tenant=BOB)
        before = [len(each.took) for each in claimers]
        while own.id not in {job.id for each in claimers for job in each.took}:
            await all_of(each.claim() for each in claimers)
        first = [each.took[count:] for each, count in zip(claimers, before, strict=True)]
        assert all(len(took) <= 2 for took in first), "one of Alice's, then all see Bob's"


async def test_tenants_take_turns_whatever_they_have_waiting(farm: Farm) -> None:
    for tenant, count in ((ALICE, 20), (BOB, 4), (CAROL, 2)):
        await flood(farm, tenant, count)
    order = await Claimer(farm, "w").claim_all()
    assert len(order) == 26
    for turn in range(2):
        assert set(order[3 * turn : 3 * turn + 3]) == {ALICE, BOB, CAROL}
    assert sorted(order[6:10]) == [ALICE, ALICE, BOB, BOB]
    assert all(one != other for one, other in pairwise(order[5:10]))
    assert set(order[10:]) == {ALICE}


async def test_all_workers_together_share_out_turns(farm: Farm) -> None:
    for tenant in (ALICE, BOB, CAROL):
        await flood(farm, tenant, 20)
    claimers = [Claimer(farm, f"w{n}") for n in range(4)]
    for _ in range(9):
        await all_of(each.claim() for each in claimers)
    took = [job.tenant for each in claimers for job in each.took]
    assert all(8 <= took.count(tenant) <= 16 for tenant in (ALICE, BOB, CAROL))


async def test_each_job_is_claimed_once_and_every_doorbell_is_used_up(farm: Farm) -> None:
    """Whatever doorbell a job was claimed with."""
    stored = [
        job
        for tenant, count in ((ALICE, 30), (BOB, 9), (CAROL, 30))
        for job in await flood(farm, tenant, count)
    ]
    claimers = [Claimer(farm, f"w{n}") for n in range(4)]
    await all_of(each.claim_all() for each in claimers)
    took = [job.id for each in claimers for job in each.took]
    assert sorted(took) == sorted(job.id for job in stored)
    hidden = [message.visible_at_s > farm.queue.now_s() for message in farm.queue.messages]
    assert all(hidden), "none is left that names no waiting job"


async def test_a_tenant_s_own_jobs_keep_their_order(farm: Farm) -> None:
    mine = await flood(farm, ALICE, 8)
    await flood(farm, BOB, 8)
    claimer = Claimer(farm, "w")
    await claimer.claim_all()
    assert [job.id for job in claimer.took if job.tenant == ALICE] == [job.id for job in mine]


async def test_workers_that_choose_at_once_seldom_meet(farm: Farm) -> None:
    for tenant in (ALICE, BOB):
        await flood(farm, tenant, 60)
    claimers = [Claimer(farm, f"w{n}") for n in range(4)]
    gets = farm.table.gets
    for _ in range(15):
        await all_of(each.claim() for each in claimers)
    claimed = sum(len(each.took) for each in claimers)
    assert claimed >= 55
    spec_and_store_kind = 4  # reads of each claim beside that of the job
    assert farm.table.gets - gets <= claimed * (spec_and_store_kind + 2)


async def test_a_lone_tenant_costs_no_look_at_what_waits(farm: Farm) -> None:
    await flood(farm, DEFAULT_TENANT, 20)
    claimer = Claimer(farm, "w")
    await claimer.claim()
    asked = counted(farm)
    for _ in range(18):
        await claimer.claim()
    assert asked == []


async def test_a_tenant_that_is_alone_now_is_looked_at_seldom(farm: Farm) -> None:
    await flood(farm, BOB, 1)
    await flood(farm, ALICE, 20)
    claimer = Claimer(farm, "w", alone_s=60)
    for _ in range(4):
        await claimer.claim()
    asked = counted(farm)
    for _ in range(15):
        await claimer.claim()
    assert asked == []


async def test_a_look_costs_the_same_whatever_waits(farm: Farm) -> None:
    await flood(farm, ALICE, 200)
    await flood(farm, BOB, 1)
    turns = turns_of(farm)
    await turns.choose()
    listed = farm.table.listed
    await turns.choose()
    assert farm.table.listed - listed <= 20


async def test_an_index_that_lags_shows_no_job_twice(farm: Farm) -> None:
    for tenant in (ALICE, BOB):
        await flood(farm, tenant, 5)
    farm.table.settle()
    farm.table.lagging = True
    order = await Claimer(farm, "w").claim_all()
    assert sorted(order) == [ALICE] * 5 + [BOB] * 5


async def test_a_higher_priority_is_claimed_first_and_others_by_age(farm: Farm) -> None:
    low = await waiting(farm, priority=0)
    normal = await waiting(farm)
    high = [await waiting(farm, priority=9) for _ in range(2)]
    claimer = Claimer(farm, "w")
    await claimer.claim_all()
    assert [job.id for job in claimer.took] == [job.id for job in (*high, normal, low)]


async def test_a_priority_counts_among_a_tenant_s_own_jobs_alone(farm: Farm) -> None:
    await flood(farm, ALICE, 6, priority=9)
    await flood(farm, BOB, 3, priority=0)
    order = await Claimer(farm, "w").claim_all()
    assert {name: len(list(turns)) for name, turns in groupby(order[:6])} == {ALICE: 1, BOB: 1}


async def test_a_low_priority_goes_first_when_it_has_waited_for_long(farm: Farm) -> None:
    old = await waiting(farm, priority=0)
    farm.clock.advance(AGEING.total_seconds() * HIGHEST_PRIORITY)
    await flood(farm, DEFAULT_TENANT, 5, priority=9)
    claimer = Claimer(farm, "w")
    await claimer.claim()
    assert [job.id for job in claimer.took] == [old.id]


@given(
    own=st.integers(0, HIGHEST_PRIORITY),
    others=st.lists(st.tuples(st.integers(0, 600), st.integers(0, HIGHEST_PRIORITY)), max_size=40),
)
def test_nothing_sent_after_the_longest_ageing_goes_before_a_job(
    own: int, others: list[tuple[int, int]]
) -> None:
    """So a job waits behind a bounded number, and never starves."""
    longest = AGEING * HIGHEST_PRIORITY
    mine = submitted(own, minutes=0)
    for minutes, priority in others:
        other = submitted(priority, minutes=minutes)
        if timedelta(minutes=minutes) > longest or (minutes and priority <= own):
            assert rank(other) > rank(mine)
        if minutes == 0 and priority > own:
            assert rank(other) < rank(mine)


def submitted(priority: int, *, minutes: int) -> Job:
    sent_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    return jobs.submitted(
        id=JobId("j"), tenant=ALICE, workflow="w", created_at=sent_at, priority=priority
    )


async def test_a_retry_that_is_to_wait_keeps_nobody_from_their_turn(farm: Farm) -> None:
    paused = await waiting(farm, tenant=ALICE, priority=9)
    held = await farm.worker("w0").claims.claim_waiting(paused.id)
    assert held is not None
    pause = timedelta(seconds=30)
    given_back = jobs.release(
        held.job, token=held.token, now=farm.clock.now(), reason="again", retry_in=pause
    )
    await farm.records.save(given_back)
    await flood(farm, BOB, 3)
    claimer = Claimer(farm, "w")
    assert await claimer.claim_all() == [BOB] * 3
    farm.clock.advance(31)
    assert (await claimer.claim_all())[3:] == [ALICE]


async def test_jobs_of_the_version_before_are_claimed_in_turn(farm: Farm) -> None:
    """They stand in the index without their tenant."""
    for _ in range(6):
        job = await waiting(farm, tenant=ALICE)
        await stored_by_former_version(farm, job)
    await flood(farm, BOB, 3)
    farm.clock.advance(1)
    order = await Claimer(farm, "w").claim_all()
    assert sorted(order) == [ALICE] * 6 + [BOB] * 3
    assert {tenant for tenant in order[:2]} == {ALICE, BOB}, "neither waits for the other"


async def test_a_former_job_of_another_family_is_not_passed_over_for_ever(farm: Farm) -> None:
    old = await waiting(farm, "sdxl")
    await stored_by_former_version(farm, old)
    for _ in range(30):
        await waiting(farm, "flux")
    claimer = Claimer(farm, "w")
    for _ in range(4):
        await claimer.claim()
    assert old.id in [job.id for job in claimer.took]


async def stored_by_former_version(farm: Farm, job: Job) -> None:
    item = to_item(job, write_id="w")
    await farm.table.write(Put({**item, "rsk": item["tsk"]}))


async def test_tenants_that_came_long_ago_are_forgotten(farm: Farm) -> None:
    await flood(farm, BOB, 1)
    farm.clock.advance(KEPT_S + 1)
    await Claimer(farm, "w").claim_all()
    await flood(farm, ALICE, 20)
    claimer = Claimer(farm, "w2")
    await claimer.claim()
    asked = counted(farm)
    await claimer.claim()
    assert asked == []


async def test_a_doorbell_whose_job_has_ended_stands_for_another(farm: Farm) -> None:
    """Else the last jobs of a tenant would wait although a worker is idle."""
    mine = await flood(farm, ALICE, 2)
    await flood(farm, BOB, 1)
    del farm.queue.messages[1]  # that of Alice's second job was used for another one
    claimer = Claimer(farm, "w", alone_s=60)
    farm.queue.messages.sort(key=lambda message: message.tenant)
    taken = await farm.worker("w0").claims.claim_waiting(mine[0].id)
    assert taken is not None
    await claimer.claim_all()
    assert mine[1].id in {job.id for job in claimer.took}

"""Doorbells that were used for another job: no job waits on while a worker has nothing to do."""

from collections.abc import Sequence
from random import Random

import pytest

from comfyq.ports.table import Put
from comfyq.records import demand
from comfyq.services.worker.choice import ready_jobs
from tests.farm import Farm
from tests.unit.services.worker.choice_lab import ALICE, BOB, CAROL, Claimer, flood, waiting

pytestmark = pytest.mark.anyio

RETRY_S = 30
DEPTH = 2  # jobs that a worker holds at once
Step = tuple[str, int, str | float]
PASSED_OVER: Sequence[Step] = [
    ("send", 0, "a"),
    ("claim", 0, 0),
    ("end", 0, 0),
    ("send", 0, "b"),
    ("send", 0, "a"),
    ("claim", 0, 0),  # the second "a", whose models are loaded, with the doorbell of "b"
    ("claim", 1, 0),  # by a worker that has run nothing yet
]


@pytest.fixture(autouse=True)
def _no_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FAMILIES_S", "PLAIN_S", "TRIED_S"):
        monkeypatch.setattr(ready_jobs, name, 0)


async def test_a_doorbell_whose_job_another_worker_has_stands_for_any_family(farm: Farm) -> None:
    first, second = Claimer(farm, "w1"), Claimer(farm, "w2")
    for claimer, family in ((first, "flux"), (second, "sdxl")):
        await waiting(farm, family)
        await claimer.claim()
    passed_over = await waiting(farm, "sdxl")
    fitting = await waiting(farm, "flux")
    assert (await first.claim() or passed_over).id == fitting.id, "with the other's doorbell"
    assert len([m for m in farm.queue.messages if m.visible_at_s <= farm.queue.now_s()]) == 1
    assert (await second.claim() or fitting).id == passed_over.id


async def test_an_idle_worker_finds_a_job_without_a_doorbell(farm: Farm) -> None:
    claimer = Claimer(farm, "w")
    for family in ("sdxl", "flux"):
        await waiting(farm, family)
        await claimer.claim()
    left = await waiting(farm, "flux")
    farm.queue.messages.clear()
    assert (await claimer.claim() or claimer.took[0]).id == left.id, "of the loaded family"


async def test_a_worker_goes_on_choosing_while_others_are_faster(farm: Farm) -> None:
    claimer, other = Claimer(farm, "w1"), farm.worker("w2")
    ended = await waiting(farm, tenant=ALICE)
    assert await other.claims.claim_waiting(ended.id) is not None
    mine = [*await flood(farm, ALICE, 5), *await flood(farm, BOB, 1)]
    del farm.queue.messages[1:]
    choose = claimer.turns.choose

    async def slow(own=None, **how):  # type: ignore[no-untyped-def]
        chosen = await choose(own, **how)
        if own is None and len(faster) < 3:
            faster.append(chosen[0].id)
            for each in chosen:
                assert await other.claims.claim_waiting(each.id) is not None
        return chosen if own is None else ()

    faster: list[str] = []
    claimer.turns.choose = slow  # type: ignore[method-assign]
    job = await claimer.claim()
    assert job is not None
    assert job.id in {each.id for each in mine}


async def test_a_doorbell_is_kept_for_a_job_that_was_just_given_back(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready_jobs, "TRIED_S", 60)
    claimer, other = Claimer(farm, "w1"), Claimer(farm, "w2")
    ended, job = await waiting(farm, tenant=ALICE), await waiting(farm, tenant=BOB)
    held = await other.claims.claim_waiting(ended.id)
    assert held is not None
    other.held.append(held)
    await other.succeed()
    del farm.queue.messages[1:]
    for _ in range(3):
        assert (await claimer.claim() or ended).id == job.id, "with the other's doorbell"
        await claimer.give_back(0)
    assert len(farm.queue.messages) == 1


async def test_retries_that_are_to_wait_do_not_hide_their_tenant_s_other_jobs(farm: Farm) -> None:
    await flood(farm, ALICE, 15, priority=9)
    first = Claimer(farm, "w1")
    while await first.claim() is not None:
        await first.give_back(RETRY_S * 20)
    await flood(farm, ALICE, 3)
    await flood(farm, BOB, 30)
    order = await Claimer(farm, "w2").claim_all()
    assert order[:6].count(ALICE) == 3, "in turns"


def drawn(seed: int) -> Sequence[Step]:
    """Return what clients and workers do, in some order."""
    draw = Random(seed)
    steps: list[Step] = []
    for _ in range(draw.randint(4, 40)):
        step = draw.choice(["send", "claim", "end", "give back"])
        what = draw.choice("abc") if step == "send" else draw.choice([0, RETRY_S])
        steps.append((step, draw.randint(0, 2), what))
    return steps


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("seed", range(31))
async def test_every_job_ends_without_the_reaper(farm: Farm, seed: int, looks: bool) -> None:
    """In any order of what clients and workers do, whether or not idle workers look."""
    steps = drawn(seed) if seed else PASSED_OVER
    tenants = [ALICE, BOB, CAROL][: 1 + seed % 3]
    claimers = [Claimer(farm, f"w{n}") for n in range(3)]
    sent = []
    for step, who, what in steps:
        if step == "send":
            sent.append(await waiting(farm, str(what), tenant=tenants[who % len(tenants)]))
            continue
        claimer = claimers[who]
        if step == "claim" and len(claimer.held) < DEPTH:
            await _claim(farm, claimer, looks=looks)
        elif step == "end" and claimer.held:
            await claimer.succeed()
        elif step == "give back" and claimer.held:
            await claimer.give_back(float(what))
    await _end_all(farm, claimers, looks=looks)
    farm.clock.advance(RETRY_S + 1)
    await _end_all(farm, claimers, looks=looks)
    for job in sent:
        assert (await farm.records.get(job.id)).status.terminal


async def _end_all(farm: Farm, claimers: Sequence[Claimer], *, looks: bool) -> None:
    found = True
    while found:
        found = False
        for claimer in claimers:
            found |= bool(claimer.held) or await _claim(farm, claimer, looks=looks)
            if claimer.held:
                await claimer.succeed()


async def _claim(farm: Farm, claimer: Claimer, *, looks: bool) -> bool:
    """Let a worker claim; return whether a doorbell came or a job was found."""
    now_s = farm.queue.now_s()
    is_rung = any(message.visible_at_s <= now_s for message in farm.queue.messages)
    return (is_rung or looks) and (await claimer.claim() is not None or is_rung)


async def test_one_tenant_s_families_hide_no_job_of_another(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demand, "MOST", 10)
    for number in range(12):
        await waiting(farm, f"0{number:03}", tenant=BOB)
    await waiting(farm, "zimage", tenant=ALICE)
    claimer = Claimer(farm, "w")
    await claimer.claim()
    await claimer.claim()
    assert ALICE in {job.tenant for job in claimer.took}, "in turns"
    assert await claimer.claim_all() != []
    assert len(claimer.took) == 13, "jobs of families without room in the list as well"


async def test_a_list_that_a_former_version_filled_hides_no_job(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demand, "MOST", 10)
    monkeypatch.setattr(demand, "READ_MOST", 20)
    for number in range(40):
        await farm.table.write(Put({"pk": "FAMILY", "sk": f"0{number:03}"}))
    for _ in range(3):
        await waiting(farm, "0000", tenant=BOB)
    await waiting(farm, "zimage", tenant=ALICE)
    claimer = Claimer(farm, "w")
    for _ in range(2):
        await claimer.claim()
    assert ALICE in {job.tenant for job in claimer.took}, "in turns"

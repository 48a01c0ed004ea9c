"""Estimates of a job's end and position, as clients are told."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from comfyq.aio.tasks import beside
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.domain.job.progress import Progress, Provisioning
from comfyq.mcp.content import doing
from comfyq.ports.table import Page, Write
from comfyq.records.demand import DemandRecords
from comfyq.records.indexes.followed_jobs import ANY_WORKER
from comfyq.records.run_times import RunTimeRecords
from comfyq.services.jobs.estimates import AHEAD, FAMILIES, NEXT
from comfyq.services.worker.reporting.run_times import RunTimes
from tests.api_lab import TTL, WORKER, ApiLab
from tests.catalogue_lab import beat
from tests.farm import Farm

pytestmark = pytest.mark.anyio

FLUX = "flux-dev"


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


async def works(lab: ApiLab, name: str, *jobs: str, engine_ok: bool = True) -> None:
    await beat(lab, name, jobs=jobs, engine_ok=engine_ok)


def told(lab: ApiLab, job_id: str) -> tuple[int | None, int | None]:
    shown = lab.show(job_id)
    return shown["queue_position"], shown["eta_s"]


async def test_waiting_jobs_stand_in_the_order_of_their_submission(lab: ApiLab) -> None:
    first = lab.submit()["id"]
    lab.clock.advance(1)
    second = lab.submit(workflow="sdxl")["id"]
    lab.clock.advance(1)
    third = lab.submit()["id"]
    assert [told(lab, each)[0] for each in (first, second, third)] == [1, 2, 3]


async def test_the_wait_follows_from_run_times_workers_and_position(lab: ApiLab) -> None:
    await lab.run_times.put(DEFAULT_TENANT, FLUX, 10.0)
    await works(lab, "w1", "other")
    await works(lab, "w2", "another")
    await works(lab, "w3", engine_ok=False)
    first = lab.submit()["id"]
    lab.clock.advance(1)
    second = lab.submit()["id"]
    assert told(lab, first) == (1, 15), "half a run on each of two workers, and its own"
    assert told(lab, second) == (2, 20)


async def waits_for_another(lab: ApiLab, tenant: str, count: int = 1) -> None:
    """Store waiting jobs of another tenant."""
    own = await lab.records.get(JobId(lab.submit()["id"]))
    for _ in range(count):
        other = replace(own, id=JobId(str(uuid4())), tenant=TenantId(tenant), version=1)
        await lab.services.demand.note(other)
        await lab.records.create(other, await lab.records.spec(own.id))
    await lab.change(own.id, jobs.request_cancel)


async def test_a_position_counts_no_other_tenant_s_jobs(lab: ApiLab) -> None:
    await waits_for_another(lab, "alice", 7)
    for position in (1, 2):
        lab.clock.advance(1)
        assert told(lab, lab.submit()["id"])[0] == position


async def test_the_wait_is_longer_while_others_take_turns_and_tells_no_numbers(lab: ApiLab) -> None:
    await lab.run_times.put(DEFAULT_TENANT, FLUX, 10.0)
    await works(lab, "w1", "running")
    lab.submit()
    lab.clock.advance(1)
    mine = lab.submit()["id"]
    assert told(lab, mine) == (2, 25), "the other's half, mine before it, itself"
    for tenant, count, eta_s in (("a", 1, 45), ("a", 50, 45), ("b", 3, 45), ("c", 1, 85)):
        await waits_for_another(lab, tenant, count)
        assert told(lab, mine) == (2, eta_s)


async def test_nothing_is_estimated_from_what_others_have_run_or_workers_hold_of_theirs(
    lab: ApiLab,
) -> None:
    await lab.run_times.put(TenantId("alice"), FLUX, 100.0)
    await works(lab, "w1")
    assert told(lab, lab.submit()["id"]) == (1, None)
    estimates = []
    for held in ((), ("theirs",), ("theirs", "another")):
        busy = ApiLab()
        await busy.run_times.put(DEFAULT_TENANT, FLUX, 10.0)
        await busy.services.demand.note(replace(await a_job(busy), tenant=TenantId("alice")))
        await works(busy, "w1", *held)
        estimates.append(told(busy, busy.submit()["id"]))
    assert estimates == [estimates[0]] * 3
    assert estimates[0][1] is not None


async def a_job(lab: ApiLab) -> Job:
    """Return a job that waits no more."""
    job_id = JobId(lab.submit()["id"])
    return await lab.change(job_id, jobs.request_cancel)


async def test_without_a_worker_or_a_known_run_time_there_is_a_position_alone(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await works(lab, "w1")
    assert told(lab, job_id) == (1, None)
    other = ApiLab()
    await other.run_times.put(DEFAULT_TENANT, FLUX, 10.0)
    assert told(other, other.submit()["id"]) == (1, None)


async def test_a_running_job_counts_down_by_what_is_usual_and_by_its_own_pace(lab: ApiLab) -> None:
    await lab.run_times.put(DEFAULT_TENANT, FLUX, 100.0)
    job_id = lab.submit()["id"]
    await lab.start(job_id)
    lab.clock.advance(20)
    assert told(lab, job_id) == (None, 80)
    await lab.advance(job_id, Progress(0.5, 10, 20))
    assert told(lab, job_id) == (None, 50), "usual: 80 more; at its pace: 20 more"


async def test_a_running_job_of_an_unknown_workflow_goes_by_its_pace(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.start(job_id)
    lab.clock.advance(20)
    assert told(lab, job_id) == (None, None)
    await lab.advance(job_id, Progress(0.25, 5, 20))
    assert told(lab, job_id) == (None, 60)


async def test_a_run_that_is_longer_than_usual_goes_by_its_own_pace(lab: ApiLab) -> None:
    await lab.run_times.put(DEFAULT_TENANT, FLUX, 3.0)
    job_id = lab.submit()["id"]
    await lab.start(job_id)
    lab.clock.advance(2)
    await lab.advance(job_id, Progress(0.01, 1, 150))
    assert told(lab, job_id) == (None, None), "at its pace it takes 200 s"
    lab.clock.advance(8)
    await lab.advance(job_id, Progress(0.05, 7, 150))
    assert told(lab, job_id) == (None, None), "it is overdue, and its models may have been loading"
    lab.clock.advance(30)
    await lab.advance(job_id, Progress(0.2, 30, 150))
    assert told(lab, job_id) == (None, 160)


async def test_the_job_behind_one_of_ones_own_waits_for_its_end(lab: ApiLab) -> None:
    await lab.run_times.put(DEFAULT_TENANT, FLUX, 3.0)
    slow, behind = lab.submit()["id"], lab.submit()["id"]
    await works(lab, "w1", slow, behind)
    await lab.start(slow)
    await lab.change(behind, partial(jobs.claim, worker=WorkerId("w1"), ttl=timedelta(hours=1)))
    assert told(lab, behind) == (0, 6)
    assert "it is the next one" in lab.show(behind)["waits_for"]
    lab.clock.advance(5)
    assert told(lab, behind) == (0, None), "nobody knows when the one before it ends"
    await lab.advance(slow, Progress(0.1, 15, 150))
    assert told(lab, behind) == (0, 48)
    await lab.change(slow, partial(jobs.succeed, token=1), outputs=[])
    assert lab.show(behind)["waits_for"] is None


async def test_many_who_ask_for_a_claimed_job_read_its_workers_jobs_once(lab: ApiLab) -> None:
    lab.services.estimates._front_s = 3_600  # this lab remembers nothing else
    ids = [lab.submit()["id"] for _ in range(3)]
    await works(lab, "w1", *ids)
    await lab.start(ids[0])
    claim = partial(jobs.claim, worker=WorkerId("w1"), ttl=timedelta(hours=1))
    claimed = [await lab.change(job_id, claim) for job_id in ids[1:]]
    gets = lab.table.gets
    told = [await lab.services.estimates.estimate(job) for job in claimed for _ in range(20)]
    assert {each.waits_for for each in told} == {NEXT}
    assert lab.table.gets - gets <= len(ids) + 1, "and what its workflow usually takes"


async def test_a_job_behind_another_tenant_s_is_told_nothing_of_it(lab: ApiLab) -> None:
    await lab.run_times.put(DEFAULT_TENANT, FLUX, 3.0)
    own = await lab.records.get(JobId(lab.submit()["id"]))
    other = replace(own, id=JobId(str(uuid4())), tenant=TenantId("alice"), version=1)
    await lab.records.create(other, await lab.records.spec(own.id))
    await works(lab, "w1", other.id, own.id)
    await lab.start(other.id)
    await lab.change(own.id, partial(jobs.claim, worker=WorkerId("w1"), ttl=timedelta(hours=1)))
    assert lab.show(own.id)["waits_for"] is None
    assert told(lab, own.id) == (0, 5)


async def test_a_position_far_back_is_not_looked_for(lab: ApiLab) -> None:
    for _ in range(AHEAD):
        lab.submit()
        lab.clock.advance(1)
    last = lab.submit()["id"]
    asked = count_items(lab)
    assert told(lab, last) == (None, None)
    assert sum(asked) <= AHEAD


async def test_among_too_many_families_nothing_is_counted(lab: ApiLab) -> None:
    demand = DemandRecords(lab.table, clock=lab.clock)
    job = await lab.records.get(lab.submit()["id"])
    for number in range(FAMILIES + 1):
        await demand.note(replace(job, family=f"family-{number}"))
    asked = count_items(lab)
    assert told(lab, lab.submit()["id"]) == (None, None)
    assert asked == [], "no family's jobs are read"


async def test_nothing_more_is_read_of_an_ended_job(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.succeed(job_id)
    asked = count_items(lab)
    assert told(lab, job_id) == (None, None)
    assert asked == []


def count_items(lab: ApiLab) -> list[int]:
    """Limit how many items each query of the waiting jobs returns from now on."""
    asked: list[int] = []
    query = lab.table.query

    async def counted(index: str, partition: str, **how: Any) -> Page:
        page = await query(index, partition, **how)
        if index == "ready":
            asked.append(len(page.items))
        return page

    lab.table.query = counted  # type: ignore[method-assign]
    return asked


async def test_a_worker_learns_what_is_usual_of_the_jobs_that_it_ends(farm: Farm) -> None:
    worker = farm.worker("w1")
    await farm.submit()
    async with beside(worker.run_times.run()):
        await worker.run_once()
        await learned(farm, 0.0)  # the clock stood still


async def test_the_average_is_every_worker_s_and_moves_slowly(farm: Farm) -> None:
    for ran_s, usual_s in ((10, 10.0), (20, 12.0)):
        times = farm.worker("w1").run_times
        times.note(ran(farm, ran_s))
        async with beside(times.run()):
            await learned(farm, usual_s)


async def test_runs_in_between_share_one_write(farm: Farm) -> None:
    writes = count_writes(farm)
    times = RunTimes(records=RunTimeRecords(farm.table), period_s=60)
    for _ in range(50):
        times.note(ran(farm, 10))
    async with beside(times.run()):
        await learned(farm, 10.0)
        times.note(ran(farm, 20))
    assert len(writes) == 1


async def test_a_run_that_another_attempt_may_have_begun_tells_nothing(farm: Farm) -> None:
    times = farm.worker("w1").run_times
    times.note(replace(ran(farm, 1), attempt=2))  # the first has no verdict: it was adopted
    times.note(replace(ran(farm, 10), attempt=3, settled_attempt=2))
    async with beside(times.run()):
        await learned(farm, 10.0)


def ran(farm: Farm, seconds: int) -> Job:
    job = jobs.submitted(
        id=JobId("j"), tenant=DEFAULT_TENANT, workflow="w", created_at=farm.clock.now()
    )
    ended_at = farm.clock.now() + timedelta(seconds=seconds)
    return replace(job, attempt=1, started_at=farm.clock.now(), ended_at=ended_at)


async def learned(farm: Farm, usual_s: float) -> None:
    async with asyncio.timeout(5):
        records = RunTimeRecords(farm.table)
        while await records.usual_s(DEFAULT_TENANT, "w") != usual_s:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def count_writes(farm: Farm) -> list[Write]:
    done: list[Write] = []
    write = farm.table.write

    async def counted(*writes: Write, synced: bool = True) -> None:
        done.extend(writes)
        await write(*writes)

    farm.table.write = counted  # type: ignore[method-assign]
    return done


NO_WORKER = "a worker that takes jobs: no worker is connected"


@pytest.mark.parametrize(
    ("engines", "reason"),
    [
        (
            [],
            f"{NO_WORKER}; none was seen in the last 24 hours",
        ),
        ([False], "a worker that takes jobs: ComfyUI does not answer"),
        ([False, True], None),
    ],
)
async def test_a_waiting_job_says_why_no_worker_takes_it(
    lab: ApiLab, engines: list[bool], reason: str | None
) -> None:
    for number, engine_ok in enumerate(engines):
        await works(lab, f"w{number}", engine_ok=engine_ok)
    job_id = lab.submit()["id"]
    assert lab.show(job_id)["waits_for"] == reason
    [listed] = lab.client.get("/generate").json()["jobs"]
    assert (listed["waits_for"], listed["queue_position"]) == (reason, 1)


@pytest.mark.parametrize(
    ("engine_ok", "reason"), [(True, None), (False, "ComfyUI does not answer")]
)
async def test_a_claimed_job_says_why_its_worker_does_not_start_it(
    lab: ApiLab, engine_ok: bool, reason: str | None
) -> None:
    job_id = lab.submit()["id"]
    await lab.change(job_id, partial(jobs.claim, worker=WorkerId("w0"), ttl=timedelta(seconds=60)))
    await works(lab, "w0", job_id, engine_ok=engine_ok)
    shown = lab.show(job_id)
    wanted = None if reason is None else f"a worker that takes jobs: {reason}"
    assert (shown["status"], shown["queue_position"]) == ("queued", 0)
    assert shown["waits_for"] == wanted


FOREIGN = "ComfyUI first runs 2 prompts of others, sent to it without comfyq"


@pytest.mark.parametrize("another", [False, True])
async def test_jobs_behind_prompts_of_others_say_so_and_have_no_end(
    lab: ApiLab, another: bool
) -> None:
    await lab.run_times.put(DEFAULT_TENANT, FLUX, 10.0)
    claimed, waiting = lab.submit()["id"], lab.submit()["id"]
    await lab.change(claimed, partial(jobs.claim, worker=WorkerId("w0"), ttl=timedelta(seconds=60)))
    await beat(lab, "w0", jobs=[claimed], foreign_prompts=2)
    if another:
        await beat(lab, "w1")
    shown = lab.show(claimed)
    assert (shown["waits_for"], shown["eta_s"]) == (FOREIGN, None), "it is in that ComfyUI"
    story = lab.client.get(f"/generate/{claimed}/story").json()
    assert (story["waits_for"], story["queue_position"]) == (FOREIGN, 0)
    shown = lab.show(waiting)
    expected = (None, 10) if another else (FOREIGN, None)
    assert (shown["waits_for"], shown["eta_s"]) == expected


async def test_reasons_are_told_by_worker_where_there_is_one(lab: ApiLab) -> None:
    await beat(lab, "w1", foreign_prompts=2)
    await beat(lab, "w2", engine_ok=False)
    await beat(lab, "w3")
    away = "a worker that takes jobs: ComfyUI does not answer"
    assert await lab.services.estimates.reasons() == {"w1": FOREIGN, "w2": away}
    alone = ApiLab()
    await beat(alone, "w1", foreign_prompts=2)
    assert await alone.services.estimates.reasons() == {ANY_WORKER: FOREIGN, "w1": FOREIGN}


async def test_a_waiting_job_says_since_when_no_worker_is_there(lab: ApiLab) -> None:
    await works(lab, "w0")
    seen_at = lab.clock.now()
    await lab.workers.end(WorkerId("w0"))
    lab.clock.advance(3600)
    job_id = lab.submit()["id"]
    expected = f"the last one was seen at {seen_at:%Y-%m-%dT%H:%M:%SZ}"
    assert lab.show(job_id)["waits_for"].endswith(expected)


async def test_a_job_far_back_has_a_bound_for_its_position(lab: ApiLab) -> None:
    for _ in range(AHEAD):
        lab.submit()
        lab.clock.advance(1)
    shown = lab.show(lab.submit()["id"])
    assert (shown["queue_position"], shown["queue_position_above"]) == (None, AHEAD)


async def test_the_story_has_the_attempt_that_runs(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    url = f"/generate/{job_id}/story"
    assert lab.client.get(url).json()["running_attempt"] is None
    job = await lab.start(job_id)
    attempt = lab.client.get(url).json()["running_attempt"]
    assert job.lease is not None
    assert (attempt["number"], attempt["worker"]) == (1, job.lease.worker)
    assert attempt["started_at"] is not None
    await lab.succeed(job_id)
    assert lab.client.get(url).json()["running_attempt"] is None


async def test_a_job_that_its_tenants_limit_holds_back_says_so() -> None:
    lab = ApiLab(COMFYQ_RUNNING_JOBS=1)
    running, mine = (lab.submit()["id"] for _ in range(2))
    await works(lab, "w1", running)
    assert lab.show(mine)["waits_for"] is None
    await lab.start(running)
    reason = lab.show(mine)["waits_for"]
    assert reason == "the end of another job of yours: 1 at once may be with workers"
    await waits_for_another(lab, "alice")
    await lab.change(running, partial(jobs.succeed, token=1))
    assert lab.show(mine)["waits_for"] is None


async def test_a_job_whose_models_come_ends_when_they_are_here_and_it_has_run(lab: ApiLab) -> None:
    await lab.run_times.put(DEFAULT_TENANT, FLUX, 10.0)
    job_id = lab.submit()["id"]
    job = await lab.change(job_id, partial(jobs.claim, worker=WORKER, ttl=TTL))
    await works(lab, WORKER, job_id)
    for left_s, expected in ((None, None), (30, 40)):
        at = Provisioning(5, 20, left_s)
        provision = partial(jobs.provision, token=job.attempt, ttl=TTL, provisioning=at)
        await lab.change(job_id, provision)
        shown = lab.show(job_id)
        assert shown["provisioning"] == {"bytes": 5, "total": 20, "eta_s": left_s}
        assert shown["waits_for"] == "its models, which its worker fetches"
        assert (shown["queue_position"], shown["eta_s"]) == (0, expected)
        left = ", about 30 s left" if left_s else ""
        assert doing(shown) == f"Its worker fetches its models: 5 of 20 bytes are there{left}"
    await lab.change(job_id, partial(jobs.start, token=job.attempt))
    assert lab.show(job_id)["provisioning"] is None

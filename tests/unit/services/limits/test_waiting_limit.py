"""The limit on a tenant's waiting jobs, and what it costs to count them."""

import asyncio
from typing import Any

import pytest

from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope, TenantId
from comfyq.domain.errors import TooManyWaiting
from comfyq.records.indexes.waiting_jobs import WaitingRecords
from comfyq.records.tenants import TenantRecords
from comfyq.services.limits import waiting_limit
from comfyq.services.limits.known_tenants import KnownTenants
from comfyq.services.limits.tenant_limits import AppliedLimits, TenantLimits
from comfyq.services.limits.waiting_limit import WaitingLimit
from tests.api_lab import ApiLab
from tests.farm import Farm

pytestmark = pytest.mark.anyio

CAP = 5


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> ApiLab:
    monkeypatch.setattr(waiting_limit, "RECOUNT_S", 0)
    return ApiLab(COMFYQ_WAITING_JOBS=CAP)


def test_more_are_refused_until_some_have_ended(lab: ApiLab) -> None:
    accepted = [post(lab).json()["id"] for _ in range(CAP)]
    refused = post(lab)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    problem = refused.json()
    assert problem["code"] == "too-many-waiting"
    assert str(CAP) in problem["detail"]
    assert "COMFYQ_WAITING_JOBS" in problem["detail"]
    assert "cancel" in problem["detail"]
    lab.client.delete(f"/generate/{accepted[0]}")
    assert post(lab).status_code == 202


def test_a_batch_counts_whole(lab: ApiLab) -> None:
    batch = {"requests": [{"prompt": "x"}] * CAP}
    assert post(lab).status_code == 202
    refused = lab.client.post("/generate/batch", json=batch)
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-waiting")
    assert len(lab.client.get("/generate").json()["jobs"]) == 1
    batch["requests"].pop()
    assert lab.client.post("/generate/batch", json=batch).status_code == 202


def test_what_is_refused_for_another_reason_takes_no_room() -> None:
    lab = ApiLab(COMFYQ_WAITING_JOBS=CAP)  # counted once in this test: its clock is a real one
    bad: dict[str, Any] = {"prompt": "x", "steps": -1}
    for _ in range(2 * CAP):
        assert lab.client.post("/generate", json=bad).status_code == 422
        refused = lab.client.post("/generate/batch", json={"requests": [bad, bad]})
        assert refused.status_code == 422
    partly = lab.client.post("/generate/batch", json={"requests": [bad, {"prompt": "x"}]})
    assert partly.status_code == 202
    assert [post(lab).status_code for _ in range(CAP)] == [202] * (CAP - 1) + [429]


def test_a_batch_for_which_there_never_is_room_is_not_told_to_wait(lab: ApiLab) -> None:
    batch = {"requests": [{"prompt": "x"}] * (CAP + 1)}
    refused = lab.client.post("/generate/batch", json=batch)
    assert (refused.status_code, refused.json()["code"]) == (413, "too-large")
    assert "retry-after" not in refused.headers
    assert "COMFYQ_WAITING_JOBS" in refused.json()["detail"]


async def test_what_never_fits_is_told_so_at_once_and_counts_nowhere() -> None:
    """Also where the requests of a minute are used up: waiting for more would help nobody."""
    settings: dict[str, Any] = {"COMFYQ_REQUESTS_PER_MINUTE": 4, "COMFYQ_JOBS_PER_DAY": 10}
    for waiting, words in ((3, "COMFYQ_WAITING_JOBS"), (100, "COMFYQ_JOBS_PER_DAY")):
        lab = ApiLab(COMFYQ_WAITING_JOBS=waiting, **settings)
        for used in (0, 1):
            refused = lab.client.post("/generate/batch", json={"requests": [{"prompt": "x"}] * 12})
            assert (refused.status_code, words in refused.json()["detail"]) == (413, True)
            quota = lab.client.get("/quota").json()
            assert [each["remaining"] for each in quota["requests"]] == [4 - used]
            assert quota["jobs_per_day"]["used"] == used
            assert post(lab).status_code == 202


async def test_a_refusal_for_want_of_room_costs_no_request() -> None:
    lab = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=3, COMFYQ_WAITING_JOBS=1)
    assert post(lab).status_code == 202
    for _ in range(5):
        refused = post(lab)
        assert refused.json()["code"] == "too-many-waiting"
        assert "r=2;" in refused.headers["RateLimit"]
    for _ in range(2):  # dry runs wait for no worker
        assert lab.client.post("/generate?dry_run=true", json={"prompt": "x"}).status_code == 200
    refused = post(lab)
    assert refused.json()["code"] == "rate-limited", "which is known without counting jobs"


async def test_a_refusal_by_the_rate_leaves_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another process's requests, this one learns when it counts its own."""
    lab = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=1, COMFYQ_WAITING_JOBS=2)
    other = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=1, COMFYQ_WAITING_JOBS=2)
    caller = Caller(DEFAULT_TENANT, frozenset({Scope.SUBMIT}))
    rate = lab.services.submission_limits.rate
    monkeypatch.setattr(rate, "_records", other.services.used_records)
    await other.services.submission_limits.rate.acquire(caller)
    for _ in range(3):
        rate._full_us.clear()
        assert post(lab).json()["code"] == "rate-limited"
    used, _ = await lab.services.submission_limits.waiting.used(caller.tenant)
    assert used == 0


def test_a_replay_takes_no_room(lab: ApiLab) -> None:
    headers = {"Idempotency-Key": "k"}
    first = post(lab, headers=headers)
    for _ in range(CAP - 1):
        post(lab)
    assert post(lab, headers=headers).json()["id"] == first.json()["id"]


async def test_counting_costs_no_more_with_each_submission(farm: Farm) -> None:
    """A count serves many submissions, however many jobs wait."""
    for _ in range(40):
        await farm.submit()
    caller = Caller(DEFAULT_TENANT, frozenset({Scope.SUBMIT}))
    limit = limit_of(farm, 1_000, waiting=WaitingRecords(farm.table))
    before = farm.table.listed
    for _ in range(100):
        await limit.acquire(caller)
    assert farm.table.listed - before == 40, "they were counted once"
    with pytest.raises(TooManyWaiting):
        await limit.acquire(caller, 901)


async def test_concurrent_submissions_are_counted_once_and_keep_the_limit(farm: Farm) -> None:
    for _ in range(3):
        await farm.submit()
    caller = Caller(DEFAULT_TENANT, frozenset({Scope.SUBMIT}))
    limit = limit_of(farm, 10, waiting=WaitingRecords(farm.table))
    before = farm.table.listed
    acquired = await asyncio.gather(
        *(limit.acquire(caller) for _ in range(50)), return_exceptions=True
    )
    assert acquired.count(None) == 7
    assert farm.table.listed - before == 3
    refusals = [each for each in acquired if each is not None]
    assert all(isinstance(each, TooManyWaiting) for each in refusals)


async def test_what_is_accepted_while_others_are_counted_takes_room(farm: Farm) -> None:
    caller = Caller(DEFAULT_TENANT, frozenset({Scope.SUBMIT}))
    waiting = WaitingRecords(farm.table)
    limit = limit_of(farm, 10, waiting=waiting)
    counting, go_on = asyncio.Event(), asyncio.Event()
    count = waiting.count

    async def slow(tenant: TenantId, *, most: int) -> int:
        counted = await count(tenant, most=most)
        counting.set()
        await go_on.wait()
        return counted

    await limit.acquire(caller)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting_limit, "RECOUNT_S", 0)
        patch.setattr(waiting, "count", slow)
        async with asyncio.TaskGroup() as group:
            group.create_task(limit.acquire(caller, 8))  # uses up so much that it counts again
            await counting.wait()
            await limit.acquire(caller, 2)  # fits what was counted before
            go_on.set()
    with pytest.raises(TooManyWaiting):
        await limit.acquire(caller)


def limit_of(farm: Farm, cap: int, *, waiting: WaitingRecords) -> WaitingLimit:
    tenants = KnownTenants(records=TenantRecords(farm.table), clock=farm.clock)
    settings = AppliedLimits(waiting_jobs=cap, stored_bytes=1)
    limits = TenantLimits(tenants=tenants, settings=settings)
    return WaitingLimit(waiting=waiting, limits=limits)


def post(lab: ApiLab, **options: Any) -> Any:
    return lab.client.post("/generate", json={"prompt": "x"}, **options)

"""Token buckets of tenants and keys: what they let through, what they cost, what they say."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.domain.caller import DEFAULT_TENANT, Caller, TenantId
from comfyq.domain.errors import RateLimited, TableUnavailable
from comfyq.domain.tenant import Limits, Tenant
from comfyq.domain.token_bucket import TokenBucket
from comfyq.ports.table import Key, Sum, Table
from comfyq.records.limits.used import UsedRecords, key_bucket
from comfyq.records.tenants import TenantRecords
from comfyq.services.limits.known_tenants import KnownTenants
from comfyq.services.limits.rate_limit import Allowance, RateLimit
from comfyq.services.limits.tenant_limits import AppliedLimits, TenantLimits
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable
from tests.access_lab import ALL
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

FOX = {"prompt": "a fox"}
OWNER = Caller(DEFAULT_TENANT, ALL)
HOLDER = Caller(DEFAULT_TENANT, ALL, key="k")


def process(
    table: Table, clock: ManualClock, *, of_tenant: int | None = None, per_key: int | None = None
) -> RateLimit:
    """Return the limit as one API process has it."""
    settings = AppliedLimits(requests_per_minute=of_tenant, waiting_jobs=1, stored_bytes=1)
    limits = TenantLimits(
        tenants=KnownTenants(records=TenantRecords(table), clock=clock), settings=settings
    )
    return RateLimit(records=UsedRecords(table), limits=limits, clock=clock, per_key=per_key)


async def accepted(limit: RateLimit, caller: Caller = OWNER, *, tries: int) -> int:
    """Return how many of so many requests at once are let through."""
    answers = await asyncio.gather(
        *(limit.acquire(caller) for _ in range(tries)), return_exceptions=True
    )
    refusals = [each for each in answers if each is not None]
    assert all(isinstance(each, RateLimited) for each in refusals)
    return tries - len(refusals)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite"])
def table(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Iterator[Table]:
    if request.param == "memory":
        yield MemoryTable(clock=clock)
        return
    database = Database(path=tmp_path / "comfyq.db")
    yield SqliteTable(database=database, clock=clock)
    database.close()


async def test_several_processes_let_no_more_through_together(
    table: Table, clock: ManualClock
) -> None:
    processes = [process(table, clock, of_tenant=10) for _ in range(4)]
    passed = await asyncio.gather(*(accepted(each, tries=8) for each in processes))
    assert sum(passed) == 10
    clock.advance(18)  # three come back
    passed = await asyncio.gather(*(accepted(each, tries=8) for each in processes))
    assert sum(passed) == 3
    clock.advance(3_600)  # no more than all of them come back
    passed = await asyncio.gather(*(accepted(each, tries=8) for each in processes))
    assert sum(passed) == 10


async def test_a_refusal_says_when_there_is_room_and_then_there_is(
    table: Table, clock: ManualClock
) -> None:
    limit = process(table, clock, of_tenant=7)
    await limit.acquire(OWNER, 6)
    with pytest.raises(RateLimited, match="COMFYQ_REQUESTS_PER_MINUTE") as refused:
        await limit.acquire(OWNER, 4)
    clock.advance(refused.value.retry_after_s - 1)
    with pytest.raises(RateLimited):
        await limit.acquire(OWNER, 4)
    clock.advance(1)
    await limit.acquire(OWNER, 4)


async def test_a_batch_over_the_limit_takes_a_full_bucket_and_leaves_a_debt(
    table: Table, clock: ManualClock
) -> None:
    limit = process(table, clock, of_tenant=10)
    await limit.acquire(OWNER)
    with pytest.raises(RateLimited) as refused:
        await limit.acquire(OWNER, 500)
    clock.advance(refused.value.retry_after_s)
    await limit.acquire(OWNER, 500)
    assert await limit.standing(OWNER) == [Allowance("tenant", 10, 0, 3_000)]
    clock.advance(2_940)  # 490 have come back
    assert await accepted(limit, tries=3) == 0
    clock.advance(12)
    other = process(table, clock, of_tenant=10)
    assert await accepted(other, tries=5) == 2


async def test_one_key_uses_up_no_other_keys_requests(clock: ManualClock) -> None:
    limit = process(MemoryTable(clock=clock), clock, of_tenant=10, per_key=2)
    eager = Caller(DEFAULT_TENANT, ALL, key="eager")
    raised = Caller(DEFAULT_TENANT, ALL, key="raised", requests_per_minute=5)
    assert await accepted(limit, eager, tries=20) == 2
    assert await accepted(limit, HOLDER, tries=20) == 2
    assert await accepted(limit, raised, tries=20) == 5
    with pytest.raises(RateLimited, match="your key may send 5 requests a minute"):
        await limit.acquire(raised)
    assert await accepted(limit, tries=20) == 1  # the tenant's last
    assert await limit.standing(HOLDER) == [
        Allowance("key", 2, 0, 60),
        Allowance("tenant", 10, 0, 60),
    ]


async def test_a_request_costs_one_write_a_limit_and_a_known_refusal_none(
    clock: ManualClock,
) -> None:
    table = MemoryTable(clock=clock)
    free = process(table, clock)
    for _ in range(20):
        await free.acquire(HOLDER)
    assert (table.added, table.gets) == (0, 1), "the tenant's own limits are read once"
    limit = process(table, clock, of_tenant=3)
    await limit.acquire(HOLDER, 3)
    assert table.added == 1
    assert await accepted(limit, HOLDER, tries=50) == 0
    assert table.added == 1
    clock.advance(60)
    both = process(table, clock, of_tenant=9, per_key=9)
    table.added = 0
    await both.acquire(HOLDER)
    assert table.added == 2


async def test_what_the_tenant_has_no_room_for_uses_up_no_key(
    table: Table, clock: ManualClock
) -> None:
    """Neither where that is known, nor where another process has used the tenant's limit up."""
    limit, other = (process(table, clock, of_tenant=60, per_key=60) for _ in range(2))
    await other.acquire(OWNER, 30)
    for _ in range(3):
        with pytest.raises(RateLimited, match="your tenant may send 60"):
            await limit.acquire(HOLDER, 40)
        assert (await limit.standing(HOLDER, fresh=True))[0] == Allowance("key", 60, 60, 0)
    clock.advance(10)
    await limit.acquire(HOLDER, 40)
    assert [each.left for each in await limit.standing(HOLDER, fresh=True)] == [20, 0]


async def test_a_table_that_goes_away_between_two_limits_uses_up_neither(
    clock: ManualClock,
) -> None:
    table = MemoryTable(clock=clock)
    limit, add = process(table, clock, of_tenant=10, per_key=10), table.add

    async def away_for_tenants(key: Key, by: int, **bounds: Any) -> Sum:
        if key[0].startswith("RATE#tenant"):
            raise TableUnavailable("away")
        return await add(key, by, **bounds)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(table, "add", away_for_tenants)
        for _ in range(20):
            with pytest.raises(TableUnavailable):
                await limit.acquire(HOLDER)
    assert await accepted(limit, HOLDER, tries=20) == 10


async def test_a_known_refusal_by_the_tenant_costs_no_write_of_the_key(clock: ManualClock) -> None:
    table = MemoryTable(clock=clock)
    limit = process(table, clock, of_tenant=3, per_key=9)
    await limit.acquire(OWNER, 3)
    table.added = 0
    assert await accepted(limit, HOLDER, tries=50) == 0
    assert table.added == 0


async def test_a_refusal_waits_for_the_limit_that_has_room_last(clock: ManualClock) -> None:
    limit = process(MemoryTable(clock=clock), clock, of_tenant=60, per_key=2)
    await limit.acquire(HOLDER, 2)
    await limit.acquire(OWNER, 58)
    clock.advance(10)
    await limit.acquire(OWNER, 10)
    with pytest.raises(RateLimited, match="your key may send 2") as refused:
        await limit.acquire(HOLDER)
    clock.advance(refused.value.retry_after_s)
    await limit.acquire(HOLDER)


async def test_a_debt_is_not_forgotten_when_tokens_are_given_back(clock: ManualClock) -> None:
    """Of a batch that another process took between."""
    records, bucket, key = UsedRecords(MemoryTable(clock=clock)), TokenBucket(10), key_bucket("k")
    assert (await records.take(key, bucket, 1, now=clock.now())).added
    clock.advance(6)
    assert (await records.take(key, bucket, 500, now=clock.now())).added
    await records.give_back(key, bucket, 1, now=clock.now())
    clock.advance(2_900)  # of the 50 minutes that it owes
    assert not (await records.take(key, bucket, 1, now=clock.now())).added


async def test_a_tenants_own_limit_holds_for_it_alone(clock: ManualClock) -> None:
    table = MemoryTable(clock=clock)
    acme = Caller(TenantId("acme"), ALL)
    own = Limits(requests_per_minute=4)
    await TenantRecords(table).change(acme.tenant, lambda old: Tenant(id=old.id, limits=own))
    limit = process(table, clock, of_tenant=2)
    assert await accepted(limit, acme, tries=9) == 4
    assert await accepted(limit, OWNER, tries=9) == 2


def test_a_bucket_gives_back_evenly() -> None:
    bucket = TokenBucket(7)
    now = 10**15
    full = now + bucket.price_us(7)
    left = [bucket.left(full, now_us=now + second * 1_000_000) for second in (0, 9, 30, 59, 61)]
    assert left == [0, 1, 3, 6, 7]
    assert TokenBucket(10**6).price_us(1) == 60


def headers(answer: Any) -> tuple[str | None, str | None]:
    return answer.headers.get("ratelimit-policy"), answer.headers.get("ratelimit")


def test_each_counted_answer_tells_what_is_left() -> None:
    lab = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=3)
    policy = '"tenant";q=3;w=60'
    assert headers(lab.client.post("/generate", json=FOX)) == (policy, '"tenant";r=2;t=20')
    batch = lab.client.post("/generate/batch", json={"requests": [FOX]})
    assert headers(batch) == (policy, '"tenant";r=1;t=40')
    lab.clock.advance(20)
    wrong = lab.client.post("/generate", json={"prompt": "x", "steps": 9_999})
    assert (wrong.status_code, *headers(wrong)) == (422, policy, '"tenant";r=1;t=40')
    assert lab.client.post("/assets", content=b"abc").status_code == 201
    refused = lab.client.post("/assets", content=b"abc")
    assert (refused.status_code, *headers(refused)) == (429, policy, '"tenant";r=0;t=60')
    assert refused.headers["retry-after"] == "20"
    assert headers(lab.client.get("/generate")) == (None, None), "reading counts for nothing"
    assert headers(ApiLab().client.post("/generate", json=FOX)) == (None, None)


async def test_limits_that_cannot_be_read_spoil_no_answer() -> None:
    lab = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=3)
    lab.table.faults_before.append(TableUnavailable("away"))
    answer = lab.client.post("/generate", json=FOX)
    assert (answer.status_code, answer.json()["code"]) == (503, "table-unavailable")
    assert answer.headers["retry-after"]


async def test_the_holder_of_a_key_is_told_of_both_limits() -> None:
    lab = ApiLab(
        COMFYQ_AUTH="keys", COMFYQ_REQUESTS_PER_MINUTE=10, COMFYQ_KEY_REQUESTS_PER_MINUTE=2
    )
    holder, admin = await key_of(lab), await key_of(lab, requests_per_minute=5)
    assert headers(post(lab, holder)) == (
        '"key";q=2;w=60, "tenant";q=10;w=60',
        '"key";r=1;t=30, "tenant";r=9;t=6',
    )
    assert [post(lab, holder).status_code for _ in range(3)] == [202, 429, 429]
    assert headers(post(lab, admin))[1] == '"key";r=4;t=12, "tenant";r=7;t=18'
    asked = {"name": "made", "scopes": ["submit"], "requests_per_minute": 1}
    made = lab.client.post("/keys", json=asked, headers={"X-API-Key": admin}).json()
    assert made["requests_per_minute"] == 1
    assert [post(lab, made["key"]).status_code for _ in range(2)] == [202, 429]
    for wrong in (0, -1, 10**9, "x"):
        answer = lab.client.post(
            "/keys", json=asked | {"requests_per_minute": wrong}, headers={"X-API-Key": admin}
        )
        assert answer.status_code == 422


async def key_of(lab: ApiLab, *, requests_per_minute: int | None = None) -> str:
    _, text = await lab.services.api_keys.create(
        DEFAULT_TENANT, "k", ALL, lives=None, requests_per_minute=requests_per_minute
    )
    return text


def post(lab: ApiLab, key: str) -> Any:
    return lab.client.post("/generate", json=FOX, headers={"X-API-Key": key})


async def test_each_subject_of_tokens_has_a_bucket_in_its_tenant(
    table: Table, clock: ManualClock
) -> None:
    limit = process(table, clock, of_tenant=9, per_key=4)
    ann = Caller(DEFAULT_TENANT, ALL, subject="ann#\u00e9")
    bob, other = replace(ann, subject="bob"), replace(ann, tenant=TenantId("acme"))
    assert await accepted(limit, ann, tries=6) == 4
    assert await accepted(process(table, clock, of_tenant=9, per_key=4), ann, tries=1) == 0
    assert [await accepted(limit, each, tries=6) for each in (bob, other)] == [4, 4]
    assert [each.of for each in await limit.standing(ann)] == ["subject", "tenant"]
    with pytest.raises(RateLimited, match="the subject of your token may send 4 requests a minute"):
        await limit.acquire(ann)

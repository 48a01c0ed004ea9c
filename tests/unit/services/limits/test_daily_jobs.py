"""The limit on a tenant's jobs of a day."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope, TenantId
from comfyq.domain.errors import DomainError, StaleJob, TableUnavailable, TooLarge
from comfyq.domain.job import JobError, JobId, JobStatus
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.tenant import Limits, Tenant
from comfyq.ports.inbox import Message
from tests.access_lab import ALL
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

FOX = {"prompt": "a fox"}
CAP = 3
OWNER = Caller(DEFAULT_TENANT, ALL)


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab(COMFYQ_JOBS_PER_DAY=CAP)


async def test_more_jobs_are_refused_until_the_next_day(lab: ApiLab) -> None:
    now = lab.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    left_s = (midnight - now).total_seconds()
    assert [post(lab).status_code for _ in range(CAP)] == [202] * CAP
    refused = post(lab)
    assert (refused.status_code, refused.json()["code"]) == (429, "daily-jobs-used-up")
    assert "COMFYQ_JOBS_PER_DAY" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) == left_s
    lab.clock.advance(left_s - 1)
    again = post(lab)
    assert (again.status_code, again.headers["retry-after"]) == (429, "1")
    lab.clock.advance(1)
    assert post(lab).status_code == 202


async def test_a_batch_counts_the_jobs_that_it_makes_all_or_none(lab: ApiLab) -> None:
    broken = {"prompt": "x", "steps": 9_999}
    sent = lab.client.post("/generate/batch", json={"requests": [FOX, broken, FOX]})
    assert sent.status_code == 202
    refused = lab.client.post("/generate/batch", json={"requests": [FOX, FOX]})
    assert (refused.status_code, refused.json()["code"]) == (429, "daily-jobs-used-up")
    assert post(lab).status_code == 202
    assert post(lab).status_code == 429


async def test_a_batch_that_fits_into_no_day_is_not_told_to_wait(lab: ApiLab) -> None:
    refused = lab.client.post("/generate/batch", json={"requests": [FOX] * (CAP + 1)})
    assert (refused.status_code, refused.json()["code"]) == (413, "too-large")
    assert "COMFYQ_JOBS_PER_DAY" in refused.json()["detail"]
    assert post(lab).status_code == 202


async def test_what_makes_no_job_is_not_counted(lab: ApiLab) -> None:
    """Not what is refused, nor what is sent again, by a client or by a queue."""
    headers = {"Idempotency-Key": "k"}
    for _ in range(3):
        assert post(lab, headers=headers).status_code == 202
    assert lab.client.post("/generate", json={"prompt": "x", "steps": 9_999}).status_code == 422
    assert lab.client.post("/generate?dry_run=true", json=FOX).status_code == 200
    assert lab.table.added == 1
    sender = Caller(DEFAULT_TENANT, frozenset({Scope.SUBMIT}))
    for _ in range(3):
        await lab.intake.take(sender, Message("m1", '{"prompt": "a fox"}'))
    assert post(lab).status_code == 202
    assert post(lab).status_code == 429


async def test_of_two_retries_at_once_one_is_counted() -> None:
    """And of two batches that retry the same jobs, those that each has made."""
    lab = ApiLab(COMFYQ_JOBS_PER_DAY=20)
    single = lab.submit()["id"]
    batch = lab.client.post("/generate/batch", json={"requests": [FOX, FOX]}).json()
    for job_id in (single, *(item["job"]["id"] for item in batch["items"])):
        await lab.fail(job_id, JobError("node-error", "it broke"))
    answers = await asyncio.gather(
        *(lab.services.retries.retry(OWNER, JobId(single)) for _ in range(3))
    )
    assert len({answer.job.id for answer in answers}) == 1
    assert lab.client.get("/quota").json()["jobs_per_day"]["used"] == 4
    retry_batch = lab.services.retries.retry_batch
    await asyncio.gather(*(retry_batch(OWNER, BatchId(batch["batch_id"])) for _ in range(2)))
    assert lab.client.get("/quota").json()["jobs_per_day"]["used"] == 6


@pytest.mark.parametrize("refusal", [StaleJob("it is there"), TooLarge("an item")], ids=repr)
async def test_what_was_counted_before_midnight_is_taken_back_there(
    lab: ApiLab, refusal: DomainError
) -> None:
    limits = lab.services.submission_limits
    now = lab.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    lab.clock.advance((midnight - now).total_seconds() - 1)

    async def store() -> None:
        async with limits.counted(OWNER):
            lab.clock.advance(2)
            raise refusal

    with pytest.raises(type(refusal)):
        await store()
    assert lab.client.get("/quota").json()["jobs_per_day"]["used"] == 0
    assert await lab.services.used_records.jobs_of(DEFAULT_TENANT, now.date()) == 0


async def test_a_count_that_cannot_be_taken_back_hides_no_answer(lab: ApiLab) -> None:
    """Such as that of a request that was sent twice at once, under one key."""
    limits = lab.services.submission_limits

    async def away(*_: object, **__: object) -> None:
        raise TableUnavailable("away")

    async def store(patched: pytest.MonkeyPatch) -> None:
        async with limits.counted(OWNER):
            patched.setattr(lab.table, "add", away)
            raise StaleJob("it is there")

    with pytest.MonkeyPatch.context() as patched, pytest.raises(StaleJob):
        await store(patched)
    assert lab.client.get("/quota").json()["jobs_per_day"]["used"] == 1


async def test_a_job_of_a_queue_over_the_limit_fails_and_is_kept(lab: ApiLab) -> None:
    sender = Caller(DEFAULT_TENANT, frozenset({Scope.SUBMIT}))
    for number in range(CAP + 1):
        await lab.intake.take(sender, Message(f"m{number}", '{"prompt": "a fox"}'))
    last = await lab.records.get(JobId(f"m{CAP}"))
    assert last.status is JobStatus.FAILED
    assert last.error is not None
    assert last.error.code == "daily-jobs-used-up"
    letters = lab.client.get("/dead").json()["letters"]
    assert [letter["id"] for letter in letters] == [f"m{CAP}"]


async def test_without_a_limit_nothing_is_counted() -> None:
    lab = ApiLab()
    assert [post(lab).status_code for _ in range(5)] == [202] * 5
    assert lab.table.added == 0


async def test_tenants_have_days_of_their_own() -> None:
    lab = ApiLab(COMFYQ_JOBS_PER_DAY=1, COMFYQ_AUTH="keys")
    acme = TenantId("acme")
    own = Limits(jobs_per_day=2)
    await lab.services.tenant_records.change(acme, lambda old: Tenant(id=old.id, limits=own))
    for tenant, jobs in ((DEFAULT_TENANT, 1), (acme, 2)):
        _, key = await lab.services.api_keys.create(tenant, "k", ALL, lives=None)
        codes = [post(lab, headers={"X-API-Key": key}).status_code for _ in range(4)]
        assert codes.count(202) == jobs


def post(lab: ApiLab, **options: Any) -> Any:
    return lab.client.post("/generate", json=FOX, **options)

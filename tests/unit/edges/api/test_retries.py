"""Trying jobs again; batches as a list and as a summary."""

import asyncio
from typing import Any

import pytest

from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import BatchNotFound, JobNotFound
from comfyq.domain.job import JobError, JobId
from comfyq.domain.submission.batch import BatchId
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio

FOX: dict[str, Any] = {"prompt": "a fox"}
BROKEN = JobError("out-of-memory", "too large")


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


async def test_a_failed_job_is_tried_again_as_a_new_one(lab: ApiLab) -> None:
    old = lab.submit(seed=7, steps=3)["id"]
    await lab.fail(old, BROKEN)
    answer = lab.client.post(f"/generate/{old}/retry")
    assert answer.status_code == 202, answer.text
    new = answer.json()
    assert (new["status"], new["retry_of"]) == ("queued", old)
    assert new["id"] != old
    assert answer.headers["location"] == new["urls"]["self"]
    stories = [lab.client.get(f"/generate/{each}/story").json() for each in (old, new["id"])]
    assert stories[0]["parameters"] == stories[1]["parameters"]
    specs = [await lab.records.spec(JobId(each)) for each in (old, new["id"])]
    assert specs[0] == specs[1]
    assert lab.show(new["id"])["retry_of"] == old
    assert lab.show(old)["status"] == "failed"
    assert new["id"] in [message.job_id for message in lab.queue.messages]
    assert lab.client.get(f"/generate/{new['id']}/metadata").json()["retry_of"] == old
    assert "retry_of" not in lab.client.get(f"/generate/{old}/metadata").json()


async def test_a_retry_under_a_key_makes_one_job(lab: ApiLab) -> None:
    old, other = lab.submit()["id"], lab.submit()["id"]
    for job_id in (old, other):
        lab.client.delete(f"/generate/{job_id}")
    headers = {"Idempotency-Key": "k"}
    first, again = (lab.client.post(f"/generate/{old}/retry", headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    mismatch = lab.client.post(f"/generate/{other}/retry", headers=headers)
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency-mismatch")


async def test_what_has_not_failed_is_not_tried_again(lab: ApiLab) -> None:
    waiting, done = lab.submit()["id"], lab.submit()["id"]
    await lab.succeed(done, output())
    for job_id, status in ((waiting, "queued"), (done, "completed")):
        answer = lab.client.post(f"/generate/{job_id}/retry")
        assert (answer.status_code, answer.json()["code"]) == (409, "not-retriable")
        assert f"job {job_id} is {status}" in answer.json()["detail"]
    missing = lab.client.post("/generate/5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34/retry")
    assert missing.status_code == 404


async def test_another_tenants_job_or_batch_is_not_tried_again(lab: ApiLab) -> None:
    stranger = Caller(TenantId("stranger"), frozenset())
    batch = lab.client.post("/generate/batch", json={"requests": [FOX]}).json()
    lab.client.delete(batch["urls"]["cancel"])
    with pytest.raises(JobNotFound):
        await lab.services.retries.retry(stranger, JobId(batch["items"][0]["job"]["id"]))
    with pytest.raises(BatchNotFound):
        await lab.services.retries.retry_batch(stranger, BatchId(batch["batch_id"]))


async def test_the_failed_jobs_of_a_batch_are_tried_again_as_a_batch(lab: ApiLab) -> None:
    batch = lab.client.post("/generate/batch", json={"requests": [FOX] * 3 + [{}]}).json()
    jobs = [item["job"]["id"] for item in batch["items"][:3]]
    url = f"/generate/batch/{batch['batch_id']}"
    early = lab.client.post(f"{url}/retry")
    assert (early.status_code, early.json()["code"]) == (409, "not-retriable")
    await lab.succeed(jobs[0], output())
    await lab.fail(jobs[1], BROKEN)
    lab.client.delete(f"/generate/{jobs[2]}")
    answer = lab.client.post(f"{url}/retry")
    assert answer.status_code == 202, answer.text
    again = answer.json()
    assert again["batch_id"] != batch["batch_id"]
    assert [item["job"]["retry_of"] for item in again["items"]] == jobs[1:]
    assert again["counts"]["queued"] == 2


async def test_a_job_has_one_retry_that_goes_on(lab: ApiLab) -> None:
    old = lab.submit()["id"]
    await lab.fail(old, BROKEN)
    url = f"/generate/{old}/retry"
    first, again = lab.client.post(url), lab.client.post(url)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    await lab.fail(first.json()["id"], BROKEN)
    third = lab.client.post(url).json()
    assert (third["retry_of"], third["status"]) == (first.json()["id"], "queued")
    lab.client.delete(f"/generate/{third['id']}")
    lab.client.delete(f"/generate/{third['id']}", params={"purge": "true"})
    fourth = lab.client.post(url).json()
    assert (fourth["retry_of"], fourth["id"] != third["id"]) == (first.json()["id"], True)


async def test_two_retries_at_once_are_one_job(lab: ApiLab) -> None:
    old = lab.submit()["id"]
    await lab.fail(old, BROKEN)
    caller = Caller((await lab.records.get(JobId(old))).tenant, frozenset())
    retries = lab.services.retries
    first, second = await asyncio.gather(*(retries.retry(caller, JobId(old)) for _ in range(2)))
    assert first.job.id == second.job.id
    assert len([m for m in lab.queue.messages if m.job_id == first.job.id]) == 1


async def test_a_batch_shows_the_newest_retries_in_their_places(lab: ApiLab) -> None:
    batch = lab.client.post("/generate/batch", json={"requests": [FOX] * 3}).json()
    jobs = [item["job"]["id"] for item in batch["items"]]
    url = batch["urls"]["self"]
    await lab.succeed(jobs[0], output())
    for job_id in jobs[1:]:
        await lab.fail(job_id, BROKEN)
    again = lab.client.post(f"{url}/retry").json()
    assert again["retry_of"] == {"batch_id": batch["batch_id"], "size": 3}
    assert [item["original_index"] for item in again["items"]] == [1, 2]
    assert lab.client.post(f"{url}/retry").json()["batch_id"] == again["batch_id"]
    retried = [item["job"]["id"] for item in again["items"]]
    await lab.fail(retried[0], BROKEN)
    await lab.succeed(retried[1], output())
    shown = lab.client.get(url, params={"items": "true"}).json()
    assert [item["job"]["id"] for item in shown["items"]] == [jobs[0], *retried]
    assert (shown["counts"]["completed"], shown["counts"]["failed"]) == (2, 1)
    assert shown["items"][2]["job"]["outputs"]
    third = lab.client.post(f"{again['urls']['self']}/retry").json()
    assert third["retry_of"]["batch_id"] == batch["batch_id"]
    assert [item["original_index"] for item in third["items"]] == [1]
    assert lab.client.get(url).json()["counts"]["queued"] == 1
    lab.client.delete(f"/generate/{third['items'][0]['job']['id']}?purge=true")
    shown = lab.client.get(url, params={"items": "true"}).json()
    assert shown["items"][1]["job"]["id"] == retried[0], "the one before, once it is deleted"


async def test_a_batch_is_answered_as_a_summary_unless_items_are_asked_for(lab: ApiLab) -> None:
    batch = lab.client.post("/generate/batch", json={"requests": [FOX] * 100}).json()
    url = batch["urls"]["self"]
    await lab.succeed(batch["items"][0]["job"]["id"], output())
    short, whole = lab.client.get(url), lab.client.get(url, params={"items": "true"})
    assert short.json() == whole.json() | {"items": None}
    assert short.json()["counts"] | {"queued": 99, "completed": 1} == short.json()["counts"]
    assert len(short.content) * 100 < len(whole.content)
    assert whole.json()["items"][0]["job"]["outputs"]


async def test_batches_are_listed_newest_first(lab: ApiLab) -> None:
    made = []
    for size in (1, 2, 3):
        body = {"requests": [FOX] * size}
        made.append(lab.client.post("/generate/batch", json=body).json()["batch_id"])
        lab.clock.advance(seconds=1)
    page = lab.client.get("/generate/batch", params={"limit": 2}).json()
    assert [(each["batch_id"], each["size"]) for each in page["batches"]] == [
        (made[2], 3),
        (made[1], 2),
    ]
    rest = lab.client.get("/generate/batch", params={"cursor": page["next_cursor"]}).json()
    assert [each["batch_id"] for each in rest["batches"]] == made[:1]
    assert rest["next_cursor"] is None
    assert len(lab.client.get("/generate").json()["jobs"]) == 6


def test_a_large_batch_is_one(lab: ApiLab) -> None:
    batch = lab.client.post("/generate/batch", json={"requests": [FOX] * 499 + [{}]}).json()
    assert (batch["size"], batch["counts"]["queued"]) == (500, 499)
    shown = lab.client.get(batch["urls"]["self"], params={"items": "true"}).json()
    assert shown["items"][499]["error"]["errors"][0]["field"] == "prompt"

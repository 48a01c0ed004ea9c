"""Deletion of a job with its files, by its owner."""

from typing import Any

import pytest

from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import JobId
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


async def test_an_ended_job_goes_with_its_files(lab: ApiLab) -> None:
    job_id, kept = lab.submit()["id"], output("kept.png")
    await lab.succeed(job_id, made := output("made.png"))
    lab.store(made, b"pixels")
    lab.store(kept, b"pixels")
    answer = lab.client.delete(f"/generate/{job_id}?purge=true")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.json()["outputs"] == []
    assert lab.assets.stored.keys() == {kept.key}
    with pytest.raises(JobNotFound):
        await lab.records.get(JobId(job_id))
    assert lab.client.get("/generate").json()["jobs"] == []
    assert lab.client.delete(f"/generate/{job_id}?purge=true").status_code == 404


async def test_a_waiting_job_is_canceled_and_deleted(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    answer = lab.client.delete(f"/generate/{job_id}?purge=true")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert lab.client.get(f"/generate/{job_id}").status_code == 404


async def test_a_running_job_must_end_before(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.start(job_id)
    answer = lab.client.delete(f"/generate/{job_id}?purge=true")
    assert (answer.status_code, answer.json()["code"]) == (409, "job-not-ended")
    assert lab.show(job_id)["cancel_requested"] is True


async def test_a_request_that_is_sent_again_does_not_make_its_deleted_job_anew(lab: ApiLab) -> None:
    headers, body = {"Idempotency-Key": "k"}, {"prompt": "a fox"}
    job_id = lab.client.post("/generate", json=body, headers=headers).json()["id"]
    lab.client.delete(f"/generate/{job_id}?purge=true")
    again = lab.client.post("/generate", json=body, headers=headers)
    assert (again.status_code, again.json()["code"]) == (404, "job-not-found")


async def test_a_batch_that_is_sent_again_does_not_make_its_deleted_jobs_anew(lab: ApiLab) -> None:
    def sent() -> dict[str, Any]:
        body, headers = {"requests": [{"prompt": "a fox"}] * 2}, {"Idempotency-Key": "k"}
        batch: dict[str, Any] = lab.client.post(
            "/generate/batch", json=body, headers=headers
        ).json()
        return batch

    first = [item["job"]["id"] for item in sent()["items"]]
    assert lab.client.delete(f"/generate/{first[0]}?purge=true").status_code == 200
    again = sent()
    assert [item["job"] and item["job"]["id"] for item in again["items"]] == [None, first[1]]
    assert (again["counts"]["gone"], again["counts"]["queued"]) == (1, 1)
    assert lab.client.get(f"/generate/{first[0]}").status_code == 404


async def test_files_of_an_earlier_job_outlive_the_job_that_reused_them(lab: ApiLab) -> None:
    values = {"seed": 1, "reuse": True}
    first = lab.submit(**values)["id"]
    await lab.reuse.note(await lab.records.get(JobId(first)), await lab.records.spec(JobId(first)))
    await lab.succeed(first, made := output("made.png"))
    lab.store(made, b"pixels")
    second = lab.client.post("/generate", json={"prompt": "a fox"} | values).json()
    assert second["reused_from"] == first
    assert lab.client.delete(f"/generate/{second['id']}?purge=true").status_code == 200
    assert lab.assets.stored.keys() == {made.key}


async def test_a_deleted_jobs_results_are_not_reused(lab: ApiLab) -> None:
    values = {"seed": 1, "reuse": True}
    first = lab.submit(**values)["id"]
    await lab.reuse.note(await lab.records.get(JobId(first)), await lab.records.spec(JobId(first)))
    await lab.succeed(first, output("made.png"))
    lab.client.delete(f"/generate/{first}?purge=true")
    second = lab.submit(**values)
    assert (second["status"], second["reused_from"]) == ("queued", None)

"""Deletion of a job with its files, by its owner."""

from typing import Any

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.errors import AssetsUnavailable, JobNotFound
from comfyq.domain.files.output import Output
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


async def reused(lab: ApiLab, times: int = 1) -> tuple[str, list[str], Output]:
    """Return a job that has ended, those that have its results, and its file."""
    values = {"seed": 1, "reuse": True}
    first = lab.submit(**values)["id"]
    await lab.reuse.note(await lab.records.get(JobId(first)), await lab.records.spec(JobId(first)))
    await lab.succeed(first, made := output("made.png"))
    lab.store(made, b"pixels")
    later = [lab.client.post("/generate", json={"prompt": "a fox"} | values) for _ in range(times)]
    assert {each.json()["reused_from"] for each in later} == {first}
    return first, [each.json()["id"] for each in later], made


def purged(lab: ApiLab, job_id: str) -> Any:
    return lab.client.delete(f"/generate/{job_id}?purge=true")


async def test_a_job_whose_files_others_have_goes_after_them(lab: ApiLab) -> None:
    first, later, made = await reused(lab, times=2)
    refused = purged(lab, first)
    assert (refused.status_code, refused.json()["code"]) == (409, "job-reused")
    assert all(job_id in refused.json()["detail"] for job_id in later)
    assert purged(lab, later[0]).status_code == 200
    assert purged(lab, first).status_code == 409
    shown = lab.show(later[1])
    assert lab.client.get(shown["image_url"]).content == b"pixels"
    assert purged(lab, later[1]).status_code == 200
    assert lab.assets.stored.keys() == {made.key}
    assert purged(lab, first).status_code == 200
    assert not lab.assets.stored
    left = await lab.table.query("main", f"JOB#{first}", limit=10)
    assert [(item["sk"], "body" in item) for item in left.items] == [("SPEC", False)]


async def test_a_refused_deletion_changes_nothing(lab: ApiLab) -> None:
    first, _, _ = await reused(lab)
    before = await lab.records.get(JobId(first))
    assert purged(lab, first).status_code == 409
    after = await lab.records.get(JobId(first))
    assert after.due_at >= before.due_at
    assert await lab.reaper.reap() == {}
    again = lab.client.post("/generate", json={"prompt": "a fox", "seed": 1, "reuse": True})
    assert again.json()["reused_from"] == first


async def test_the_reaper_spares_files_that_others_have(lab: ApiLab) -> None:
    """A retention time that was shortened since makes an earlier job due first."""
    first, [later], _ = await reused(lab)
    await lab.records.update(await lab.records.get(JobId(first)), jobs.condemn)
    assert await lab.reaper.reap() == {"spared": 1}
    assert lab.client.get(lab.show(later)["image_url"]).content == b"pixels"
    assert purged(lab, later).status_code == 200
    lab.clock.advance(2 * 86_400)
    assert (await lab.reaper.reap())["deleted"] == 1
    assert not lab.assets.stored


async def test_a_job_that_is_being_deleted_is_not_reused(lab: ApiLab) -> None:
    first, _, _ = await reused(lab)
    await lab.records.update(await lab.records.get(JobId(first)), jobs.condemn)
    again = lab.client.post("/generate", json={"prompt": "a fox", "seed": 1, "reuse": True})
    assert (again.status_code, again.json()["reused_from"]) == (202, None)


async def test_a_job_about_to_be_stored_keeps_the_files_for_minutes(lab: ApiLab) -> None:
    """A request that died between its note and its job does not keep them for ever."""
    first, [later], _ = await reused(lab)
    await lab.services.reusers.add(JobId(first), JobId("never-stored"))
    assert purged(lab, later).status_code == 200
    refused = purged(lab, first)
    assert (refused.status_code, "never-stored" in refused.json()["detail"]) == (409, True)
    lab.clock.advance(301)
    assert purged(lab, first).status_code == 200


async def test_a_deletion_that_is_cut_off_is_finished_by_the_reaper(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(key: str) -> None:
        raise AssetsUnavailable("away")

    job_id = lab.submit()["id"]
    await lab.succeed(job_id, made := output("made.png"))
    lab.store(made, b"pixels")
    with monkeypatch.context() as patched:
        patched.setattr(lab.assets, "delete", away)
        assert purged(lab, job_id).status_code == 503
    assert (await lab.reaper.reap())["deleted"] == 1
    assert not lab.assets.stored


async def test_a_deleted_jobs_results_are_not_reused(lab: ApiLab) -> None:
    values = {"seed": 1, "reuse": True}
    first = lab.submit(**values)["id"]
    await lab.reuse.note(await lab.records.get(JobId(first)), await lab.records.spec(JobId(first)))
    await lab.succeed(first, output("made.png"))
    lab.client.delete(f"/generate/{first}?purge=true")
    second = lab.submit(**values)
    assert (second["status"], second["reused_from"]) == ("queued", None)

from typing import Any

import pytest

from comfyq.domain.job import JobError
from comfyq.edges.api.cursors import decode_cursor, encode_cursor
from comfyq.ports.table import Cursor
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def submitted(lab: ApiLab, count: int) -> list[str]:
    """Ids, newest first."""
    ids: list[str] = []
    for _ in range(count):
        ids.append(lab.submit()["id"])
        lab.clock.advance(1)
    return ids[::-1]


def listed(lab: ApiLab, **query: Any) -> dict[str, Any]:
    answer = lab.client.get("/generate", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def ids_of(page: dict[str, Any]) -> list[str]:
    return [job["id"] for job in page["jobs"]]


async def test_no_jobs(lab: ApiLab) -> None:
    assert listed(lab) == {"jobs": [], "next_cursor": None}


async def test_pages_hold_every_job_once_newest_first(lab: ApiLab) -> None:
    ids = submitted(lab, 7)
    collected: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = listed(lab, **query)
        collected += ids_of(page)
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert collected == ids


async def test_a_page_is_not_moved_by_newer_jobs(lab: ApiLab) -> None:
    ids = submitted(lab, 4)
    page = listed(lab, limit=2)
    submitted(lab, 3)
    assert ids_of(listed(lab, limit=2, cursor=page["next_cursor"])) == ids[2:]


async def test_twenty_is_a_page(lab: ApiLab) -> None:
    submitted(lab, 21)
    assert len(listed(lab)["jobs"]) == 20


async def test_by_the_status_that_is_shown(lab: ApiLab) -> None:
    expired = lab.submit()["id"]
    await lab.expire(expired)
    failed, done, waiting = submitted(lab, 3)
    await lab.fail(failed, JobError("node-error", "it broke"))
    await lab.succeed(done, output())
    assert set(ids_of(listed(lab, status="failed"))) == {failed, expired}
    assert ids_of(listed(lab, status="queued")) == [waiting]
    (completed,) = listed(lab, status="completed")["jobs"]
    assert completed["image_url"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "x"),
        ("limit", "9" * 5_000),
        ("status", "done"),
        ("status", "succeeded"),
        ("workflow", "w" * 201),
        ("label", "run"),
        ("label", "=7"),
        ("label", "run=\x07"),
        ("label", f"run={'7' * 65}"),
        ("created_after", "yesterday"),
        ("created_before", "0.5"),
        ("created_before", "2026-11-27T10:00:00"),  # whose clock?
        ("cursor", ""),
        ("cursor", "x"),
        ("cursor", "\0"),
        ("cursor", "é"),
        ("cursor", "W10="),
        ("cursor", "bnVsbA=="),
        ("cursor", "WzEsMiwzLDRd"),
        ("cursor", "W" * 5_000),
    ],
)
async def test_a_bad_query_is_refused_by_name(lab: ApiLab, name: str, value: str) -> None:
    answer = lab.client.get("/generate", params={name: value})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [name]
    assert answer.json()["code"] == ("invalid-cursor" if name == "cursor" else "invalid-request")


async def test_a_cursor_with_any_character_changed_is_refused(lab: ApiLab) -> None:
    submitted(lab, 2)
    cursor = listed(lab, limit=1)["next_cursor"]
    for position, character in enumerate(cursor):
        changed = cursor[:position] + ("A" if character != "A" else "B") + cursor[position + 1 :]
        answer = lab.client.get("/generate", params={"cursor": changed})
        assert answer.json()["code"] == "invalid-cursor", changed


@pytest.mark.parametrize("part", ["", "\ud800", "\0", 1, None, ["x"]])
async def test_a_forged_cursor_is_refused(lab: ApiLab, part: Any) -> None:
    forged = encode_cursor(Cursor(part, "JOB#1", "META"))
    answer = lab.client.get("/generate", params={"cursor": forged})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor")


async def test_cursors_come_back_as_they_were() -> None:
    cursor = Cursor("001#ü", "JOB#1", "META")
    assert decode_cursor(encode_cursor(cursor)) == cursor


async def test_by_label_workflow_and_time(lab: ApiLab) -> None:
    by_run = [lab.submit(labels={"run": run, "by": "me"})["id"] for run in ("7", "8")]
    lab.clock.advance(60)
    between = lab.clock.now().isoformat()
    other = lab.submit(workflow="sd15")["id"]
    assert ids_of(listed(lab, label="run=7")) == by_run[:1]
    assert ids_of(listed(lab, label=["run=8", "by=me"])) == by_run[1:]
    assert ids_of(listed(lab, label=["run=8", "by=you"])) == []
    assert ids_of(listed(lab, workflow="sd15.json")) == [other]
    assert ids_of(listed(lab, created_after=between)) == [other]
    assert set(ids_of(listed(lab, created_before=between))) == set(by_run)
    assert ids_of(listed(lab, created_after="9000-01-01T00:00:00Z")) == []
    assert len(ids_of(listed(lab, created_after="0001-01-01T00:00:00Z"))) == 3
    assert ids_of(listed(lab, created_before="0001-01-01T00:00:00Z")) == []
    contradiction = lab.client.get("/generate", params={"label": ["run=7", "run=8"]})
    assert contradiction.status_code == 422
    assert "two values" in contradiction.json()["detail"]


async def test_by_batch(lab: ApiLab) -> None:
    lab.submit()
    requests = [{"prompt": "a fox", "labels": {"n": str(n)}} for n in range(5)]
    body = {"requests": [*requests[:2], {"steps": "x"}, *requests[2:]]}
    batch = lab.client.post("/generate/batch", json=body).json()
    ids = [each["job"]["id"] for each in batch["items"] if each["job"]]
    first = listed(lab, batch=batch["batch_id"], limit=3)
    assert ids_of(first) == ids[:1:-1]
    rest = listed(lab, batch=batch["batch_id"].upper(), cursor=first["next_cursor"])
    assert (ids_of(rest), rest["next_cursor"]) == (ids[1::-1], None)
    assert ids_of(listed(lab, batch=batch["batch_id"], label="n=3")) == [ids[3]]
    await lab.fail(ids[4], JobError("node-error", "it broke"))
    assert ids_of(listed(lab, batch=batch["batch_id"], status="failed")) == [ids[4]]
    others = listed(lab, limit=1)["next_cursor"]
    query = {"batch": batch["batch_id"], "cursor": others}
    assert lab.client.get("/generate", params=query).json()["code"] == "invalid-cursor"
    missing = lab.client.get("/generate", params={"batch": "0" * 8 + batch["batch_id"][8:]})
    assert (missing.status_code, missing.json()["code"]) == (404, "batch-not-found")

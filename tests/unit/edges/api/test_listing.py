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

"""A request's priority, by every way in which requests come, and what it changes for clients."""

import json
from typing import Any
from uuid import uuid4

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.job import JobError, JobId
from comfyq.ports.inbox import Message
from tests.api_lab import WORKFLOWS, ApiLab

pytestmark = pytest.mark.anyio

ASKED = {"prompt": "a fox", "priority": 9}


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


async def test_every_way_to_submit_takes_it(lab: ApiLab) -> None:
    post = lab.client.post
    graph = {"graph": dict(WORKFLOWS.get("flux-dev").graph), "priority": 9}
    ids = [
        post(path, json=body).json()["id"]
        for path, body in (
            ("/generate", ASKED),
            ("/generate", graph),
            ("/workflows/flux-dev/generate", ASKED),
        )
    ]
    many = {"request": ASKED, "product": {"seed": [1, 2]}}
    for body in ({"requests": [ASKED]}, many):
        ids += [item["job"]["id"] for item in post("/generate/batch", json=body).json()["items"]]
    letter = Message(str(uuid4()), json.dumps(ASKED), {})
    await lab.intake.take(OWNER, letter)
    ids.append(letter.id)
    assert len(ids) == 7
    for job_id in ids:
        assert (await lab.records.get(JobId(job_id))).priority == 9
        assert lab.show(job_id)["priority"] == 9


async def test_it_is_five_unless_said(lab: ApiLab) -> None:
    assert lab.submit()["priority"] == 5
    assert lab.submit(priority=0)["priority"] == 0


@pytest.mark.parametrize("path", ["/generate", "/workflows/flux-dev/generate"])
@pytest.mark.parametrize("wrong", [-1, 10, 2.5, "9", True, None, [1]])
async def test_another_value_is_refused_by_its_name(lab: ApiLab, path: str, wrong: Any) -> None:
    answer = lab.client.post(path, json={"prompt": "a fox", "priority": wrong})
    assert answer.status_code == 422
    assert "priority" in answer.text


async def test_a_retry_keeps_it(lab: ApiLab) -> None:
    job_id = lab.submit(priority=8)["id"]
    await lab.fail(job_id, JobError("node-error", "x"))
    assert lab.client.post(f"/generate/{job_id}/retry").json()["priority"] == 8


async def test_another_priority_is_another_request(lab: ApiLab) -> None:
    def post(**values: int) -> Any:
        body, headers = {"prompt": "x", **values}, {"Idempotency-Key": "k"}
        return lab.client.post("/generate", json=body, headers=headers).json().get("code")

    assert [post(), post(priority=5), post(priority=6)] == [None, None, "idempotency-mismatch"]


async def test_positions_follow_it(lab: ApiLab) -> None:
    ids = []
    for priority in (5, 0, 9, 5):
        ids.append(lab.submit(priority=priority)["id"])
        lab.clock.advance(1)
    assert [lab.show(job_id)["queue_position"] for job_id in ids] == [2, 4, 1, 3]

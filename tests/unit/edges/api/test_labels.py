"""Labels of jobs: accepted with a request, shown with its job, and bounded."""

import json
from typing import Any

import pytest

from comfyq.domain.job import JobError, JobId
from comfyq.ports.inbox import Message
from tests.access_lab import OTHER, AccessLab
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio

LABELS = {"run": "7", "by": "mé = you"}
GRAPH = {"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "a"}}}


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


async def test_labels_are_shown_wherever_the_job_is(lab: ApiLab) -> None:
    accepted = lab.submit(labels=LABELS)
    await lab.succeed(accepted["id"], output())
    [in_list] = lab.client.get("/generate").json()["jobs"]
    story = lab.client.get(f"/generate/{accepted['id']}/story").json()
    for shown in (accepted, lab.show(accepted["id"]), in_list, story):
        assert shown["labels"] == LABELS
    assert "labels" not in story["parameters"]
    assert lab.submit()["labels"] == {}


async def test_every_way_to_submit_takes_labels(lab: ApiLab) -> None:
    bodies = {
        "/generate": {"graph": GRAPH, "labels": LABELS},
        "/generate?": {**GRAPH, "labels": LABELS},
        "/workflows/sd15/generate": {"prompt": "a fox", "labels": LABELS},
    }
    for path, body in bodies.items():
        answer = lab.client.post(path, json=body)
        assert (answer.status_code, answer.json()["labels"]) == (202, LABELS), path
    product = {"request": {"labels": LABELS}, "product": {"prompt": ["a", "b"]}}
    batch = lab.client.post("/generate/batch", json=product).json()
    assert [each["job"]["labels"] for each in batch["items"]] == [LABELS, LABELS]
    body = json.dumps({"prompt": "a fox", "labels": LABELS})
    message = Message("6f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34", body, {})
    caller = await lab.services.authenticator.of_queue("submissions")
    await lab.intake.take(caller, message)
    assert lab.show(message.id)["labels"] == LABELS


async def test_a_retry_has_the_labels_of_the_job(lab: ApiLab) -> None:
    job_id = lab.submit(labels=LABELS)["id"]
    await lab.fail(job_id, JobError("node-error", "it broke"))
    assert lab.client.post(f"/generate/{job_id}/retry").json()["labels"] == LABELS


@pytest.mark.parametrize(
    "labels",
    [
        {str(n): "x" for n in range(9)},
        {"": "x"},
        {"a b": "x"},
        {"n" * 33: "x"},
        {"#a": "x"},
        {"a": ""},
        {"a": "x" * 65},
        {"a": "x\ny"},
        {"a": "x\u2028y"},
        {"a": "\ud800"},
        {"a": 7},
        {"a": None},
        ["a=b"],
        None,
        "a=b",
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", ["/generate", "/workflows/sd15/generate"])
async def test_what_is_no_label_is_refused(lab: ApiLab, path: str, labels: Any) -> None:
    body = json.dumps({"prompt": "a fox", "labels": labels})
    headers = {"Content-Type": "application/json"}
    answer = lab.client.post(path, content=body, headers=headers)
    assert answer.status_code == 422
    assert "labels" in answer.json()["detail"]
    assert lab.client.get("/generate").json()["jobs"] == []


async def test_labels_make_no_other_result(lab: ApiLab) -> None:
    request = {"prompt": "a fox", "seed": 7, "reuse": True}
    job_id = lab.submit(**request, labels={"run": "1"})["id"]
    job = await lab.records.get(JobId(job_id))
    await lab.reuse.note(job, await lab.records.spec(job.id))
    await lab.succeed(job_id, output())
    again = lab.client.post("/generate", json=request | {"labels": {"run": "2"}}).json()
    assert (again["reused_from"], again["labels"]) == (job_id, {"run": "2"})


async def test_labels_are_part_of_what_a_key_stands_for(lab: ApiLab) -> None:
    def send(labels: dict[str, str]) -> Any:
        body = {"prompt": "a fox", "labels": labels}
        return lab.client.post("/generate", json=body, headers={"Idempotency-Key": "k"})

    first = send({"run": "1"})
    assert send({"run": "1"}).json()["id"] == first.json()["id"]
    assert send({"run": "2"}).json()["code"] == "idempotency-mismatch"


async def test_another_tenant_finds_nothing_by_them() -> None:
    keyed = AccessLab()
    mine, other = await keyed.key(), await keyed.key(tenant=OTHER)
    body = {"prompt": "a fox", "labels": LABELS}
    made = keyed.ask("POST", "/generate/batch", mine, json={"requests": [body]}).json()
    for query in ("label=run=7", "workflow=flux-dev", "created_after=2000-01-01T00:00:00Z"):
        for key, count in ((mine, 1), (other, 0)):
            page = keyed.ask("GET", f"/generate?{query}", key).json()
            assert len(page["jobs"]) == count, query
    by_batch = f"/generate?batch={made['batch_id']}"
    assert len(keyed.ask("GET", by_batch, mine).json()["jobs"]) == 1
    assert keyed.ask("GET", by_batch, other).status_code == 404

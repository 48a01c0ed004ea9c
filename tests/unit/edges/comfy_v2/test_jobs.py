"""``/api/v2/jobs`` over in-memory ports."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import JobError, JobId
from comfyq.domain.job.progress import Progress
from comfyq.ports.table import Put, Write
from tests.api_lab import ApiLab, output
from tests.comfy_lab import BODY, GRAPH, JOBS, told_error

pytestmark = pytest.mark.anyio

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEYS = {
    *("id", "status", "created_at", "started_at", "completed_at", "expires_at", "queue_position"),
    *("progress", "outputs", "error", "metrics", "metadata", "urls"),
}
OUTPUT_KEYS = {
    *("node_id", "name", "type", "content_type", "size_bytes", "id", "hash", "url"),
    *("url_expires_at", "job_id"),
}
PROGRESS_KEYS = {
    *("value", "nodes_done", "nodes_total", "current_node", "current_node_class", "step", "steps"),
    "message",
}
TIMES = ("created_at", "started_at", "completed_at", "expires_at")


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def submitted(lab: ApiLab, **fields: Any) -> dict[str, Any]:
    answer = lab.client.post(JOBS, json=BODY | fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def shown(lab: ApiLab, job_id: str) -> dict[str, Any]:
    answer = lab.client.get(f"{JOBS}/{job_id}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


# --- submission


async def test_a_graph_becomes_a_job_under_a_canonical_uuid(lab: ApiLab) -> None:
    answer = lab.client.post(JOBS, json=BODY)
    job = answer.json()
    assert (answer.status_code, job["status"]) == (201, "queued")
    assert UUID.fullmatch(job["id"])
    assert answer.headers["location"] == job["urls"]["self"] == f"{JOBS}/{job['id']}"
    assert shown(lab, job["id"]) == job
    stored = await lab.records.spec(JobId(job["id"]))
    assert stored.graph == GRAPH


async def test_links_of_a_job_follow_the_name_that_the_client_has_for_the_server() -> None:
    lab = ApiLab(PUBLIC_URL="https://elsewhere.example/below")
    urls = submitted(lab)["urls"]
    assert urls["cancel"].startswith("/below/api/v2/jobs/"), "a client adds its own origin"
    assert urls["events"] == f"{urls['self']}/events"


@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "failed", "canceled"])
async def test_a_job_has_every_key_in_every_state(lab: ApiLab, state: str) -> None:
    job_id = submitted(lab)["id"]
    if state == "running":
        await lab.start(job_id)
    elif state == "succeeded":
        await lab.succeed(job_id, output())
    elif state == "failed":
        await lab.fail(job_id, JobError("node-error", "it broke", node="3"))
    elif state == "canceled":
        lab.client.post(f"{JOBS}/{job_id}/cancel")
    job = shown(lab, job_id)
    assert (job["status"], set(job)) == (state, KEYS)
    for name in TIMES:
        assert job[name] is None or datetime.fromisoformat(job[name]).tzinfo, name
    assert job["expires_at"] is not None
    assert job["metrics"].keys() == {"queue_ms", "execution_ms"}
    for metric in job["metrics"].values():
        assert metric is None or type(metric) is int
    assert job["progress"] is None or job["progress"].keys() == PROGRESS_KEYS
    for each in job["outputs"]:
        assert each.keys() == OUTPUT_KEYS


async def test_a_job_is_kept_for_the_retention_from_its_end(lab: ApiLab) -> None:
    job_id = submitted(lab)["id"]
    kept = timedelta(seconds=7 * 86_400)
    job = shown(lab, job_id)
    at = {name: datetime.fromisoformat(job[name]) for name in ("created_at", "expires_at")}
    assert at["expires_at"] == at["created_at"] + kept
    lab.clock.advance(100)
    await lab.succeed(job_id, output())
    job = shown(lab, job_id)
    ended = datetime.fromisoformat(job["completed_at"])
    assert datetime.fromisoformat(job["expires_at"]) == ended + kept


@pytest.mark.parametrize("field", ["webhook_url", "inputs", "anything"])
def test_what_is_reserved_is_refused(lab: ApiLab, field: str) -> None:
    refused = lab.client.post(JOBS, json=BODY | {field: "https://example.com"})
    assert told_error(refused) == (422, "invalid_request")
    assert field in refused.json()["error"]["message"]


def test_what_the_editor_saves_is_refused_by_name(lab: ApiLab) -> None:
    editor = {"nodes": [{"id": 3, "type": "EmptyImage"}], "links": [], "last_node_id": 3}
    refused = lab.client.post(JOBS, json={"workflow": editor})
    assert told_error(refused) == (422, "workflow_format_ui")


def test_a_broken_graph_is_an_invalid_workflow(lab: ApiLab) -> None:
    broken = {"9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}}}
    refused = lab.client.post(JOBS, json={"workflow": broken})
    assert told_error(refused) == (422, "invalid_workflow")
    assert refused.json()["error"]["details"]["errors"][0]["field"] == "graph.9"


# --- idempotency


def test_a_key_that_has_made_a_job_is_refused(lab: ApiLab) -> None:
    headers = {"Idempotency-Key": "k"}
    first = lab.client.post(JOBS, json=BODY, headers=headers)
    assert first.status_code == 201
    other = {"workflow": GRAPH | {"10": GRAPH["3"]}}
    for body in (BODY, other):
        again = lab.client.post(JOBS, json=body, headers=headers)
        assert told_error(again) == (422, "idempotency_key_reuse")
        assert first.json()["id"] in again.json()["error"]["message"]
    assert len(lab.client.get(JOBS).json()["jobs"]) == 1


def test_the_key_of_a_job_that_was_deleted_is_refused_too(lab: ApiLab) -> None:
    headers = {"Idempotency-Key": "k"}
    job_id = lab.client.post(JOBS, json=BODY, headers=headers).json()["id"]
    assert lab.client.post(f"{JOBS}/{job_id}/cancel").status_code == 200
    assert lab.client.delete(f"/generate/{job_id}?purge=true").is_success
    again = lab.client.post(JOBS, json=BODY, headers=headers)
    assert told_error(again) == (422, "idempotency_key_reuse")


def test_a_key_whose_submission_was_refused_is_free(lab: ApiLab) -> None:
    headers = {"Idempotency-Key": "k"}
    refused = lab.client.post(JOBS, json={"workflow": {}}, headers=headers)
    assert told_error(refused) == (422, "invalid_workflow")
    assert lab.client.post(JOBS, json=BODY, headers=headers).status_code == 201


async def test_a_key_whose_submission_found_no_room_is_free() -> None:
    lab = ApiLab(COMFYQ_WAITING_JOBS=1)
    job_id = submitted(lab)["id"]
    headers = {"Idempotency-Key": "k"}
    full = lab.client.post(JOBS, json=BODY, headers=headers)
    assert told_error(full) == (429, "queue_full")
    assert full.headers["retry-after"].isdigit()
    lab.client.post(f"{JOBS}/{job_id}/cancel")
    lab.services.submission_limits.waiting._counts.clear()
    assert lab.client.post(JOBS, json=BODY, headers=headers).status_code == 201


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_key_is_kept_where_its_job_may_be_stored(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch, is_stored: bool
) -> None:
    """Job and key are one transaction: the answer to it is lost, or it never comes there."""
    headers, write = {"Idempotency-Key": "k"}, lab.table.write

    async def unanswered(*writes: Write, **how: Any) -> None:
        is_job = any(isinstance(each, Put) and each.key[0].startswith("IDEM#") for each in writes)
        if is_stored or not is_job:
            await write(*writes, **how)
        if is_job:
            raise TableUnavailable("it does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(lab.table, "write", unanswered)
        unknown = lab.client.post(JOBS, json=BODY, headers=headers)
    assert told_error(unknown) == (503, "upstream_error")
    again = lab.client.post(JOBS, json=BODY, headers=headers)
    if is_stored:
        assert told_error(again) == (422, "idempotency_key_reuse")
    else:
        assert again.status_code == 201
    assert len(lab.client.get(JOBS).json()["jobs"]) == 1


def test_too_many_requests_say_when_to_come_back() -> None:
    lab = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=1)
    submitted(lab)
    refused = lab.client.post(JOBS, json=BODY)
    assert told_error(refused) == (429, "rate_limited")
    assert refused.headers["retry-after"].isdigit()


# --- state


async def test_the_words_of_each_end(lab: ApiLab) -> None:
    expired = submitted(lab)["id"]
    await lab.expire(expired)
    assert shown(lab, expired)["status"] == "expired"
    failed = submitted(lab)["id"]
    await lab.fail(failed, JobError("node-error", "it broke", node="3", details=("width: 0",)))
    job = shown(lab, failed)
    assert job["error"] == {
        "code": "node_execution_error",
        "message": "it broke\nwidth: 0",
        "node_id": "3",
        "class_type": None,
        "traceback": None,
    }


async def test_the_error_of_an_attempt_that_is_repeated_is_not_the_jobs(lab: ApiLab) -> None:
    job_id = submitted(lab)["id"]
    job = await lab.start(job_id)
    error = JobError("out-of-memory", "too large")
    retry = timedelta(seconds=1)
    await lab.change(job_id, partial(jobs.fail, token=job.attempt, error=error, retry_in=retry))
    assert (shown(lab, job_id)["status"], shown(lab, job_id)["error"]) == ("queued", None)


async def test_a_running_job_that_is_canceled_says_so_until_it_has_stopped(lab: ApiLab) -> None:
    job_id = submitted(lab)["id"]
    await lab.start(job_id)
    asked = lab.client.post(f"{JOBS}/{job_id}/cancel")
    assert (asked.status_code, asked.json()["status"]) == (200, "canceling")
    await lab.change(job_id, partial(jobs.confirm_cancel, token=1))
    for _ in range(2):
        again = lab.client.post(f"{JOBS}/{job_id}/cancel")
        assert (again.status_code, again.json()["status"]) == (200, "canceled")


async def test_progress_is_within_its_bounds(lab: ApiLab) -> None:
    job_id = submitted(lab)["id"]
    assert shown(lab, job_id)["progress"] is None
    await lab.start(job_id)
    await lab.advance(job_id, Progress(1.5, 21, 50, "KSampler", "3", 1, 2))
    assert shown(lab, job_id)["progress"] == {
        "value": 1.0,
        "nodes_done": 1,
        "nodes_total": 2,
        "current_node": "3",
        "current_node_class": "KSampler",
        "step": 21,
        "steps": 50,
        "message": "KSampler 21/50",
    }


async def test_outputs_have_absolute_signed_links_and_types_of_the_contract(lab: ApiLab) -> None:
    job_id = submitted(lab)["id"]
    latent = replace(output("b.LATENT", kind=OutputKind.FILE), content_type="x/y")
    await lab.succeed(job_id, output(), latent, output("c.glb", kind=OutputKind.FILE))
    lab.store(output(), b"\x89PNG")
    outputs = shown(lab, job_id)["outputs"]
    assert [each["type"] for each in outputs] == ["image", "latent", "file"]
    assert len({each["id"] for each in outputs}) == 3
    for each in outputs:
        assert UUID.fullmatch(each["id"])
        assert each["url"].startswith("http://lab:8000/")
        assert each["hash"] == f"blake3:{'ab' * 32}"
        assert type(each["size_bytes"]) is int
        assert each["job_id"] == job_id
    assert datetime.fromisoformat(outputs[0]["url_expires_at"]) > lab.clock.now()
    assert lab.client.get(outputs[0]["url"]).content == b"\x89PNG"


async def test_a_job_of_a_batch_has_outputs_too(lab: ApiLab) -> None:
    requests = {"requests": [{"prompt": "a fox"}]}
    [item] = lab.client.post("/generate/batch", json=requests).json()["items"]
    job_id = item["job"]["id"]
    await lab.succeed(job_id, output())
    lab.store(output(), b"\x89PNG")
    [made] = shown(lab, job_id)["outputs"]
    assert lab.client.get(f"/api/v2/assets/{made['id']}/content").content == b"\x89PNG"


def test_the_graph_of_a_job_is_shown(lab: ApiLab) -> None:
    job_id = submitted(lab)["id"]
    answer = lab.client.get(f"{JOBS}/{job_id}/workflow")
    assert answer.json() == {"workflow": GRAPH, "format": "api"}


def test_the_graph_has_its_files_as_they_were_named_but_for_secrets(lab: ApiLab) -> None:
    url = "https://example.com/a.png"
    graph = GRAPH | {"4": {"class_type": "LoadImage", "inputs": {"image": f"{url}?key=s3cret"}}}
    job_id = submitted(lab, workflow=graph)["id"]
    told = lab.client.get(f"{JOBS}/{job_id}/workflow")
    assert told.json()["workflow"]["4"]["inputs"] == {"image": url}


# --- metadata and lists


def test_metadata_are_labels(lab: ApiLab) -> None:
    job = submitted(lab, metadata={"client": "acme"})
    submitted(lab, metadata={"client": "other"})
    assert job["metadata"] == {"client": "acme"}
    [listed] = lab.client.get(JOBS, params={"metadata[client]": "acme"}).json()["jobs"]
    assert listed == {
        "id": job["id"],
        "status": "queued",
        "create_time": job["created_at"],
        "update_time": job["created_at"],
        "metadata": {"client": "acme"},
    }
    assert lab.client.get("/generate", params={"label": "client=acme"}).json()["jobs"]


@pytest.mark.parametrize(
    "metadata",
    [{"a": 1}, {"a b": "c"}, {"a": ""}, {f"n{at}": "v" for at in range(9)}],
    ids=["number", "name", "empty", "many"],
)
def test_metadata_that_cannot_be_labels_are_refused(lab: ApiLab, metadata: dict[str, Any]) -> None:
    refused = lab.client.post(JOBS, json=BODY | {"metadata": metadata})
    assert told_error(refused) == (422, "metadata_invalid")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("metadata[a b]=c", "invalid_metadata_filter"),
        ("metadata[a]=b&metadata[a]=c", "invalid_metadata_filter"),
        ("cursor=x", "invalid_cursor"),
        ("limit=0", "invalid_request"),
        ("status=done", "invalid_request"),
    ],
)
def test_a_list_that_cannot_be_is_refused(lab: ApiLab, query: str, code: str) -> None:
    assert told_error(lab.client.get(f"{JOBS}?{query}")) == (422, code)


def test_a_list_goes_on_from_page_to_page(lab: ApiLab) -> None:
    made: list[str] = []
    for _ in range(5):
        lab.clock.advance(1)
        made.append(submitted(lab)["id"])
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = lab.client.get(JOBS, params=query).json()
        seen += [each["id"] for each in page["jobs"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == made[::-1]


async def test_a_list_of_a_status_has_jobs_that_show_it(lab: ApiLab) -> None:
    waiting, stopping, running = (submitted(lab)["id"] for _ in range(3))
    for job_id in (stopping, running):
        await lab.start(job_id)
    lab.client.post(f"{JOBS}/{stopping}/cancel")

    def listed(status: str) -> list[str]:
        page = lab.client.get(JOBS, params={"status": status}).json()
        return [each["id"] for each in page["jobs"]]

    assert listed("queued") == [waiting]
    assert listed("running") == [running]
    assert listed("canceling") == [stopping]
    assert listed("succeeded") == []

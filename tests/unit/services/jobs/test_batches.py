"""Batches: per-item results, retries that complete, progress and cancellation as one."""

import io
import json
from base64 import b64encode
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import BatchNotFound, QueueUnavailable, TableUnavailable
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import MAX_STORED_BYTES, BatchId
from comfyq.domain.submission.request import Request
from comfyq.records.batches.members import MAX_BYTES, member_id, transactions
from comfyq.services.jobs.idempotency import digest_of_all
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio

FOX, OWL = {"prompt": "a fox"}, {"prompt": "an owl"}


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def submit(lab: ApiLab, body: Any, key: str | None = None) -> dict[str, Any]:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = lab.client.post("/generate/batch", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    shown: dict[str, Any] = answer.json()
    assert answer.headers["location"] == shown["urls"]["self"]
    return shown


def show(lab: ApiLab, batch: dict[str, Any]) -> dict[str, Any]:
    answer = lab.client.get(batch["urls"]["self"], params={"items": "true"})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def ids(batch: dict[str, Any]) -> list[str]:
    return [item["job"]["id"] for item in batch["items"] if item["job"]]


def test_each_request_becomes_a_job(lab: ApiLab) -> None:
    batch = submit(lab, {"requests": [FOX, OWL | {"seed": 7}]})
    assert (batch["size"], batch["counts"]["queued"], batch["done"]) == (2, 2, False)
    assert [item["index"] for item in batch["items"]] == [0, 1]
    assert batch["items"][1]["job"]["seed"] == 7
    assert ids(batch) == [member_id(BatchId(batch["batch_id"]), n) for n in range(2)]
    for job_id in ids(batch):
        assert lab.show(job_id)["status"] == "queued"
    assert sorted(message.job_id for message in lab.queue.messages) == sorted(ids(batch))


async def test_the_rings_are_noted(lab: ApiLab) -> None:
    batch = submit(lab, {"requests": [FOX] * 30})
    for job_id in ids(batch):
        assert (await lab.records.get(JobId(job_id))).rung_at == lab.clock.now()


def test_one_request_times_lists_of_values(lab: ApiLab) -> None:
    body = {
        "request": {"workflow": "flux-dev", "steps": 4},
        "product": {"prompt": ["a fox", "an owl"], "seed": [1, 2, 3]},
    }
    batch = submit(lab, body)
    stories = [lab.client.get(f"/generate/{job_id}/story").json() for job_id in ids(batch)]
    drawn = [(s["parameters"]["prompt"], s["parameters"]["seed"]) for s in stories]
    assert drawn == [(p, s) for p in ("a fox", "an owl") for s in (1, 2, 3)]
    assert {story["parameters"]["steps"] for story in stories} == {4}


def test_bad_requests_do_not_sink_the_others(lab: ApiLab) -> None:
    bad = [{"prompt": "a", "width": 7}, 5, {"prompt": "a", "workflow": "nowhere"}]
    batch = submit(lab, {"requests": [bad[0], FOX, bad[1], bad[2]]})
    assert (batch["counts"]["queued"], batch["counts"]["refused"]) == (1, 3)
    assert [item["job"] is None for item in batch["items"]] == [True, False, True, True]
    errors = [item["error"] for item in batch["items"] if item["error"]]
    assert [error["code"] for error in errors] == [
        "invalid-parameters",
        "invalid-request",
        "workflow-not-found",
    ]
    assert errors[0]["errors"][0]["field"] == "width"
    assert [item["error"] for item in show(lab, batch)["items"] if item["error"]] == errors


def test_a_batch_of_which_nothing_can_run_is_refused(lab: ApiLab) -> None:
    answer = lab.client.post("/generate/batch", json={"requests": [{}, {"prompt": 5}]})
    assert answer.status_code == 422
    assert {each["field"] for each in answer.json()["errors"]} == {
        "requests.0.prompt",
        "requests.1.prompt",
    }
    many = lab.client.post("/generate/batch", json={"requests": [{}] * 150}).json()["errors"]
    assert [each["field"] for each in many] == [f"requests.{n}.prompt" for n in range(150)]
    assert lab.client.get("/generate").json()["jobs"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"requests": []},
        {"requests": [FOX] * 501},
        {"requests": [FOX], "product": {"seed": [1]}},
        {"requests": [FOX], "request": FOX},
        {"request": FOX},
        {"request": FOX, "product": {"seed": []}},
        {"request": FOX, "product": {"seed": list(range(251)), "steps": [1, 2]}},
        {"requests": [FOX], "tenant": "x"},
        [],
    ],
)
def test_what_is_no_batch_is_refused(lab: ApiLab, body: Any) -> None:
    answer = lab.client.post("/generate/batch", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


def test_a_batch_sent_again_under_its_key_is_the_same(lab: ApiLab) -> None:
    body = {"requests": [FOX, {"prompt": 5}, OWL]}
    first = submit(lab, body, key="k")
    again = lab.client.post("/generate/batch", json=body, headers={"Idempotency-Key": "k"})
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first
    assert len(lab.queue.messages) == 2
    other = lab.client.post(
        "/generate/batch", json={"requests": [OWL]}, headers={"Idempotency-Key": "k"}
    )
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-mismatch")
    single = lab.client.post("/generate", json=FOX, headers={"Idempotency-Key": "k"})
    assert single.json()["code"] == "idempotency-mismatch"


def test_a_batch_that_is_stored_as_a_whole_is_not_prepared_again(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No limit counts what is sent again under its key, so that has to cost little."""
    body, headers = {"requests": [FOX, {"prompt": 5}, OWL]}, {"Idempotency-Key": "k"}
    first = submit(lab, body, key="k")

    async def prepare(*_: Any, **__: Any) -> None:
        raise AssertionError("it is prepared anew")

    async def write(*_: Any, **__: Any) -> None:
        raise AssertionError("it is stored anew")

    monkeypatch.setattr(lab.services.preparation, "prepare", prepare)
    monkeypatch.setattr(lab.table, "write", write)
    again = lab.client.post("/generate/batch", json=body, headers=headers)
    assert (again.status_code, again.json()) == (202, first)


@pytest.mark.parametrize("written", range(1, 7))  # seven writes make the batch and its jobs
async def test_a_batch_that_was_cut_off_is_completed_by_its_retry(
    lab: ApiLab, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"requests": [FOX] * 18 + [{"prompt": 5}] + [OWL] * 17}
    write, done = lab.table.write, 0

    async def cut_off(*writes: Any, synced: bool = True) -> None:
        nonlocal done
        done += 1
        if done > written:
            raise TableUnavailable("cut off")
        await write(*writes)

    monkeypatch.setattr(lab.table, "write", cut_off)
    headers = {"Idempotency-Key": "k"}
    first = lab.client.post("/generate/batch", json=body, headers=headers)
    assert first.status_code == 503
    monkeypatch.undo()
    batch = submit(lab, body, key="k")
    assert (batch["counts"]["queued"], batch["counts"]["refused"]) == (35, 1)
    assert len(set(ids(batch))) == 35
    listed = await lab.services.listing.page(OWNER, limit=100)
    assert sorted(job.id for job in listed.jobs) == sorted(ids(batch))


async def test_a_lost_answer_to_any_write_makes_nothing_twice(lab: ApiLab) -> None:
    """boto3 repeats a write whose answer was lost; it is refused, and that is no error."""
    write = lab.table.write

    async def twice(*writes: Any, synced: bool = True) -> None:
        await write(*writes)
        await write(*writes)

    lab.table.write = twice  # type: ignore[method-assign]
    batch = submit(lab, {"requests": [FOX] * 30}, key="k")
    assert batch["counts"]["queued"] == 30
    assert sorted(message.job_id for message in lab.queue.messages) == sorted(ids(batch))


async def test_a_queue_that_is_away_loses_nothing(lab: ApiLab) -> None:
    lab.queue.faults.append(QueueUnavailable("down"))
    batch = submit(lab, {"requests": [FOX] * 3})
    assert lab.queue.messages == []
    for job_id in ids(batch):  # so the reaper rings for it in five seconds
        assert (await lab.records.get(JobId(job_id))).rung_at is None


async def test_a_job_that_was_claimed_before_its_ring_is_noted_stays_claimed(lab: ApiLab) -> None:
    requests = [Request(workflow="flux-dev", values=FOX)] * 3
    accepted = await lab.batch_submission.submit(OWNER, requests, digest="d")
    claimed = await lab.start(accepted.new[1].id)
    await lab.batch_submission.note(accepted)
    assert await lab.records.get(claimed.id) == claimed
    for job in (accepted.new[0], accepted.new[2]):
        assert (await lab.records.get(job.id)).rung_at is not None


async def test_progress_and_results_of_the_whole(lab: ApiLab) -> None:
    batch = submit(lab, {"requests": [FOX, FOX, FOX, {"prompt": 5}]})
    first, second, third = ids(batch)
    await lab.succeed(first, output())
    await lab.start(second)
    shown = show(lab, batch)
    assert shown["counts"] == {
        "queued": 1,
        "running": 1,
        "completed": 1,
        "failed": 0,
        "canceled": 0,
        "refused": 1,
        "gone": 0,
    }
    assert (shown["progress"], shown["done"]) == (0.5, False)
    assert shown["items"][0]["job"]["image_url"]
    await lab.records.remove(await lab.records.get(JobId(third)))
    assert show(lab, batch)["items"][2]["error"]["code"] == "job-not-found"
    assert show(lab, batch)["counts"]["gone"] == 1


async def test_cancel_ends_what_has_not_ended(lab: ApiLab) -> None:
    batch = submit(lab, {"requests": [FOX, OWL, FOX]}, key="k")
    done, running, waiting = ids(batch)
    await lab.succeed(done, output())
    await lab.start(running)
    for _ in range(2):
        answer = lab.client.delete(batch["urls"]["cancel"])
        assert (answer.status_code, answer.json()["canceled"]) == (202, True)
    assert [lab.show(job_id)["status"] for job_id in (done, waiting)] == ["completed", "canceled"]
    assert (await lab.records.get(JobId(running))).cancel_requested
    # What is missing of a canceled batch is not made by a retry.
    await lab.records.remove(await lab.records.get(JobId(waiting)))
    assert submit(lab, {"requests": [FOX, OWL, FOX]}, key="k")["counts"]["gone"] == 1


async def test_another_tenants_batch_is_not_found(lab: ApiLab) -> None:
    stranger = Caller(TenantId("stranger"), frozenset())
    batch_id = BatchId(submit(lab, {"requests": [FOX]})["batch_id"])
    for ask in (lab.batches.get, lab.batches.cancel):
        with pytest.raises(BatchNotFound):
            await ask(stranger, batch_id)
    for path in ("nowhere", "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"):
        answer = lab.client.get(f"/generate/batch/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "batch-not-found")


def test_each_request_counts_towards_the_rate_limit() -> None:
    lab = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=3)
    submit(lab, {"requests": [FOX, FOX]})
    answer = lab.client.post("/generate/batch", json={"requests": [FOX, FOX]})
    assert answer.status_code == 429
    assert len(lab.client.get("/generate").json()["jobs"]) == 2


async def test_large_requests_share_no_transaction_that_is_too_large(lab: ApiLab) -> None:
    big = {"1": {"class_type": "PreviewAny", "inputs": {"source": "x" * 250_000}}}
    batch = submit(lab, {"requests": [{"graph": big, "wait": True}] * 15})
    assert batch["counts"]["queued"] == 15
    requests = [Request(graph=big, wait=True)] * 15
    accepted = await lab.batch_submission.submit(OWNER, requests, digest=await digest_of_all([]))
    members = [
        lab.services.batch_records.member(each.job, each.spec, accepted.batch.id)
        for each in accepted.jobs.values()
    ]
    groups = list(transactions(members))
    assert sum(len(group) for group in groups) == 15
    assert all(sum(member.size for member in group) <= MAX_BYTES for group in groups)
    too_big = {"1": {"class_type": "PreviewAny", "inputs": {"source": "x" * 360_000}}}
    mixed = submit(lab, {"requests": [{"graph": too_big, "wait": True}, FOX]})
    assert mixed["items"][0]["error"]["code"] == "too-large"
    assert json.dumps(show(lab, mixed)["items"][0]) == json.dumps(mixed["items"][0])


@pytest.mark.parametrize("is_product", [True, False])
def test_a_compressed_graph_is_stored_so_many_times(lab: ApiLab, *, is_product: bool) -> None:
    graph = {"1": {"class_type": "PreviewAny", "inputs": {"source": "x" * 250_000}}}
    saved, info = io.BytesIO(), PngInfo()
    info.add_text("prompt", json.dumps(graph), zip=True)
    Image.new("L", (1, 1)).save(saved, "PNG", pnginfo=info)
    picture = f"data:image/png;base64,{b64encode(saved.getvalue()).decode()}"
    request = {"graph": picture, "wait": True}
    product = {"request": request, "product": {"metadata": [True] * 100}}
    batch = submit(lab, product if is_product else {"requests": [request] * 100}, key="k")
    accepted = batch["counts"]["queued"]
    assert 0 < accepted <= MAX_STORED_BYTES // 250_000
    assert batch["counts"]["refused"] == 100 - accepted
    assert batch["items"][accepted]["error"]["code"] == "too-large"
    assert f"the most is {MAX_STORED_BYTES}" in batch["items"][accepted]["error"]["detail"]

"""``reuse``: results of earlier jobs for later ones that would make the same."""

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId, JobStatus
from comfyq.domain.store_kind import StoreKind
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.spec import Spec
from comfyq.ports.inbox import Message
from tests.api_lab import ApiLab, output
from tests.farm import GRAPH, Farm
from tests.scripted_engine import IMAGE

pytestmark = pytest.mark.anyio

FOX = {"prompt": "a fox", "seed": 7, "reuse": True}
DAY_S = 86_400
RETENTION_S = 7 * DAY_S
PICTURE = f"data:image/png;base64,{b64encode(b'pixels').decode()}"


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def post(lab: ApiLab, body: dict[str, Any], key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return lab.client.post("/generate", json=body, headers=headers)


async def made(lab: ApiLab, body: dict[str, Any] = FOX) -> str:
    """The id of a job that a worker has seen through, which nobody's results were there for."""
    answer = post(lab, body)
    assert answer.status_code == 202, answer.text
    return await finished(lab, answer.json()["id"])


async def finished(lab: ApiLab, job_id: str) -> str:
    job = await lab.records.get(JobId(job_id))
    await lab.reuse.note(job, await lab.records.spec(job.id))
    picture = output(f"{job_id}.png")
    ended = await lab.succeed(job_id, picture)
    lab.store(picture, b"pixels")
    await lab.dispatch.announce(ended)
    return job_id


async def test_the_same_request_has_the_same_outputs_at_once(lab: ApiLab) -> None:
    first = await made(lab)
    doorbells = len(lab.queue.messages)
    answer = post(lab, FOX)
    answered = answer.json()
    assert answer.status_code == 200
    assert (answered["status"], answered["progress"], answered["reused_from"]) == (
        "completed",
        1.0,
        first,
    )
    assert answered["id"] != first
    assert answer.headers["location"].endswith(answered["id"])
    assert [each["filename"] for each in answered["outputs"]] == [f"{first}.png"]
    assert lab.client.get(answered["image_url"]).content == b"pixels"
    shown = lab.show(answered["id"])
    assert shown["reused_from"] == first
    assert shown["outputs"] == answered["outputs"]
    assert len(lab.queue.messages) == doorbells, "nothing was left to do"
    job = await lab.records.get(JobId(answered["id"]))
    assert not job.end_pending
    assert job.ended_at == lab.clock.now()


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 8},
        {"prompt": "an owl"},
        {"steps": 9},
        {"metadata": False},
        {"reuse": False},
        {"seed": None},
        {"workflow": "flux-schnell"},
    ],
)
async def test_any_other_request_is_run(lab: ApiLab, other: dict[str, Any]) -> None:
    await made(lab)
    answer = post(lab, FOX | other)
    assert answer.status_code == 202
    assert answer.json()["reused_from"] is None


async def test_only_who_asked_for_it_is_found(lab: ApiLab) -> None:
    await made(lab, FOX | {"reuse": False})
    assert post(lab, FOX).status_code == 202


async def test_what_has_not_ended_well_is_not_reused(lab: ApiLab) -> None:
    running = post(lab, FOX).json()["id"]
    job = await lab.records.get(JobId(running))
    await lab.reuse.note(job, await lab.records.spec(job.id))
    assert post(lab, FOX).status_code == 202, "it still waits"
    lab.client.delete(f"/generate/{running}")
    assert post(lab, FOX).status_code == 202


async def test_another_tenants_results_are_not_reused(lab: ApiLab) -> None:
    await made(lab)
    stranger = Caller(TenantId("stranger"), frozenset({Scope.SUBMIT}))
    request = Request(workflow="flux-dev", values={"prompt": "a fox", "seed": 7}, reuse=True)
    assert (await lab.submission.submit(stranger, request)).job.reused_from is None


async def test_files_count_by_what_is_in_them(lab: ApiLab) -> None:
    asked = {"workflow": "sd15-img2img", "prompt": "x", "seed": 1, "reuse": True}
    first = await made(lab, asked | {"image": PICTURE})
    asset = lab.client.post("/assets?filename=other.png", content=b"pixels").json()
    assert post(lab, asked | {"image": asset["source"]}).json()["reused_from"] == first
    other = lab.client.post("/assets", content=b"other").json()
    assert post(lab, asked | {"image": other["source"]}).status_code == 202
    fitted = {"source": asset["source"], "fit": "contain"}
    assert post(lab, asked | {"image": fitted}).status_code == 202


async def test_what_a_url_leads_to_is_not_known(lab: ApiLab) -> None:
    asked = {"workflow": "sd15-img2img", "prompt": "x", "seed": 1, "reuse": True}
    body = asked | {"image": "https://example.com/a.png"}
    answered = post(lab, body).json()
    assert any("reuse" in warning and "URL" in warning for warning in answered["warnings"])
    assert (await lab.records.spec(JobId(answered["id"]))).reuse_key is None


async def test_a_graph_that_reads_comfyuis_own_files_is_run(lab: ApiLab) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "Example.PNG [output]"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    answered = post(lab, {"graph": graph, "reuse": True}).json()
    assert any("Example.PNG" in warning for warning in answered["warnings"])


async def test_titles_of_nodes_do_not_matter(lab: ApiLab) -> None:
    node = {"class_type": "EmptyImage", "inputs": {"width": 64}}
    first = await made(lab, {"graph": {"1": node}, "reuse": True})
    titled = {"1": node | {"_meta": {"title": "x"}}}
    assert post(lab, {"graph": titled, "reuse": True}).json()["reused_from"] == first


async def test_a_key_replays_the_reused_answer(lab: ApiLab) -> None:
    await made(lab)
    first, again = post(lab, FOX, "k"), post(lab, FOX, "k")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert post(lab, FOX | {"reuse": False}, "k").status_code == 422


async def test_a_batch_reuses_and_runs(lab: ApiLab) -> None:
    first = await made(lab)
    doorbells = len(lab.queue.messages)
    requests = [FOX if n % 2 else FOX | {"seed": n} for n in range(30)]
    headers = {"Idempotency-Key": "b"}
    answer = lab.client.post("/generate/batch", json={"requests": requests}, headers=headers)
    answered = answer.json()
    assert (answered["counts"]["completed"], answered["counts"]["queued"]) == (15, 15)
    reused = [item["job"] for item in answered["items"] if item["job"]["reused_from"]]
    assert {job["reused_from"] for job in reused} == {first}
    assert all(job["image_url"] for job in reused)
    assert len(lab.queue.messages) == doorbells + 15
    for job in reused:
        assert not (await lab.records.get(JobId(job["id"]))).end_pending
    again = lab.client.post("/generate/batch", json={"requests": requests}, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert [_but_seq(item) for item in again.json()["items"]] == [
        _but_seq(item) for item in answered["items"]
    ]


async def test_so_does_a_message(lab: ApiLab) -> None:
    first = await made(lab)
    message = Message(
        "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34", '{"prompt":"a fox","seed":7,"reuse":true}', {}
    )
    await lab.intake.take(OWNER, message)
    await lab.intake.take(OWNER, message)
    assert lab.show(message.id)["reused_from"] == first


async def test_the_files_stay_for_as_long_as_a_job_has_them(lab: ApiLab) -> None:
    first = await made(lab)
    lab.clock.advance(RETENTION_S - DAY_S)
    second = post(lab, FOX).json()
    assert second["reused_from"] == first
    reaper = lab.reaper
    lab.clock.advance(2 * DAY_S)
    assert not (await reaper.reap())["deleted"]
    assert lab.client.get(lab.show(second["id"])["image_url"]).content == b"pixels"
    third = post(lab, FOX).json()
    assert third["reused_from"] == first, "its results are still known"
    lab.clock.advance(RETENTION_S - 1)
    assert (await reaper.reap())["deleted"] == 1, "the second's time is over"
    assert lab.client.get(lab.show(third["id"])["image_url"]).content == b"pixels"
    lab.clock.advance(2 * DAY_S)
    deleted = (await reaper.reap())["deleted"]  # the first too, if its turn comes later
    lab.clock.advance(DAY_S)
    assert deleted + (await reaper.reap())["deleted"] == 2
    assert lab.assets.stored == {}
    assert post(lab, FOX).status_code == 202, "nothing is left to reuse"


async def test_a_job_whose_end_is_near_is_not_reused(lab: ApiLab) -> None:
    await made(lab)
    lab.clock.advance(RETENTION_S - 60)
    assert post(lab, FOX).status_code == 202


async def test_what_a_simulator_made_is_marked_and_no_result_of_a_real_comfyui(
    lab: ApiLab,
) -> None:
    kinds, first = lab.services.store_kinds, await made(lab)
    await kinds.change(await kinds.read(), StoreKind.SIMULATED)
    job = await lab.records.get(JobId(first))
    await lab.records.save(replace(job, simulated=True, version=job.version + 1))
    answered = post(lab, FOX).json()
    assert (answered["reused_from"], answered["simulated"]) == (first, True)
    await kinds.change(await kinds.read(), StoreKind.REAL)
    assert post(lab, FOX).status_code == 202


async def test_an_end_that_is_not_announced_yet_is_no_obstacle(lab: ApiLab) -> None:
    job_id = post(lab, FOX).json()["id"]
    job = await lab.records.get(JobId(job_id))
    await lab.reuse.note(job, await lab.records.spec(job.id))
    ended = await lab.succeed(job_id, output())
    lab.clock.advance(1)
    assert post(lab, FOX).json()["reused_from"] == job_id
    announced = await lab.dispatch.announce(ended)
    assert announced.kept_until is not None
    assert announced.due_at == announced.kept_until


async def test_a_worker_makes_the_results_known(farm: Farm) -> None:
    spec = Spec(graph=GRAPH, parameters={}, reuse_key="k")
    job = await farm.submit(spec=spec)
    await farm.worker("w1").run_once()
    cached = await farm.reuse.find(replace(job, id=JobId("later")), spec)
    assert cached is not None
    assert cached.job.id == job.id
    assert [each.filename for each in cached.outputs] == [IMAGE.filename]


async def test_a_lost_note_fails_no_job(farm: Farm, monkeypatch: Any) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise TableUnavailable("away")

    monkeypatch.setattr(farm.reuse, "note", away)
    job = await farm.submit(spec=Spec(graph=GRAPH, parameters={}, reuse_key="k"))
    await farm.worker("w1").run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED


async def test_without_asking_nothing_more_is_read(lab: ApiLab, monkeypatch: Any) -> None:
    reads: list[Any] = []
    get = lab.table.get

    async def counted(key: Any) -> Any:
        reads.append(key)
        return await get(key)

    monkeypatch.setattr(lab.table, "get", counted)
    _reads(lab, reads, {})  # what is read once in a while
    plain, asked = len(_reads(lab, reads, {})), len(_reads(lab, reads, {"reuse": True}))
    assert asked == plain + 1


def _reads(lab: ApiLab, reads: list[Any], more: dict[str, Any]) -> list[Any]:
    reads.clear()
    assert post(lab, {"prompt": "a", "seed": 3} | more).status_code == 202
    return list(reads)


def _but_seq(item: dict[str, Any]) -> dict[str, Any]:
    """It has grown by the note that the end was announced."""
    return item | {"job": item["job"] | {"seq": None}}

"""Graphs by RunPod's API over in-memory ports, with jobs that a test moves by hand."""

import asyncio
import copy
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import JobError, JobId
from comfyq.domain.job.progress import Progress
from comfyq.edges.api.bodies import JSON_FILES_BYTES
from comfyq.edges.api.serving.inline_files import HELD_BYTES
from tests.access_lab import FACADES, AccessLab
from tests.api_lab import ApiLab, output
from tests.catalogue_lab import INFO, beat, join
from tests.cells import Cells
from tests.comfy_lab import GRAPH
from tests.event_lab import EventLab, reading
from tests.processes import ROOT
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

RUN, RUNSYNC, HEALTH = "/v2/mine/run", "/v2/mine/runsync", "/v2/mine/health"
BODY: dict[str, Any] = {"input": {"workflow": GRAPH}}
CONTENT = b"0123456789"
PNG = b"\x89PNG\r\n\x1a\n a fox"
JSON = {"Content-Type": "application/json"}
NOBODY = "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000")


def loading(name: str) -> dict[str, Any]:
    return GRAPH | {"4": {"class_type": "LoadImage", "inputs": {"image": name}}}


def told_error(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of an error, which must be in RunPod's form."""
    assert answer.headers["content-type"] == "application/json", answer.text
    assert answer.json().keys() == {"error", "code"}
    assert answer.json()["error"]
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def lab() -> EventLab:
    lab = EventLab()
    lab.store(output(), CONTENT)
    return lab


async def held(lab: EventLab) -> JobId:
    """Wait until a request is held; return the job that it waits for."""
    await until(lambda: any("SUB#" in sk for _, sk in lab.table._items))
    return next(JobId(pk.removeprefix("JOB#")) for pk, sk in lab.table._items if "SUB#" in sk)


async def test_a_job_is_shown_in_every_state_that_it_has(lab: EventLab) -> None:
    def shown(job_id: str) -> dict[str, Any]:
        body: dict[str, Any] = lab.client.get(f"/v2/mine/status/{job_id}").json()
        return body

    sent = lab.client.post(RUN, json=BODY | {"policy": {"ttl": 9}})
    assert sent.status_code == 200, sent.text
    job_id = sent.json()["id"]
    assert sent.json() == {"id": job_id, "status": "IN_QUEUE"} == shown(job_id)
    lab.clock.advance(3)
    started = await lab.start(job_id)
    assert shown(job_id) == {"id": job_id, "status": "IN_PROGRESS", "delayTime": 3_000}
    lab.clock.advance(2)
    await lab.advance(job_id, Progress())
    assert started.started_at is not None

    done = lab.client.post(RUN, json=BODY).json()["id"]
    await lab.succeed(done, output(), output("b.txt", kind=OutputKind.TEXT))
    picture = {"filename": "a.png", "type": "base64", "data": b64encode(CONTENT).decode()}
    times = {"delayTime": 0, "executionTime": 0}
    ended = {"id": done, "status": "COMPLETED", "output": {"images": [picture]}, **times}
    assert shown(done) == ended

    large = lab.client.post(RUN, json=BODY).json()["id"]
    await lab.succeed(large, output(), replace(output("b.png"), size=HELD_BYTES))
    linked = shown(large)["output"]["images"]
    assert [(each["filename"], each["type"]) for each in linked] == [
        ("a.png", "s3_url"),
        ("b.png", "s3_url"),
    ]
    assert lab.client.get(linked[0]["data"]).content == CONTENT

    none = lab.client.post(RUN, json=BODY).json()["id"]
    await lab.succeed(none, output("b.txt", kind=OutputKind.TEXT))
    assert shown(none)["output"] == {"images": [], "status": "success_no_images"}

    for code, status in (("node-error", "FAILED"), ("deadline", "TIMED_OUT")):
        failed = lab.client.post(RUN, json=BODY).json()["id"]
        await lab.fail(failed, JobError(code, "it broke"))
        assert shown(failed) == {"id": failed, "status": status, "error": "it broke", **times}

    late = lab.client.post(RUN, json=BODY).json()["id"]
    await lab.expire(late)
    assert shown(late)["status"] == "TIMED_OUT"
    ended_late = timedelta(days=1) // timedelta(milliseconds=1)
    assert shown(late)["delayTime"] == ended_late


async def test_a_large_picture_is_read_and_encoded_while_it_is_sent(
    lab: EventLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise some clients that ask at the same time would fill the memory."""
    content = bytes(range(256)) * 10_001  # neither its size nor that of a piece is of threes
    large = output("large.png", size=len(content))
    lab.store(large, content)
    read, pieces = lab.assets.read, list[bytes]()

    async def noted(key: str, **bounds: Any) -> AsyncIterator[bytes]:
        async for piece in read(key, **bounds):
            pieces.append(piece)
            yield piece

    monkeypatch.setattr(lab.assets, "read", noted)
    job_id = lab.client.post(RUN, json=BODY).json()["id"]
    await lab.succeed(job_id, large, output())
    async with reading(lab.app, f"/v2/mine/status/{job_id}") as reader:
        reader.pause()
        await anyio.wait_all_tasks_blocked()
        assert len(b"".join(pieces)) < len(content) / 2
        reader.go_on()
        await reader.end()
    assert b"".join(pieces) == content + CONTENT
    images = [b64decode(each["data"], validate=True) for each in reader.json["output"]["images"]]
    assert images == [content, CONTENT]
    assert int(reader.headers["content-length"]) == len(reader.body)
    del lab.assets.stored[large.key]
    gone = lab.client.get(f"/v2/mine/status/{job_id}")
    assert told_error(gone) == (404, "output-not-found")


async def test_a_request_may_wait_for_its_job(lab: EventLab) -> None:
    async with client_of(lab.app) as client:
        sent = asyncio.create_task(client.post(RUNSYNC, json=BODY))
        job_id = await held(lab)
        await lab.announce(await lab.succeed(job_id, output()))
        answer = (await sent).json()
        assert (answer["id"], answer["status"]) == (job_id, "COMPLETED")
        assert answer["output"]["images"][0]["filename"] == "a.png"
        sent = asyncio.create_task(client.post(RUNSYNC, json=BODY))
        job_id = await held(lab)
        lab.streams.stop()  # or the time is over
        assert (await sent).json() == {"id": job_id, "status": "IN_QUEUE"}
    assert (lab.followers, lab.streams.live) == (set(), {})


async def test_a_client_that_leaves_cancels_nothing(lab: EventLab) -> None:
    async with reading(lab.app, RUNSYNC, posted=BODY) as reader:
        job_id = await held(lab)
        reader.leave()
        await reader.end()
    assert (await lab.records.get(job_id)).status == "queued"


async def test_where_there_is_no_place_to_wait_it_is_answered_at_once() -> None:
    lab = EventLab(most_streams=1)
    async with client_of(lab.app) as client:
        first = asyncio.create_task(client.post(RUNSYNC, json=BODY))
        waiting = await held(lab)
        answer = await client.post(RUNSYNC, json=BODY)
        assert (answer.status_code, answer.json()["status"]) == (200, "IN_QUEUE")
        await lab.announce(await lab.succeed(waiting, output()))
        await first


async def test_a_job_is_canceled_once_its_worker_has_stopped(lab: EventLab) -> None:
    waiting = lab.client.post(RUN, json=BODY).json()["id"]
    expected = {"id": waiting, "status": "CANCELLED"}
    for _ in range(2):
        assert lab.client.post(f"/v2/mine/cancel/{waiting}", headers=JSON).json() == expected
    running = lab.client.post(RUN, json=BODY).json()["id"]
    await lab.start(running)
    async with client_of(lab.app) as client:
        sent = asyncio.create_task(client.post(f"/v2/mine/cancel/{running}"))
        job_id = await held(lab)
        job = await lab.records.get(job_id)
        assert job.cancel_requested
        lab.streams.stop()
        assert (await sent).json() == {"id": running, "status": "IN_PROGRESS"}, "it may yet succeed"


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
async def test_a_graph_loads_the_pictures_that_come_with_it(lab: EventLab, prefix: str) -> None:
    image = {"name": "fox.png", "image": prefix + b64encode(PNG).decode()}
    for name in ("fox.png", "fox.png [input]"):
        body = {"input": {"workflow": loading(name), "images": [image]}}
        sent = lab.client.post(RUN, json=body)
        assert sent.status_code == 200, sent.text
        [file] = (await lab.records.spec(JobId(sent.json()["id"]))).inputs
        assert (file.node, file.input, file.kind) == ("4", "image", "image")
        stored = lab.client.get(f"/assets/{file.source.removeprefix('asset:')}").json()
        assert (stored["filename"], stored["content_type"]) == ("fox.png", "image/png")


async def test_a_picture_takes_the_place_of_files_alone(lab: EventLab, tmp_path: Path) -> None:
    info: dict[str, Any] = copy.deepcopy(dict(INFO))
    info["BrushLoader"] = copy.deepcopy(info["LoadImage"])  # of a custom node, with its own button
    await join(lab, tmp_path, info)
    others: dict[str, Any] = json.loads((ROOT / "workflows/sd15/graph.json").read_text())
    named = {"CLIPTextEncode": "text", "SaveImage": "filename_prefix"}
    for body in others.values():
        if body["class_type"] in named:
            body["inputs"][named[body["class_type"]]] = "fox"
    loaders = {"90": "LoadImage", "91": "BrushLoader"}
    graph = copy.deepcopy(others)
    for node, class_type in loaders.items():
        graph[node] = {"class_type": class_type, "inputs": {"image": "fox"}}
        graph[f"{node}0"] = {"class_type": "PreviewImage", "inputs": {"images": [node, 0]}}
    image = {"name": "fox", "image": b64encode(PNG).decode()}
    sent = lab.client.post(RUN, json={"input": {"workflow": graph, "images": [image]}})
    assert sent.status_code == 200, sent.text
    spec = await lab.records.spec(JobId(sent.json()["id"]))
    assert {each.node for each in spec.inputs} == loaders.keys()
    assert {node: spec.graph[node] for node in others} == others
    graph["90"]["inputs"]["image"] = graph["91"]["inputs"]["image"] = "other.png"
    refused = lab.client.post(RUN, json={"input": {"workflow": graph, "images": [image]}})
    assert told_error(refused) == (400, "invalid-request")
    assert "no node of the workflow loads 'fox'" in refused.json()["error"]


async def test_health_counts_workers_and_ones_own_jobs(lab: EventLab) -> None:
    await beat(lab, "w1")
    lab.client.post(RUN, json=BODY)
    told = lab.client.get(HEALTH).json()
    assert told["jobs"] == {
        "completed": 0,
        "failed": 0,
        "inProgress": 0,
        "inQueue": 1,
        "retried": 0,
    }
    assert told["workers"]["ready"] == told["workers"]["idle"] == 1
    assert (told["workers"]["running"], told["workers"]["unhealthy"]) == (0, 0)
    await beat(lab, "w1", jobs=["of-another-tenant"])
    assert lab.client.get(HEALTH).json()["workers"] == told["workers"]


def picture(image: str = "eA==", name: str = "fox.png") -> dict[str, Any]:
    return {"input": {"workflow": loading("fox.png"), "images": [{"name": name, "image": image}]}}


ERRORS: Mapping[str, tuple[str, str, dict[str, Any], tuple[int, str], str]] = {
    "no route": ("POST", "/v2/mine/purge-queue", {}, (404, "not-found"), ""),
    "no job": ("GET", f"/v2/mine/status/{NOBODY}", {}, (404, "job-not-found"), NOBODY),
    "no id": ("GET", "/v2/mine/status/abc-e1", {}, (404, "job-not-found"), "UUID"),
    "method": ("GET", RUN, {}, (405, "method-not-allowed"), "POST"),
    "no JSON": ("POST", RUN, {"content": b"{", "headers": JSON}, (400, "invalid-json"), ""),
    "other type": ("POST", RUN, {"content": b"{}"}, (400, "unsupported-media-type"), "JSON"),
    "no input": ("POST", RUN, {"json": {}}, (400, "invalid-request"), "input: is missing"),
    "no graph": (
        "POST",
        RUN,
        {"json": {"input": {"prompt": "a fox"}}},
        (400, "invalid-request"),
        "",
    ),
    "webhook": (
        "POST",
        RUN,
        {"json": BODY | {"webhook": "http://x"}},
        (400, "invalid-request"),
        "",
    ),
    "bad graph": (
        "POST",
        RUN,
        {"json": {"input": {"workflow": {"1": {"inputs": {}}}}}},
        (400, "invalid-graph"),
        "class_type",
    ),
    "bad base64": ("POST", RUN, {"json": picture("!")}, (400, "invalid-request"), "images.0.image"),
    "no such name": (
        "POST",
        RUN,
        {"json": picture(name="cat.png")},
        (400, "invalid-request"),
        "no node of the workflow loads 'cat.png'",
    ),
    "wait": ("POST", f"{RUNSYNC}?wait=5", {"json": BODY}, (400, "invalid-request"), "wait"),
    "large": (
        "POST",
        RUN,
        {"content": b" " * (JSON_FILES_BYTES + 1), "headers": JSON},
        (413, "too-large"),
        str(JSON_FILES_BYTES),
    ),
}


def test_errors_are_in_the_form_of_the_api() -> None:
    lab = ApiLab(COMFYQ_FACADES=FACADES)
    with Cells() as cells:
        for name, (method, path, request, told, reason) in ERRORS.items():
            with cells.cell(name):
                answer = lab.client.request(method, path, **request)
                assert told_error(answer) == told
                assert reason in answer.json()["error"]


def test_who_is_not_known_is_told_so() -> None:
    answer = AccessLab().ask("GET", HEALTH, "cq_x")
    assert told_error(answer) == (401, "unauthenticated")


def test_it_is_off_unless_switched_on() -> None:
    assert told_error(ApiLab(COMFYQ_FACADES="openai").client.get(HEALTH)) == (404, "not-found")

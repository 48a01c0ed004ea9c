"""ComfyUI's own API over in-memory ports, with jobs that a test moves by hand."""

import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope
from comfyq.domain.errors import JobNotFound
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import Job, JobError, JobId, JobStatus
from comfyq.edges.comfyui.output_names import named_output, output_name
from comfyq.edges.comfyui.routes import queue
from tests.access_lab import FACADES, OTHER, AccessLab
from tests.api_lab import ApiLab, output
from tests.catalogue_lab import INFO, join
from tests.cells import Cells
from tests.comfy_lab import GRAPH
from tests.native_lab import got, loading, sent, told_error

pytestmark = pytest.mark.anyio

CONTENT = b"0123456789"
PNG = b"\x89PNG\r\n\x1a\n a fox"
NOBODY = "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"
OWNER = Caller(DEFAULT_TENANT, frozenset(Scope))


def graph_with(node: str, **inputs: Any) -> dict[str, Any]:
    body = GRAPH[node]
    return GRAPH | {node: body | {"inputs": body["inputs"] | inputs}}


@pytest.fixture
def lab() -> ApiLab:
    lab = ApiLab(COMFYQ_FACADES=FACADES)
    lab.store(output(), CONTENT)
    return lab


def sent_later(lab: ApiLab) -> str:
    """Submit a graph at a time of its own."""
    lab.clock.advance(1)
    return sent(lab)


async def test_a_job_is_in_the_queue_and_then_in_the_history(lab: ApiLab) -> None:
    pnginfo: dict[str, Any] = {"workflow": {"nodes": []}}
    extra = {"extra_data": {"extra_pnginfo": pnginfo, "token": "secret"}, "client_id": "c"}
    job_id, first = sent(lab, **extra), sent(lab, front=True)
    job = await lab.records.get(JobId(job_id))
    assert dict(job.labels) == {"comfyui/client": "c"}
    assert (await lab.records.get(JobId(first))).priority > job.priority
    assert got(lab, "/prompt") == {"exec_info": {"queue_remaining": 2}}
    assert got(lab, f"/history/{job_id}") == {}
    await lab.start(job_id)
    queue = got(lab, "/queue")
    [[number, shown_id, graph, extra_data, _]] = queue["queue_running"]
    assert [each[1] for each in queue["queue_pending"]] == [first]
    assert (shown_id, graph) == (job_id, GRAPH)
    created = int(job.created_at.timestamp() * 1_000)
    told = {"client_id": "c", "create_time": created, "extra_pnginfo": pnginfo}
    assert (number, extra_data) == (created, told), "and nothing of what else was sent"

    assert got(lab, f"/history/{NOBODY}") == {} == got(lab, "/history/none")


async def test_what_a_job_has_made_is_told_and_served_under_names_of_its_own(lab: ApiLab) -> None:
    made = (
        output(),
        output("b.webm", kind=OutputKind.VIDEO),
        output("c.flac", kind=OutputKind.AUDIO),
    )
    said = replace(output("d.txt", kind=OutputKind.TEXT), text="hello", key="")
    job_id = sent(lab)
    job = await lab.succeed(job_id, *made, said)
    entry = got(lab, f"/history/{job_id}")[job_id]
    stem = job_id[:-4]

    def file(name: str) -> dict[str, str]:
        return {"filename": name, "subfolder": "", "type": "output"}

    assert entry["outputs"] == {
        "9": {
            "images": [file(f"a{stem}0001.png"), file(f"b{stem}0002.webm")],
            "animated": [True],
            "audio": [file(f"c{stem}0003.flac")],
            "text": ["hello"],
        }
    }
    assert entry["prompt"][1:3] == [job_id, GRAPH]
    assert entry["prompt"][4] == ["9"]
    assert entry["meta"]["9"]["node_id"] == "9"
    status = entry["status"]
    assert (status["status_str"], status["completed"]) == ("success", True)
    assert [kind for kind, _ in status["messages"]] == [
        "execution_start",
        "execution_cached",
        "execution_success",
    ]
    assert job.ended_at is not None
    assert status["messages"][-1][1] == {
        "prompt_id": job_id,
        "timestamp": int(job.ended_at.timestamp() * 1_000),
    }

    for base in ("", "/api", "/comfyui", "/comfyui/api"):
        view = lab.client.get(f"{base}/view?filename=a{stem}0001.png&subfolder=&type=output")
        assert (view.status_code, view.content) == (200, CONTENT), base
    ranged = lab.client.get(f"/view?filename=a{stem}0001.png", headers={"Range": "bytes=2-4"})
    assert (ranged.status_code, ranged.content) == (206, CONTENT[2:5])
    looked = lab.client.request("HEAD", f"/view?filename=a{stem}0001.png")
    assert (looked.status_code, looked.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert lab.client.request("HEAD", f"/view?filename=a{NOBODY}.png").status_code == 404
    for query in (
        f"filename=b{stem}0001.png",
        f"filename=a{stem}0009.png",
        f"filename=a{NOBODY}.png",
        "filename=a.png",
        f"filename=a.png&subfolder={job_id}/7",
        f"filename=a.png&subfolder={job_id}/x",
        "filename=",
    ):
        assert lab.client.get(f"/view?{query}").status_code == 404, query
    assert lab.client.get("/view?filename=a.png&subfolder=..").status_code == 400
    linked = ApiLab(COMFYQ_FACADES=FACADES, linked_assets=True)
    linked.store(output(), CONTENT)
    job_id = sent(linked)
    await linked.succeed(job_id, output())
    led = linked.client.get(f"/view?filename=a{job_id[:-4]}0001.png", follow_redirects=False)
    assert led.status_code == 302


def test_names_of_outputs_lead_back_to_them() -> None:
    whole, other = JobId(NOBODY[:-4] + "0000"), JobId(NOBODY)
    for job_id, index in ((whole, 0), (whole, 9_999), (other, 0), (other, 9_999)):
        for filename in ("a_00001_.png", "a.b.png", "plain", ".hidden", "a 1.tar.gz"):
            name = output_name(job_id, index, output(filename))
            assert named_output(name) == (job_id, index), name
            assert name.startswith(filename.rpartition(".")[0][:1])
    assert named_output("a.png") is None
    assert named_output(f"a{whole}.png") is None, "no place"


async def test_the_end_of_a_job_that_made_nothing_is_in_its_history(lab: ApiLab) -> None:
    failed, canceled, late = (sent_later(lab) for _ in range(3))
    await lab.fail(failed, JobError("node-error", "it broke", "3"))
    lab.client.post("/queue", content=json.dumps({"delete": [canceled, NOBODY, 7]}))
    await lab.expire(late)
    told = {
        job_id: entry["status"]["messages"][-1] for job_id, entry in got(lab, "/history").items()
    }
    assert list(told) == [failed, canceled, late], "the oldest first"
    assert [kind for kind, _ in told.values()] == [
        "execution_error",
        "execution_interrupted",
        "execution_error",
    ]
    assert told[failed][1]["exception_message"] == "it broke"
    assert (told[failed][1]["node_id"], told[failed][1]["exception_type"]) == ("3", "node-error")
    assert list(got(lab, "/history?max_items=1")) == [late]
    assert list(got(lab, "/history?max_items=1&offset=1")) == [canceled]
    assert got(lab, "/history?max_items=0") == {}


async def test_a_queue_is_cleared_and_what_runs_is_interrupted(lab: ApiLab) -> None:
    async def statuses() -> list[str]:
        jobs = [await lab.records.get(JobId(each)) for each in (running, one, two)]
        return [f"{job.status}{'!' if job.cancel_requested else ''}" for job in jobs]

    running, one, two = (sent(lab) for _ in range(3))
    await lab.start(running)

    def post(path: str, **body: Any) -> None:
        content = json.dumps(body) if body else b""
        assert lab.client.post(path, content=content).status_code == 200

    post("/queue", delete=[running, one])
    assert await statuses() == ["running", "canceled!", "queued"], "what runs is not in the queue"
    post("/interrupt", prompt_id=two)
    post("/interrupt", prompt_id="none")
    post("/queue")
    assert await statuses() == ["running", "canceled!", "queued"]
    post("/queue", clear=True)
    assert await statuses() == ["running", "canceled!", "canceled!"]
    post("/interrupt")
    assert await statuses() == ["running!", "canceled!", "canceled!"]


async def test_a_job_deleted_meanwhile_leaves_the_others_to_be_canceled(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, other = sent(lab), sent_later(lab)
    cancel = lab.services.cancellation.cancel

    async def cancel_unless_gone(caller: Caller, job_id: JobId) -> Job:
        if job_id == gone:
            raise JobNotFound("there is no such job")
        return await cancel(caller, job_id)

    monkeypatch.setattr(lab.services.cancellation, "cancel", cancel_unless_gone)
    answer = lab.client.post("/queue", json={"delete": [gone, other]})
    assert answer.status_code == 200, answer.text
    assert (await lab.records.get(JobId(other))).status is JobStatus.CANCELED


async def test_a_client_may_name_its_job(lab: ApiLab) -> None:
    again = [sent(lab, prompt_id=NOBODY.upper()), sent(lab, prompt_id=NOBODY)]
    assert again == [NOBODY] * 2
    [[_, shown_id, *_]] = got(lab, "/queue")["queue_pending"]
    assert shown_id == NOBODY, "one job, by the id that it was given"
    [job] = (await lab.services.listing.page(OWNER, limit=9)).jobs
    await lab.succeed(job.id, output())
    for asked in (NOBODY, job.id):
        [entry] = got(lab, f"/history/{asked}").values()
        assert entry["prompt"][1] == NOBODY
        assert entry["status"]["messages"][-1][1]["prompt_id"] == NOBODY
    other = lab.client.post("/prompt", json={"prompt": loading("x"), "prompt_id": NOBODY})
    assert told_error(other) == (400, "idempotency_mismatch")


async def test_files_are_loaded_by_the_names_that_they_were_uploaded_under(lab: ApiLab) -> None:
    def upload(content: bytes, name: str = "fox.png", **texts: str) -> dict[str, str]:
        answer = lab.client.post(
            "/upload/image", files={"image": (name, content, "image/png")}, data=texts
        )
        assert answer.status_code == 200, answer.text
        told: dict[str, str] = answer.json()
        return told

    def place(name: str, subfolder: str = "", kind: str = "input") -> dict[str, str]:
        return {"name": name, "subfolder": subfolder, "type": kind}

    assert upload(PNG) == upload(PNG) == place("fox.png")
    assert upload(PNG + b"2") == place("fox (1).png"), "another file of that name"
    assert upload(PNG + b"3", overwrite="true") == place("fox.png")
    assert upload(PNG, subfolder="a/b") == place("fox.png", "a/b")
    assert upload(PNG, type="temp") == place("fox.png", kind="temp")
    assert upload(PNG, "../x/fox.png", subfolder="./c//") == place("fox.png", "c")
    views = {
        "filename=fox.png&type=input": PNG + b"3",
        "filename=fox (1).png&type=input": PNG + b"2",
        "filename=fox.png&type=input&subfolder=a/b": PNG,
        "filename=a/b/fox.png [input]": PNG,
    }
    for query, content in views.items():
        assert lab.client.get(f"/view?{query}").content == content, query
    assert lab.client.get("/view?filename=fox.png").status_code == 404, "it is no output"

    async def loaded(name: str) -> Any:
        spec = await lab.records.spec(JobId(sent(lab, loading(name))))
        if not spec.inputs:
            return spec.graph["4"]["inputs"]["image"]
        return [chunk async for chunk in lab.assets.read(await key_of(spec.inputs[0].source))]

    async def key_of(source: str) -> str:
        return (await lab.uploads.get(OWNER, AssetId(source.removeprefix("asset:")))).key

    assert await loaded("fox.png") == [PNG + b"3"]
    assert await loaded("fox.png [input]") == [PNG + b"3"]
    assert await loaded("fox (1).png") == [PNG + b"2"]
    assert await loaded("a/b/fox.png") == [PNG]
    assert await loaded("fox.png [temp]") == [PNG]
    assert await loaded("cat.png") == "cat.png", "ComfyUI may have it"
    job_id = sent(lab, loading("fox.png"))
    await lab.succeed(job_id)
    shown = got(lab, f"/history/{job_id}")[job_id]["prompt"][2]["4"]["inputs"]["image"]
    assert shown.startswith("asset:")
    assert sent(lab, loading(shown)), "it may be sent again"

    lab.clock.advance(8 * 86_400)
    await lab.uploads.expire()
    assert lab.client.get("/view?filename=fox (1).png&type=input").status_code == 404
    assert upload(PNG + b"4") == place("fox.png"), "the name is free again"


async def test_names_are_each_tenants_own(tmp_path: Path) -> None:
    lab = AccessLab()
    mine, theirs = await lab.key(), await lab.key(tenant=OTHER)
    form = {"files": {"image": ("fox.png", PNG, "image/png")}}
    assert lab.ask("POST", "/upload/image", theirs, **form).status_code == 200
    query = "/view?filename=fox.png&type=input"
    assert lab.ask("GET", query, theirs).content == PNG
    assert lab.ask("GET", query, mine).status_code == 404
    other = {"files": {"image": ("fox.png", PNG + b"2", "image/png")}}
    assert lab.ask("POST", "/upload/image", mine, **other).json()["name"] == "fox.png", "not taken"
    assert lab.ask("GET", query, theirs).content == PNG, "nor taken away"
    other_name = {"files": {"image": ("cat.png", PNG, "image/png")}}
    assert lab.ask("POST", "/upload/image", theirs, **other_name).status_code == 200
    loads = {"json": {"prompt": loading("cat.png")}}
    foreign = lab.ask("POST", "/prompt", mine, **loads)
    assert told_error(foreign) == (400, "prompt_outputs_failed_validation")
    assert foreign.json()["node_errors"]["4"]["errors"][0]["type"] == "foreign_file"
    assert lab.ask("POST", "/prompt", theirs, **loads).status_code == 200
    job_id = lab.ask("POST", "/prompt", mine, json={"prompt": GRAPH}).json()["prompt_id"]
    await lab.succeed(job_id, output())
    for key, history in ((mine, {job_id}), (theirs, set())):
        assert set(lab.ask("GET", f"/history/{job_id}", key).json()) == history
        assert set(lab.ask("GET", "/history", key).json()) == history
    theirs_too = lab.ask("POST", "/prompt", theirs, json={"prompt": GRAPH}).json()["prompt_id"]
    for path, body in (("/queue", {"clear": True, "delete": [theirs_too]}), ("/interrupt", {})):
        assert lab.ask("POST", path, mine, json=body).status_code == 200
    assert (await lab.records.get(JobId(theirs_too))).status is JobStatus.QUEUED


async def test_a_key_comes_as_user_or_password(lab: ApiLab) -> None:
    keyed = AccessLab()
    key = await keyed.key()

    def status(text: str, **headers: str) -> int:
        basic = f"Basic {b64encode(text.encode()).decode()}"
        answer = keyed.ask("GET", "/queue", None, headers={"Authorization": basic, **headers})
        return answer.status_code

    assert [status(f"me:{key}"), status(f"{key}:"), status(key)] == [200] * 3
    assert [status("me:cq_x"), status(":"), status("")] == [401] * 3
    same, cross = ({"Sec-Fetch-Site": site} for site in ("same-origin", "cross-site"))
    assert (status(f"me:{key}", **same), status(f"me:{key}", **cross)) == (200, 401)
    broken = keyed.ask("GET", "/queue", None, headers={"Authorization": "Basic !"})
    assert told_error(broken) == (401, "unauthenticated")
    assert keyed.ask("GET", f"/queue?token={key}", None).status_code == 401, "it would be logged"
    elsewhere = keyed.ask("GET", "/quota", None, headers={"Authorization": f"Basic {key}"})
    assert elsewhere.status_code == 401


async def test_nodes_and_models_of_the_workers_are_told(lab: ApiLab, tmp_path: Path) -> None:
    assert got(lab, "/object_info") == {} == got(lab, "/object_info/KSampler")
    assert got(lab, "/models") == []
    await join(lab, tmp_path)
    classes = got(lab, "/object_info")
    assert classes.keys() == INFO.keys()
    for name in ("KSampler", "SaveImage"):
        assert classes[name]["input"].keys() == INFO[name]["input"].keys()
        assert classes[name]["output"] == INFO[name]["output"]
        assert classes[name].keys() >= {"display_name", "category", "description", "output_node"}
        assert got(lab, f"/object_info/{name}") == {name: classes[name]}
    assert got(lab, "/object_info/NoSuchNode") == {}
    assert {"checkpoints", "loras"} <= set(got(lab, "/models"))
    names = got(lab, "/api/models/checkpoints")
    assert "shared_sd15.ckpt" in names
    assert got(lab, "/models/unet") == got(lab, "/models/diffusion_models")
    assert told_error(lab.client.get("/models/nothing")) == (404, "not_found")
    assert got(lab, "/embeddings") == got(lab, "/extensions") == []
    assert got(lab, "/features")["max_upload_size"] == 8_000_000
    stats = got(lab, "/system_stats")
    assert len(stats["devices"]) == 1
    assert stats["system"].keys() >= {"comfyui_version", "python_version", "ram_total"}
    assert lab.client.post("/free", json={"unload_models": True}).status_code == 200


UNKNOWN = {"7": {"class_type": "NoSuchNode", "inputs": {}}}
ERRORS: dict[str, tuple[Any, tuple[int, str], str]] = {
    "nothing": (b"", (400, "no_prompt"), "No prompt provided"),
    "no JSON": (b"{", (400, "invalid_request"), "body: is no JSON"),
    "no object": (b"[]", (400, "invalid_request"), "is no JSON object"),
    "deep": (b'{"a":' * 300 + b"1" + b"}" * 300, (400, "invalid_request"), "levels deep"),
    "no graph": ({"prompt": [1]}, (400, "no_prompt"), "API)"),
    "empty": ({"prompt": {}}, (400, "prompt_no_outputs"), "Prompt has no outputs"),
    "no output": (
        {"prompt": {"3": GRAPH["3"]}},
        (400, "prompt_no_outputs"),
        "Prompt has no outputs",
    ),
    "no class": ({"prompt": {"7": {"inputs": {}}}}, (400, "missing_node_type"), "ID '#7'"),
    "unknown class": ({"prompt": GRAPH | UNKNOWN}, (400, "missing_node_type"), "'NoSuchNode'"),
    "id": ({"prompt": GRAPH, "prompt_id": "x"}, (400, "invalid_prompt_id"), "is no UUID"),
    "extra": ({"prompt": GRAPH, "extra_data": 1}, (400, "invalid_request"), "extra_data"),
    "key": (
        {"prompt": GRAPH, "extra_data": {"api_key_comfy_org": "é"}},
        (400, "invalid_request"),
        "api_key_comfy_org: is no key",
    ),
    "half of a pair": (
        {"prompt": GRAPH, "extra_data": {"extra_pnginfo": {"workflow": {"note": "\ud83d"}}}},
        (400, "invalid_graph"),
        "extra_data.extra_pnginfo: has a number that is not finite, or text that is not Unicode",
    ),
    "targets": (
        {"prompt": GRAPH, "partial_execution_targets": "9"},
        (400, "invalid_request"),
        "partial_execution_targets",
    ),
    "no target": (
        {"prompt": GRAPH, "partial_execution_targets": ["10"]},
        (400, "invalid_request"),
        "names no node of the graph",
    ),
    "a target that is no output": (
        {"prompt": GRAPH, "partial_execution_targets": ["3"]},
        (400, "prompt_no_outputs"),
        "output",
    ),
    "targets of no graph": (
        {"prompt": {"9": 7}, "partial_execution_targets": ["9"]},
        (400, "missing_node_type"),
        "9",
    ),
    "client": ({"prompt": GRAPH, "client_id": "c" * 2_000}, (400, "invalid_request"), "client_id"),
}


async def test_what_is_refused_is_told_in_comfyuis_form(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    with Cells() as cells:
        for name, (body, told, reason) in ERRORS.items():
            with cells.cell(name):
                content = body if isinstance(body, bytes) else json.dumps(body)
                answer = lab.client.post("/prompt", content=content)
                assert told_error(answer) == told, answer.text
                assert reason in answer.text
                assert answer.json()["node_errors"] == {}
    small = lab.client.post("/prompt", json={"prompt": graph_with("3", width=-1)})
    assert told_error(small) == (400, "prompt_outputs_failed_validation")
    node = small.json()["node_errors"]["3"]
    assert (node["class_type"], node["dependent_outputs"]) == ("EmptyImage", ["9"])
    assert node["errors"][0]["type"] == "value_smaller_than_min"
    assert node["errors"][0]["extra_info"]["received_value"] == -1


async def test_uploads_that_are_none_are_refused(lab: ApiLab) -> None:
    def refused(content: bytes = PNG, field: str = "image", **texts: str) -> int:
        answer = lab.client.post("/upload/image", files={field: ("a.png", content)}, data=texts)
        told_error(answer)
        return answer.status_code

    assert refused(subfolder="../../evil") == refused(subfolder="/etc") == 400
    assert refused(type="weird") == refused(b"") == refused(field="file") == 400
    assert refused(b"x" * 9_000_000) == 413


async def test_a_part_of_a_graph_is_run(lab: ApiLab) -> None:
    graph = GRAPH | {
        "4": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
        "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "b"}},
    }
    job_id = sent(lab, graph, partial_execution_targets=["9", "gone"])
    assert (await lab.records.spec(JobId(job_id))).graph == GRAPH
    job_id = sent(lab, graph, partial_execution_targets=["5", "9"])
    assert (await lab.records.spec(JobId(job_id))).graph == graph


async def test_a_long_queue_is_shown_as_far_as_there_is_room(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for start in range(0, 130, 65):
        lab.clock.advance(1)
        body = {"requests": [{"graph": graph_with("3", width=64 + start + n)} for n in range(65)]}
        assert lab.client.post("/generate/batch", json=body).status_code == 202
    answer = lab.client.get("/queue")
    assert len(answer.json()["queue_pending"]) == 130
    assert answer.headers["x-comfyq-left-out"] == "0"
    assert got(lab, "/prompt") == {"exec_info": {"queue_remaining": 130}}
    monkeypatch.setattr(queue, "MOST_QUEUE_BYTES", len(answer.content) // 2)
    shorter = lab.client.get("/queue")
    shown = shorter.json()["queue_pending"]
    assert 50 < len(shown) < 80
    assert [each[1] for each in shown] == [
        each[1] for each in answer.json()["queue_pending"][-len(shown) :]
    ], "the newest"
    assert int(shorter.headers["x-comfyq-left-out"]) == 130 - len(shown)


def test_paths_that_it_does_not_have_are_left_to_others(lab: ApiLab) -> None:
    off = ApiLab(COMFYQ_FACADES="openai")
    for path in ("/queue", "/api/queue", "/comfyui/queue", "/comfyui"):
        assert told_error(off.client.get(path)) == (404, "not_found")
    assert told_error(lab.client.get("/comfyui/nothing")) == (404, "not_found")
    assert told_error(lab.client.delete("/queue")) == (405, "method_not_allowed")
    assert lab.client.get("/nothing").json()["code"] == "not-found"
    assert lab.client.get("/ws/progress/x").json()["code"] == "not-found"
    assert lab.client.get("/api/v2/nothing").json()["error"]["code"] == "not_found"
    assert "/prompt" not in got(lab, "/openapi.json")["paths"]
    assert told_error(lab.client.get("/ws")) == (501, "streams_not_served")

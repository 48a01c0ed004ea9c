"""Graphs in whatever form clients have them, on their way to ComfyUI."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.caller import SUBMITTING, Caller, TenantId
from comfyq.domain.dead_letter import RedriveOutcome
from comfyq.domain.job import JobId
from comfyq.ports.inbox import Message
from comfyq.services.worker.prompts import prompt_of
from tests.api_lab import ApiLab
from tests.catalogue_lab import info_with, join

pytestmark = pytest.mark.anyio

FILES = Path(__file__).parents[3] / "data" / "graphs" / "editor"
EDITOR = json.loads((FILES / "notes-and-reroutes.json").read_text())
GRAPH = json.loads((FILES / "notes-and-reroutes.api.json").read_text())


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def sent(lab: ApiLab, body: Any, *, path: str = "/generate") -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    return lab.client.post(path, content=content, headers=headers)


async def prompt_for(lab: ApiLab, job_id: str) -> Any:
    """What the worker would submit to ComfyUI for a job."""
    job = await lab.records.get(JobId(job_id))
    return prompt_of(job, await lab.records.spec(JobId(job_id)))


async def test_one_graph_in_many_forms_is_one_job(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    uri = "data:application/json;base64," + b64encode(json.dumps(GRAPH).encode("utf-16")).decode()
    forms = [
        GRAPH,
        EDITOR,
        {"graph": EDITOR},
        {"graph": uri},
        {"graph": {"prompt": GRAPH}},
        {"prompt": GRAPH, "client_id": "x"},
        {"input": {"workflow": EDITOR}},
        json.dumps(GRAPH).encode("utf-16"),
        json.dumps(EDITOR).encode("utf-8-sig"),
        json.dumps(GRAPH).replace('"inputs"', '"is_changed": [NaN], "inputs"').encode(),
    ]
    for form in forms:
        answer = sent(lab, form, path="/generate?dry_run=1")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["graph"], answer.json()["checked"]) == (GRAPH, True)
    batch = sent(lab, {"requests": [GRAPH, {"prompt": GRAPH}, EDITOR]}, path="/generate/batch")
    assert batch.json()["counts"]["queued"] == 3, batch.text


async def test_what_an_editor_file_leaves_open_is_told(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    sticker = {"id": 900, "type": "Sticker"}
    bare = {"id": 901, "type": "KSampler", "widgets_values": [1]}
    file = EDITOR | {"nodes": [*EDITOR["nodes"], sticker, bare]}
    rehearsed = sent(lab, file, path="/generate?dry_run=1").json()
    assert [each.partition(" ")[2][:20] for each in rehearsed["warnings"]] == [
        "900 (Sticker) was le",
        "901 (KSampler) has n",
    ]
    many = EDITOR | {"nodes": [*EDITOR["nodes"], *({**sticker, "id": 900 + n} for n in range(30))]}
    assert len(sent(lab, many, path="/generate?dry_run=1").json()["warnings"]) == 21
    twins = EDITOR | {"nodes": [*EDITOR["nodes"], EDITOR["nodes"][0]]}
    refused = sent(lab, twins)
    assert refused.status_code == 422
    assert "two nodes of the id" in refused.json()["errors"][0]["message"]


async def test_a_queue_takes_what_the_api_takes(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    owner = Caller(TenantId("default"), SUBMITTING)
    for number, body in enumerate((EDITOR, {"input": {"workflow": GRAPH}})):
        message = Message(f"00000000-0000-4000-8000-{number:012}", "\ufeff" + json.dumps(body), {})
        assert await lab.intake.take(owner, message) is RedriveOutcome.ACCEPTED
        assert (await prompt_for(lab, message.id)).graph.keys() == GRAPH.keys()


async def test_switches_stand_beside_a_graph(lab: ApiLab) -> None:
    body = {"prompt": GRAPH, "overrides": {"3.steps": 9}, "wait": True}
    rehearsed = sent(lab, body, path="/generate?dry_run=1").json()
    assert rehearsed["graph"]["3"]["inputs"]["steps"] == 9


async def test_pictures_open_in_the_editor(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    job = sent(lab, {"graph": EDITOR}).json()
    assert (await prompt_for(lab, job["id"])).extra_data["extra_pnginfo"] == {"workflow": EDITOR}
    own = {"extra_pnginfo": {"workflow": {"nodes": []}, "by": "me"}}
    job = sent(lab, {"graph": GRAPH, "extra_data": own}).json()
    assert (await prompt_for(lab, job["id"])).extra_data["extra_pnginfo"] == own["extra_pnginfo"]


async def test_signatures_and_contents_do_not_get_into_pictures(lab: ApiLab) -> None:
    info = {
        "extra_pnginfo": {"a": ["https://host/x.png?sig=s"], "b": "data:image/png;base64," * 99}
    }
    job = sent(lab, {"graph": GRAPH, "extra_data": info}).json()
    kept = (await prompt_for(lab, job["id"])).extra_data["extra_pnginfo"]
    assert kept["a"] == ["https://host/x.png"]
    assert len(kept["b"]) <= 200


async def test_what_a_picture_cannot_hold_is_left_out_or_refused(
    lab: ApiLab, tmp_path: Path
) -> None:
    await join(lab, tmp_path)
    noise = "".join(f"{each * 7919:x}" for each in range(60_000))
    large = EDITOR | {"extra": {"noise": noise}}
    job = sent(lab, {"graph": large}).json()
    assert "not saved in pictures" in job["warnings"][0]
    assert "extra_pnginfo" not in (await prompt_for(lab, job["id"])).extra_data
    own = {"graph": GRAPH, "extra_data": {"extra_pnginfo": {"noise": noise}}}
    assert sent(lab, own).status_code == 413


async def test_an_editor_file_needs_a_worker_that_is_known(lab: ApiLab, tmp_path: Path) -> None:
    refused = sent(lab, {"graph": EDITOR, "wait": True})
    assert refused.status_code == 422
    assert "Export (API)" in refused.json()["detail"]
    await join(lab, tmp_path, info_with("CheckpointLoaderSimple", "ckpt_name", ["other.ckpt"]))
    assert sent(lab, {"graph": EDITOR}).json()["errors"][0]["field"] == "graph.4.inputs.ckpt_name"
    assert sent(lab, {"graph": EDITOR, "wait": True}).status_code == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"graph": GRAPH, "extra_data": {"client": 1}}, "extra_data.client"),
        ({"prompt": "a fox", "extra_data": {"client": 1}}, "extra_data"),
        ({"prompt": GRAPH, "colour": 3}, "graph"),
        ({"graph": {"nodes": [{"id": 7, "type": "Gone", "outputs": [{"links": [1]}]}]}}, "graph.7"),
    ],
)
async def test_what_is_not_taken_is_named(
    lab: ApiLab, tmp_path: Path, body: dict[str, Any], field: str
) -> None:
    await join(lab, tmp_path)
    refused = sent(lab, body)
    assert refused.status_code == 422
    assert [each["field"] for each in refused.json()["errors"]] == [field]

"""``/workflows``: what there is, whether it would run, and a typed way of running each."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.api_lab import WORKFLOWS, ApiLab
from tests.catalogue_lab import info_with, join
from tests.paths import WORKFLOWS as SHIPPED

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def get(lab: ApiLab, path: str) -> dict[str, Any]:
    answer = lab.client.get(path)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_all_are_listed(lab: ApiLab) -> None:
    listed = get(lab, "/workflows")["workflows"]
    assert [each["name"] for each in listed] == sorted(WORKFLOWS.names())
    assert {each["available"] for each in listed} == {None}


async def test_a_broken_one_is_listed_with_its_fault(tmp_path: Path) -> None:
    for name in ("sd15", "sdxl"):
        shutil.copytree(SHIPPED / name, tmp_path / name)
    (tmp_path / "sd15" / "manifest.toml").write_text("title = 3\n")
    lab = ApiLab(COMFYQ_WORKFLOWS_DIR=tmp_path)
    for each in ("workflows", "library"):
        vars(lab.services).pop(each, None)  # the lab has those that are shipped
    listed = {each["name"]: each for each in get(lab, "/workflows")["workflows"]}
    assert list(listed) == ["sd15", "sdxl"]
    assert listed["sd15"]["available"] is False
    [reason] = listed["sd15"]["reasons"]
    assert reason.startswith("it is broken: manifest.toml:1: ")
    refused = lab.client.get("/workflows/sd15")
    assert (refused.status_code, refused.json()["code"]) == (404, "workflow-not-found")
    assert "manifest.toml:1" in refused.json()["detail"]
    assert get(lab, "/workflows/sdxl")["name"] == "sdxl"


def test_what_the_lists_forbid_is_told_from_what_is_missing() -> None:
    lab = ApiLab(COMFYQ_NODES_DENIED="ImageUpscaleWithModel")
    listed = get(lab, "/workflows")["workflows"]
    forbidden = [each["name"] for each in listed if each["forbidden"]]
    assert forbidden == [each["name"] for each in listed if each["reasons"]] == ["upscale-4x"]
    assert get(lab, "/workflows/upscale-4x")["forbidden"] is True


async def test_what_a_worker_can_run_is_available(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path, info_with("UNETLoader", "unet_name", ["flux1-dev.safetensors"]))
    listed = {each["name"]: each for each in get(lab, "/workflows")["workflows"]}
    assert listed["flux-dev"]["available"] is True
    assert listed["flux-schnell"]["available"] is False
    assert "flux1-schnell.safetensors" in listed["flux-schnell"]["reasons"][0]
    assert listed["flux-schnell"]["forbidden"] is False
    assert listed["flux-schnell"]["takes"] == []
    assert listed["sd15-inpaint"]["takes"] == ["image", "mask"]
    models = {each["file"]: each for each in get(lab, "/workflows/flux-schnell")["models"]}
    assert models["flux1-schnell.safetensors"]["available"] is False
    assert models["ae.safetensors"]["available"] is True


async def test_the_worker_that_can_counts(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path, info_with("UNETLoader", "unet_name", []), worker="w1")
    await join(lab, tmp_path, worker="w2")
    assert get(lab, "/workflows/flux-dev")["available"] is True


async def test_its_schema_has_what_the_worker_has(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path, info_with("KSampler", "sampler_name", ["euler", "mine"]))
    shown = get(lab, "/workflows/flux-dev.json")
    properties = shown["parameters"]["properties"]
    assert properties["sampler"]["enum"] == ["euler", "mine"]
    assert properties["width"]["x-unit"] == "px"
    assert properties["preset"]["enum"] == list(shown["presets"])
    assert lab.client.post("/workflows/flux-dev/generate", json=shown["sample"]).status_code == 202


async def test_all_names_to_choose_from_are_told(lab: ApiLab, tmp_path: Path) -> None:
    assert get(lab, "/workflows/sd15/choices") == {"choices": {}}, "no worker is known"
    names = [f"style-{n}.safetensors" for n in range(30)]  # more than a schema has examples
    await join(lab, tmp_path, info_with("LoraLoader", "lora_name", names))
    choices = get(lab, "/workflows/sd15/choices")["choices"]
    assert choices["loras"] == names
    assert "euler" in choices["sampler"]
    assert "prompt" not in choices


async def test_one_that_is_not_there(lab: ApiLab) -> None:
    for answer in (
        lab.client.get("/workflows/flux-dve"),
        lab.client.get("/workflows/flux-dve/choices"),
        lab.client.post("/workflows/flux-dve/generate", json={}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "workflow-not-found")
        assert "flux-dev" in answer.json()["detail"]


async def test_each_has_an_operation_with_its_own_schema(lab: ApiLab) -> None:
    document = get(lab, "/openapi.json")
    for name in WORKFLOWS.names():
        workflow = WORKFLOWS.get(name)
        operation = document["paths"][f"/workflows/{name}/generate"]["post"]
        content = operation["requestBody"]["content"]["application/json"]
        schema = document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[-1]]
        assert set(workflow.parameters) < set(schema["properties"])
        assert content["example"] == workflow.sample
        assert not any(each["in"] == "path" for each in operation["parameters"])
    assert "/workflows/{name}/generate" not in document["paths"]


async def test_its_endpoint_is_the_general_one_with_its_name(lab: ApiLab) -> None:
    values = {"prompt": "x", "preset": "draft", "seed": 5}
    path = "/workflows/sd15/generate?dry_run=true"
    own = lab.client.post(path, json=values).json()
    general = lab.client.post("/generate?dry_run=true", json={"workflow": "sd15", **values})
    assert own == general.json()
    assert own["parameters"]["steps"] == 10
    more = lab.client.post(path, json=values | {"steps": 11}).json()
    assert more["parameters"]["steps"] == 11


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prompt": "x", "preset": "drft"}, "preset"),
        ({"prompt": "x", "preset": 3}, "preset"),
        ({"prompt": "x", "negative_preset": "phto"}, "negative_preset"),
        ({"prompt": "x", "workflow": "sd15"}, "workflow"),
        ({"prompt": "x", "graph": {}}, "graph"),
        ({"prompt": "x", "wait": "yes"}, ""),
        ([], ""),
    ],
)
async def test_what_it_does_not_know_is_refused(lab: ApiLab, body: Any, field: str) -> None:
    answer = lab.client.post("/workflows/sd15/generate", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_a_named_negative_prompt_gives_way_to_an_explicit_one(lab: ApiLab) -> None:
    path = "/workflows/sd15/generate?dry_run=true"
    named = lab.client.post(path, json={"prompt": "x", "negative_preset": "photo"}).json()
    assert "watermark" in named["parameters"]["negative_prompt"]
    both = {"prompt": "x", "negative_preset": "photo", "negative_prompt": "rain"}
    assert lab.client.post(path, json=both).json()["parameters"]["negative_prompt"] == "rain"


async def test_another_checkpoint_is_another_family(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    path = "/workflows/sd15/generate?dry_run=true"
    usual = lab.client.post(path, json={"prompt": "x"}).json()
    other = lab.client.post(path, json={"prompt": "x", "checkpoint": "shared_sd15"}).json()
    assert usual["family"] == "v1-5-pruned-emaonly-fp16"
    assert other["family"] == "shared_sd15"
    assert other["graph"]["4"]["inputs"]["ckpt_name"] == "shared_sd15.ckpt"
    wrong = lab.client.post(path, json={"prompt": "x", "checkpoint": "shard_sd15"})
    assert wrong.status_code == 422
    assert "did you mean 'shared_sd15.ckpt'" in wrong.json()["errors"][0]["message"]

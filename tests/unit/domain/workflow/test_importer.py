"""A person drops an exported graph into a folder, and has an endpoint, a form and a sample."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from comfyq.adapters.filesystem.workflows import FolderWorkflows, load_workflow
from comfyq.bootstrap.api import api_app
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.cli.app import app
from comfyq.config import ApiSettings, Auth, Settings
from comfyq.domain.workflow.importer import propose
from comfyq.domain.workflow.workflow import Workflow
from tests.catalogue_lab import CATALOGUE, INFO
from tests.paths import DATA, WORKFLOWS

EXPORT = DATA / "graphs" / "sdxl-export.json"
EXPORTED = json.loads(EXPORT.read_text())
SHIPPED = WORKFLOWS


@pytest.fixture
def object_info(tmp_path: Path) -> Path:
    file = tmp_path / "object_info.json"
    file.write_text(json.dumps(INFO))
    return file


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["workflows", *(str(each) for each in arguments)])


@pytest.fixture
def folder(tmp_path: Path, object_info: Path) -> Path:
    """A folder with the export imported."""
    into = tmp_path / "workflows"
    printed = run("import", EXPORT, "--name", "storm", "--into", into, "--object-info", object_info)
    assert printed.exit_code == 0, printed.output
    return into


def test_an_imported_graph_has_an_endpoint_and_a_form(folder: Path, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", workflows_dir=folder, api=ApiSettings(auth=Auth.NONE)
    )
    ports = open_ports(settings)
    with TestClient(api_app(Services(settings, ports))) as client:
        shown = client.get("/workflows/storm").json()
        assert shown["sample"] == {"prompt": "a lighthouse in a storm\nat night", "seed": 42}
        asked = {"prompt": "a fox", "width": 1024, "steps": 5, "loras": ["a:0.5"]}
        path = "/workflows/storm/generate?dry_run=true"
        graph = client.post(path, json=asked).json()["graph"]
        paths = client.get("/openapi.json").json()["paths"]
    ports.close()
    assert "/workflows/storm/generate" in paths
    assert graph["30"]["inputs"]["value"] == "a fox"
    assert graph["3"]["inputs"]["steps"] == 5
    for node in ("5", "6"):
        assert graph[node]["inputs"]["width"] == 1024
    assert graph["lora_1"]["inputs"]["model"] == ["4", 0]
    assert graph["21"]["inputs"]["model"] == ["lora_1", 0]


def test_what_was_found_is_proposed(folder: Path) -> None:
    workflow = load_workflow(folder / "storm")
    assert {name: parameter.kind for name, parameter in workflow.parameters.items()} == {
        "prompt": "string",
        "negative_prompt": "string",
        "seed": "seed",
        "steps": "integer",
        "cfg": "number",
        "sampler": "enum",
        "scheduler": "enum",
        "denoise": "number",
        "checkpoint": "enum",
        "width": "size",
        "height": "size",
        "batch_size": "integer",
        "lora_strength": "number",
        "lora_clip_strength": "number",
        "loras": "loras",
    }
    parameters = workflow.parameters
    assert parameters["width"].bindings == (("5", "width"), ("6", "width"))
    assert parameters["width"].multiple_of == 8
    assert parameters["sampler"].source == "samplers"
    assert parameters["negative_prompt"].bindings == (("7", "text"),)
    assert parameters["negative_prompt"].default == EXPORTED["7"]["inputs"]["text"]
    assert parameters["denoise"].default == EXPORTED["3"]["inputs"]["denoise"]
    assert parameters["cfg"].help.endswith("Sets cfg of node 3 (KSampler).")
    assert parameters["width"].help.count(" of node ") == 2
    assert parameters["lora_strength"].title == "Strength of tiny_sd15_lora on the model"
    assert (
        parameters["lora_clip_strength"].title == "Strength of tiny_sd15_lora on the text encoder"
    )
    assert workflow.outputs == ("9",)
    assert workflow.family == "sd_xl_base_1.0"
    assert {model.file for model in workflow.models} == {
        "sd_xl_base_1.0.safetensors",
        "tiny_sd15_lora.safetensors",
    }


def test_the_graph_is_kept_as_it_was_exported(folder: Path) -> None:
    assert (folder / "storm" / "graph.json").read_bytes() == EXPORT.read_bytes()


def test_an_editor_file_is_converted_by_a_catalogue(tmp_path: Path, object_info: Path) -> None:
    editor = DATA / "graphs" / "editor" / "notes-and-reroutes.json"
    printed = run("import", editor, "--into", tmp_path)
    assert printed.exit_code == 2
    assert not (tmp_path / "notes-and-reroutes").exists()
    file, content = tmp_path / "Storm.json", json.loads(editor.read_text())
    content["nodes"].append({"id": 900, "type": "Sticker"})
    file.write_text(json.dumps(content), encoding="utf-16")
    printed = run("import", file, "--into", tmp_path, "--object-info", object_info)
    assert printed.exit_code == 0, printed.output
    assert "warning: node 900 (Sticker) was left out" in printed.output
    assert load_workflow(tmp_path / "storm").parameters["steps"].default == 4


def test_what_is_there_is_not_overwritten(folder: Path) -> None:
    printed = run("import", EXPORT, "--name", "storm", "--into", folder)
    assert printed.exit_code == 2


def test_a_name_is_made_of_the_file(tmp_path: Path) -> None:
    printed = run("import", EXPORT, "--into", tmp_path)
    assert printed.exit_code == 0, printed.output
    assert load_workflow(tmp_path / "sdxl-export").title == "sdxl-export"


@pytest.mark.parametrize(
    "text", ["{", '{"nodes": [], "links": []}', "[]", '{"1": {"class_type": "A", "inputs": {}}}']
)
def test_what_is_no_graph_is_not_imported(tmp_path: Path, text: str) -> None:
    file = tmp_path / "graph.json"
    file.write_text(text)
    printed = run("import", file, "--into", tmp_path)
    assert printed.exit_code == 2
    assert not (tmp_path / "graph").exists()


def test_shipped_workflows_pass_the_check(object_info: Path) -> None:
    printed = run("check", SHIPPED, "--object-info", object_info)
    assert printed.exit_code == 0, printed.output
    assert printed.output.count("ok ") == len(FolderWorkflows(SHIPPED).names())


def test_a_broken_manifest_is_told_with_its_line(tmp_path: Path, object_info: Path) -> None:
    for name in ("sd15", "sdxl"):
        shutil.copytree(SHIPPED / name, tmp_path / "w" / name)
    manifest = tmp_path / "w" / "sd15" / "manifest.toml"
    manifest.write_text(manifest.read_text().replace('bind = "3.steps"', 'bind = "3.stps"'))
    printed = run("check", tmp_path / "w", "--object-info", object_info)
    assert printed.exit_code == 2
    assert "manifest.toml:" in printed.output
    assert "no input 'stps'" in printed.output
    assert f"ok      {tmp_path / 'w' / 'sdxl'}" in printed.output


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    info = tmp_path / "info.json"
    empty = {"CheckpointLoaderSimple": INFO["CheckpointLoaderSimple"]}
    info.write_text(json.dumps({**INFO, **empty, "KSampler": {}}))
    printed = run("check", SHIPPED / "sd15", "--object-info", info)
    assert printed.exit_code == 2
    assert "KSampler" in printed.output


@pytest.mark.parametrize("name", FolderWorkflows(SHIPPED).names())
@pytest.mark.parametrize("known", [True, False])
def test_shipped_graphs_could_have_been_imported(name: str, known: bool, tmp_path: Path) -> None:
    """The parameters that authors declared by hand are found again."""
    shipped = load_workflow(SHIPPED / name)
    file = SHIPPED / name / "graph.json"
    printed = run("import", file, "--name", name, "--into", tmp_path)
    assert printed.exit_code == 0, printed.output
    imported = load_workflow(tmp_path / name)
    proposal = propose(shipped.graph, title=name, catalogue=CATALOGUE if known else None)
    assert set(proposal.parameters) == set(imported.parameters)
    assert _prompts(imported) == _prompts(shipped)
    assert imported.outputs == shipped.outputs
    files = [p.bindings for p in shipped.parameters.values() if p.kind in ("image", "mask")]
    bound = [p.bindings for p in imported.parameters.values() if p.kind in ("image", "mask")]
    assert files == bound


def _prompts(workflow: Workflow) -> dict[str, Any]:
    names = ("prompt", "negative_prompt", "seed", "width")
    parameters = workflow.parameters
    return {
        name: sorted(parameters[name].bindings)
        for name in names
        if name in parameters and parameters[name].bindings
    }


def test_each_lora_of_a_graph_has_strengths_of_its_own() -> None:
    """Also where they are equal: another LoRA is another matter."""
    loader = {"lora_name": "x/fox.safetensors", "model": ["4", 0]}
    two = {"strength_model": 0.7, "strength_clip": 0.7, "clip": ["4", 1]}
    graph = EXPORTED | {
        "10": {"class_type": "LoraLoaderModelOnly", "inputs": loader | {"strength_model": 0.7}},
        "11": {"class_type": "LoraLoader", "inputs": loader | two | {"strength_model": 25}},
        "12": {"class_type": "LoraLoader", "inputs": loader | two | {"strength_model": ["13", 0]}},
    }
    tables = propose(graph, title="foxes").parameters
    bound = {name: table.get("bind") for name, table in tables.items() if "_strength" in name}
    assert {"10.strength_model", "11.strength_model", "11.strength_clip", "12.strength_clip"} <= {
        *bound.values()
    }
    assert all(isinstance(place, str) and place != "12.strength_model" for place in bound.values())
    by_place = {place: tables[name] for name, place in bound.items()}
    assert (by_place["10.strength_model"]["default"], by_place["11.strength_model"]["max"]) == (
        0.7,
        25.0,
    )
    assert "x/fox.safetensors" in by_place["11.strength_clip"]["help"]

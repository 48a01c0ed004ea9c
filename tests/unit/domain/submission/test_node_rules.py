"""The operator's lists of node classes, and the safe profile among them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from comfyq.config.lists import listed
from comfyq.domain.graph.graph import Input
from comfyq.domain.graph.node_catalogue import read_catalogue
from comfyq.domain.graph.safe_classes import SAFE_CLASSES
from comfyq.domain.submission.admission import refusal_of_sample
from comfyq.domain.submission.node_rules import NodeRules
from comfyui_simulator.catalogue import load_catalogue
from tests.api_lab import WORKFLOWS
from tests.data.comfyui.derive_safe_classes import safe_classes, why_unsafe
from tests.paths import DATA

RECORDED: Mapping[str, Any] = {
    **json.loads((DATA / "comfyui" / "0.33.0" / "shapes.json").read_text()),
    **load_catalogue().object_info({"image": [], "audio": []}),
}
SAFE = NodeRules(allowed=("safe",))


def against(rules: NodeRules, class_type: str, module: str | None = None) -> str | None:
    """Return what a graph with a node of this class is refused for."""
    info: Mapping[str, Any] = {class_type: {"input": {}, "output": [], "python_module": module}}
    catalogue = None if module is None else read_catalogue(info)
    graph = {"7": {"class_type": class_type, "inputs": {}}}
    errors = list(rules.faults(graph, catalogue))
    assert {each.node for each in errors} <= {"7"}
    return errors[0].details if errors else None


@pytest.mark.parametrize(
    ("allowed", "denied", "class_type", "rule"),
    [
        ("*", "", "Any Thing (me)", None),
        ("KSampler", "", "KSampler", None),
        ("KSampler", "", "KSamplerAdvanced", "COMFYQ_NODES has KSampler alone"),
        ("KSampler", "", "ksampler", "COMFYQ_NODES has KSampler alone"),
        ("KSampler*, Save?mage", "", "KSamplerAdvanced", None),
        ("KSampler*, Save?mage", "", "SaveImage", None),
        ("KSampler*, Save?mage", "", "SaveVideo", "COMFYQ_NODES has KSampler*, Save?mage alone"),
        ("*", "Shell*", "ShellExec", "COMFYQ_NODES_DENIED has Shell*"),
        ("*", "Shell*", "PowerShell", None),
        ("ShellExec", "Shell*", "ShellExec", "COMFYQ_NODES_DENIED has Shell*"),
        ("safe", "LoadImage", "LoadImage", "COMFYQ_NODES_DENIED has LoadImage"),
        ("safe", "", "LoadImage", None),
        ("safe", "", "Epsilon Scaling", None),
        ("safe", "", "LoadImageOutput", "COMFYQ_NODES has safe alone"),
        ("safe, LoadImageOutput", "", "LoadImageOutput", None),
        ("Load[Image]", "", "LoadI", "COMFYQ_NODES has Load[Image] alone"),
        ("*", "*", "KSampler", "COMFYQ_NODES_DENIED has *"),
        ("A\nB", "", "A\nB", None),
    ],
)
def test_rules(allowed: str, denied: str, class_type: str, rule: str | None) -> None:
    said = against(NodeRules(allowed=listed(allowed), denied=listed(denied)), class_type)
    if rule is None:
        assert said is None
    else:
        assert said == f"{rule}; leave the node out, or ask the server's operator to allow it"


def test_a_custom_node_that_takes_a_safe_name_is_not_safe() -> None:
    assert against(SAFE, "EmptyImage", "nodes") is None
    assert against(SAFE, "EmptyImage", "custom_nodes.evil") is not None


def loads(rules: NodeRules, image: Any, *own: Input) -> list[str]:
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": image, "upload": "image"}}}
    return [each.kind for each in rules.faults(graph, None, own_files=own)]


@pytest.mark.parametrize("image", ["example.png", "a.png [output]", ["2", 0], "comfyq-input/1"])
def test_safe_loaders_take_the_jobs_own_files_alone(image: Any) -> None:
    assert loads(SAFE, image) == ["foreign_file"]
    assert loads(SAFE, image, Input("1", "image")) == []
    assert loads(NodeRules(allowed=("safe", "LoadImage")), image) == [], "it is allowed by name"
    assert loads(NodeRules(), image) == []
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": image}}}
    assert list(SAFE.faults(graph, None)) == [], "what a workflow loads is its author's"


FLAGGED = {"input": {"required": {"film": ["COMBO", {"video_upload": True}]}}, "output": []}
MODELS = {"input": {"required": {"model": [["a.gguf"], {}]}}, "output": []}
CATALOGUE = read_catalogue({"VideoOfMine": FLAGGED, "LoadMyModel": MODELS})


@pytest.mark.parametrize(
    ("class_type", "name", "value", "kinds"),
    [
        ("LoadImage", "image", "example.png", ["foreign_file"]),
        ("LoadImage", "image", "ComfyUI_00001_.png [output]", ["foreign_file"]),
        ("LoadImage", "image", ["2", 0], ["foreign_file"]),
        ("LoadImageOutput", "image", "a.png", ["foreign_file"]),
        ("LoadLatent", "latent", "a.latent", ["foreign_file"]),
        ("LoadTrainingDataset", "folder_name", "set 1", ["foreign_file"]),
        ("VideoOfMine", "film", "a.mp4", ["foreign_file"]),
        ("LoadMyModel", "model", "a.gguf", []),
        ("CLIPTextEncode", "text", "example.png", []),
        ("Load3D", "model_file", "none", []),
        ("Load3D", "model_file", "", []),
    ],
)
def test_where_clients_sign_in_their_graphs_load_their_own_files_alone(
    class_type: str, name: str, value: Any, kinds: list[str]
) -> None:
    graph = {"1": {"class_type": class_type, "inputs": {name: value}}}

    def found(rules: NodeRules, *own: Input) -> list[str]:
        return [each.kind for each in rules.faults(graph, CATALOGUE, own_files=own)]

    assert found(NodeRules(own_files_only=True)) == kinds
    assert found(NodeRules(own_files_only=True), Input("1", name)) == [], "the job brings it"
    assert found(NodeRules(allowed=("*", class_type), own_files_only=True)) == [], "it is named"
    assert found(NodeRules()) == []
    workflow = NodeRules(own_files_only=True).faults(graph, CATALOGUE)
    assert list(workflow) == [], "what a workflow loads is its author's"


def test_the_safe_profile_is_what_the_recorded_catalogues_say() -> None:
    """A newer recording with classes that are not judged yet fails here, not at an operator's."""
    assert set(safe_classes(RECORDED)) == SAFE_CLASSES & RECORDED.keys()
    assert len(SAFE_CLASSES & RECORDED.keys()) > 100


@pytest.mark.parametrize(
    "class_type",
    [
        *("Load3D", "Painter", "Preview3D", "ComfyMathExpression", "SaveLoRA", "CheckpointSave"),
        *("LoadTrainingDataset", "SaveImageDataSetToFolder", "LabRaise", "LabSleep", "GLSLShader"),
        *("RegexReplace", "OpenAIGPTImage1", "TorchCompileModel", "WebcamCapture", "StringFormat"),
    ],
)
def test_what_reads_paths_runs_code_or_calls_out_is_not_safe(class_type: str) -> None:
    assert class_type not in SAFE_CLASSES


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (["STRING", {}], "takes a file or folder"),
        (["COMBO", {"options": ["a"]}], "takes a file or folder"),
        (["COMBO", {"image_upload": True}], "takes a file"),
        (["LOAD_3D", {}], "names files"),
        (["IMAGE", {}], None),
    ],
)
def test_an_input_that_is_a_place_makes_a_class_unsafe(
    config: list[Any], reason: str | None
) -> None:
    entry = {"input": {"optional": {"folder": config}}, "python_module": "nodes"}
    why = why_unsafe("Anything", entry)
    assert why == (None if reason is None else f"folder {reason}")
    entry["input"] = {
        "required": {
            "mode": ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "a", "inputs": entry["input"]}]}]
        }
    }
    assert (why_unsafe("Anything", entry) is None) == (reason is None)


def test_every_shipped_workflow_may_run_with_the_safe_profile() -> None:
    refused = {name: refusal_of_sample(WORKFLOWS.get(name), None, rules=SAFE) for name in NAMES}
    assert {name: each for name, each in refused.items() if each is not None} == {}


NAMES = WORKFLOWS.names()


@pytest.mark.parametrize(
    ("pattern", "class_type", "is_denied"),
    [
        ("*a*b", "aab", True),
        ("*a*b", "aba", False),
        ("a*a", "a", False),
        ("a**?c", "abc", True),
        ("*ab*b?", "ababbx", True),
    ],
)
def test_each_part_between_stars_is_found(pattern: str, class_type: str, is_denied: bool) -> None:
    assert (against(NodeRules(denied=(pattern,)), class_type) is not None) is is_denied


def test_a_long_class_costs_no_more_than_its_length() -> None:
    """Trying every way to split it would take days."""
    assert against(NodeRules(denied=("*a*a*a*a*b",)), "a" * 20_000) is None

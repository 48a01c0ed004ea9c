"""Validation by the simulator, where the generations differ or no recording exists."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfyui_simulator.catalogue import load_catalogue
from comfyui_simulator.settings import GENERATIONS
from comfyui_simulator.validation.inspection import Rules, ValidationResult
from comfyui_simulator.validation.validation import validate
from tests.contract_strategies import JSON
from tests.data.comfyui.tape import GRAPHS

IMAGE = GRAPHS["trivial"]["1"]
SAVE = GRAPHS["trivial"]["2"]


def verdict(graph: dict[str, Any], generation: str = "0.33.0", **more: Any) -> ValidationResult:
    rules = Rules(
        catalogue=load_catalogue(), wire=GENERATIONS[generation], has_input_file="there.png".__eq__
    )
    return validate(copy.deepcopy(graph), rules=rules, **more)


def invert(source: str) -> dict[str, Any]:
    return {"class_type": "ImageInvert", "inputs": {"image": [source, 0]}}


def save(source: str) -> dict[str, Any]:
    return {"class_type": "SaveImage", "inputs": {"images": [source, 0], "filename_prefix": "x"}}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", sorted(set(GRAPHS) - {"loaded"}))
def test_the_graphs_of_the_recordings_are_valid(name: str, generation: str) -> None:
    judged = verdict(GRAPHS[name], generation)
    assert judged.error is None
    assert judged.node_errors == {}


def test_the_newer_generation_names_the_missing_class() -> None:
    error = verdict({"1": {"class_type": "NoSuchNode", "inputs": {}}}).error
    assert error == {
        "type": "missing_node_type",
        "message": "Node 'NoSuchNode' not found. The custom node may not be installed.",
        "details": "Node ID '#1'",
        "extra_info": {"node_id": "1", "class_type": "NoSuchNode", "node_title": "NoSuchNode"},
    }


def test_the_newer_generation_names_the_node_without_a_class() -> None:
    error = verdict({"1": {"inputs": {}, "_meta": {"title": "My node"}}}).error
    assert error is not None
    assert error["message"].startswith("Node 'My node' has no class_type.")
    assert error["extra_info"] == {"node_id": "1", "class_type": None, "node_title": "My node"}


@pytest.mark.parametrize("generation", GENERATIONS)
@settings(max_examples=20, deadline=None)
@given(meta=JSON, class_type=st.sampled_from(["NoSuchNode", "", None]))
def test_a_class_that_is_missing_is_told_whatever_else_the_node_says(
    generation: str, meta: Any, class_type: str | None
) -> None:
    named = {} if class_type is None else {"class_type": class_type}
    error = verdict({"1": {**named, "inputs": {}, "_meta": meta}}, generation).error
    assert error is not None
    assert "#1" in error["details"]


def test_the_newer_generation_blames_each_member_of_a_cycle() -> None:
    judged = verdict({"1": invert("3"), "3": invert("1"), "2": save("1")})
    path = "1 (ImageInvert) -> 3 (ImageInvert) -> 1 (ImageInvert)"
    assert judged.error is not None
    assert judged.error["type"] == "prompt_outputs_failed_validation"
    assert set(judged.node_errors) == {"1", "3"}
    for node_id in ("1", "3"):
        (error,) = judged.node_errors[node_id]["errors"]
        assert error["type"] == "dependency_cycle"
        assert error["details"] == path
        assert error["extra_info"] == {"node_id": node_id, "cycle_nodes": ["1", "3"]}
        assert judged.node_errors[node_id]["dependent_outputs"] == ["2"]


def test_the_older_generation_blames_nobody_for_a_cycle() -> None:
    judged = verdict({"1": invert("3"), "3": invert("1"), "2": save("1")}, "0.3.75")
    assert judged.error is not None
    assert judged.node_errors == {}


@pytest.mark.parametrize(("generation", "is_valid"), [("0.3.75", True), ("0.33.0", False)])
def test_lists_of_the_newer_schema(generation: str, is_valid: bool) -> None:
    graph = copy.deepcopy(GRAPHS["webm"])
    graph["2"]["inputs"]["codec"] = "theora"
    assert (verdict(graph, generation).error is None) is is_valid


def test_a_long_list_of_choices_is_not_repeated() -> None:
    graph = copy.deepcopy(GRAPHS["sd15"])
    graph["3"]["inputs"]["sampler_name"] = "guess"
    (error,) = verdict(graph).node_errors["3"]["errors"]
    assert error["type"] == "value_not_in_list"
    assert error["details"].startswith("sampler_name: 'guess' not in (list of length ")
    assert error["extra_info"]["input_config"] is None


def test_values_are_converted_to_the_type_of_the_input() -> None:
    graph = copy.deepcopy(GRAPHS["trivial"])
    graph["1"]["inputs"]["width"] = "64"
    rules = Rules(
        catalogue=load_catalogue(), wire=GENERATIONS["0.33.0"], has_input_file=lambda name: False
    )
    assert validate(graph, rules=rules).error is None
    assert graph["1"]["inputs"]["width"] == 64


def test_inputs_that_the_class_does_not_have_are_ignored() -> None:
    graph = copy.deepcopy(GRAPHS["trivial"])
    graph["1"]["inputs"]["nonsense"] = 1
    assert verdict(graph).error is None


def test_an_uploaded_file_must_exist() -> None:
    graph = copy.deepcopy(GRAPHS["loaded"])
    graph["1"]["inputs"]["image"] = "there.png"
    assert verdict(graph).error is None
    graph["1"]["inputs"]["image"] = "gone.png"
    (error,) = verdict(graph).node_errors["1"]["errors"]
    assert error["type"] == "custom_validation_failed"
    assert error["details"] == "image - Invalid image file: gone.png"


def test_one_bad_node_is_reported_with_every_output_that_needs_it() -> None:
    bad = {**IMAGE, "inputs": {**IMAGE["inputs"], "width": 0}}
    judged = verdict({"1": bad, "2": save("1"), "3": save("1"), "4": IMAGE, "5": save("4")})
    assert judged.error is None
    assert judged.outputs == ["5"]
    assert judged.node_errors["1"]["dependent_outputs"] == ["2", "3"]


def test_targets_limit_the_outputs() -> None:
    graph = {"1": IMAGE, "2": SAVE, "3": save("1")}
    assert verdict(graph, targets=["3"]).outputs == ["3"]
    error = verdict(graph, targets=["1"]).error
    assert error is not None
    assert error["type"] == "prompt_no_outputs"


def test_an_output_is_counted_by_a_whole_number() -> None:
    """As Python counts, which ComfyUI asks; a number of JSON may have a point."""
    linked = copy.deepcopy(SAVE)
    linked["inputs"]["images"] = ["1", 0.0]
    judged = verdict({"1": IMAGE, "2": linked})
    assert judged.error is not None
    assert "tuple indices must be integers" in str(judged.node_errors)

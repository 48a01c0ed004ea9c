"""What a catalogue does not decide is left to ComfyUI; what it decides is refused at once."""

import json
from typing import Any

import pytest

from comfyq.domain.graph import validation
from comfyq.domain.graph.node_catalogue import essence, read_catalogue
from comfyq.domain.graph.validation import validate
from tests.paths import DATA

SHAPES: dict[str, Any] = json.loads((DATA / "comfyui" / "0.33.0" / "shapes.json").read_text())


def custom(name: str, required: Any, output: list[Any], *, is_output: bool = False) -> Any:
    return {
        "name": name,
        "input": {"required": required},
        "output": output,
        "output_node": is_output,
        "python_module": "custom_nodes.odd",
    }


ODD = {
    "AnySource": custom("AnySource", {}, ["*"]),
    "ListSource": custom("ListSource", {}, [["euler", "ddim"]]),
    "EqualToAll": custom("EqualToAll", {}, ["WHATEVER"]),
    "ImageSource": custom("ImageSource", {}, ["IMAGE"]),
    "FreeRange": custom(
        "FreeRange",
        {"name": [["a", "b"]], "n": ["INT", {"min": 0, "max": 4}]},
        [],
        is_output=True,
    ),
    "FreeTypes": custom("FreeTypes", {"x": ["MODEL"]}, [], is_output=True),
    "Tags": {
        **custom("Tags", {"tags": [["x", "y"], {"multiselect": True}]}, [], is_output=True),
        "python_module": "nodes",
    },
    "Described": custom("Described", {"description": ["STRING", {}]}, [], is_output=True),
}
CATALOGUE = read_catalogue(json.loads(essence(SHAPES | ODD)))


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def image(**inputs: Any) -> dict[str, Any]:
    return node("EmptyImage", width=64, height=64, batch_size=1, color=0, **inputs)


def shown(source: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    return {"1": source, "2": node("PreviewAny", source=["1", 0]), **others}


def sampled(**inputs: Any) -> dict[str, Any]:
    """A sampler, whose lists are classic ones."""
    links = {name: ["4", 0] for name in ("model", "positive", "negative", "latent_image")}
    values = {"seed": 1, "steps": 2, "cfg": 1.0, "denoise": 1.0, "sampler_name": "euler"}
    body = node("KSampler", **(links | values | {"scheduler": "simple"} | inputs))
    return shown(body) | {"4": node("AnySource")}


SWITCH = node("ComfySwitchNode", switch=True, on_true=["3", 0], on_false=["3", 0])


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(sampled(), id="any output"),
        pytest.param(sampled(scheduler=["4", 0]), id="any output into a classic list"),
        pytest.param(shown(node("ListSource")), id="list output into any"),
        pytest.param(shown(SWITCH) | {"3": image()}, id="match type"),
        pytest.param(
            shown(node("SelectModelDevice", model=["3", 0], device="gpu:7"))
            | {"3": node("AnySource")},
            id="a core validator frees its input",
        ),
        pytest.param(
            shown(node("CustomCombo", choice="red", index=0, option1="red")), id="custom combo"
        ),
        pytest.param({"1": node("FreeRange", name="zz", n=99)}, id="custom list and range"),
        pytest.param({"1": node("FreeTypes", x=["2", 0]), "2": image()}, id="custom types"),
        pytest.param(
            {"1": node("SaveImage", images=["2", 0], filename_prefix="a"), "2": node("EqualToAll")},
            id="a type that only custom classes have",
        ),
        pytest.param({"1": node("Tags", tags={"__value__": ["x", "y"]})}, id="several choices"),
        pytest.param(
            shown(node("ComfyMathExpression", expression="a", **{"values.a": ["3", 0]}))
            | {"3": node("AnySource")},
            id="inputs that grow",
        ),
        pytest.param(
            shown(node("BatchImagesNode", **{"images.image0": ["3", 0]}), **{"3": image()})
        ),
    ],
)
def test_what_may_run_is_admitted(graph: dict[str, Any]) -> None:
    assert validate(graph, CATALOGUE).errors == []


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (shown(node("BatchImagesNode")), "images.image0 required_input_missing"),
        (
            shown(
                node("BatchImagesNode", **{"images.image0": ["3", 0]}), **{"3": node("FreeTypes")}
            ),
            "images.image0 bad_linked_input",
        ),
        (
            shown(node("ComfySwitchNode", switch=True, on_true=["3", 0])) | {"3": image()},
            "on_false required_input_missing",
        ),
        (
            shown(
                node(
                    "ResizeImageMaskNode",
                    input=["3", 0],
                    scale_method="area",
                    resize_type="scale dimensions",
                    **{"resize_type.width": 99_999, "resize_type.height": 8},
                )
            )
            | {"3": image()},
            "resize_type.width value_bigger_than_max",
        ),
        (sampled(sampler_name="no such"), "sampler_name value_not_in_list"),
        (sampled(model=["3", 0]) | {"3": node("ImageSource")}, "model return_type_mismatch"),
        (
            sampled(sampler_name=["3", 0]) | {"3": node("ListSource")},
            "sampler_name return_type_mismatch",
        ),
        ({"1": node("Tags", tags={"__value__": ["x", "z"]})}, "tags value_not_in_list"),
        ({"1": node("FreeRange", name="a", n="many")}, "n invalid_input_type"),
        ({"1": node("FreeRange", name="a")}, "n required_input_missing"),
        ({"1": node("Described")}, "description required_input_missing"),
        (
            shown(node("ModelPatchLoader", name="any.safetensors")),
            "name value_not_in_list",  # an empty folder is not an open list
        ),
    ],
)
def test_what_cannot_run_is_refused(graph: dict[str, Any], reason: str) -> None:
    errors = validate(graph, CATALOGUE).errors
    assert reason in [f"{error.input} {error.kind}" for error in errors]


def test_odd_templates_are_left_to_comfyui() -> None:
    odd = {
        "Odd": custom(
            "Odd",
            {
                "a": ["COMFY_AUTOGROW_V3", {"template": None}],
                "b": ["COMFY_AUTOGROW_V3", {"template": {"input": {}, "min": "2"}}],
                "c": ["COMFY_DYNAMICCOMBO_V3", {"options": [3, {"key": "k", "inputs": []}]}],
                "d": ["COMFY_SOMETHING_V9", {}],
            },
            [],
            is_output=True,
        )
    }
    assert validate({"1": node("Odd", c="k", d=3)}, read_catalogue(odd)).errors == []


def test_names_of_custom_lists_are_searched_for_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched: list[str] = []
    monkeypatch.setattr(validation, "existing_name", lambda name, names: searched.append(name))
    graph = {str(each): node("FreeRange", name=f"no {each}", n=1) for each in range(200)}
    assert validation.validate(graph, CATALOGUE).valid
    assert len(searched) <= validation.MAX_COMPLETED

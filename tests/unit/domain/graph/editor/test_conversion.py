"""Conversion of editor files to the API format."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.graph.editor.conversion import Conversion, convert
from comfyq.domain.graph.editor.document import MAX_NODES, BadEditorFile, read_editor_file
from comfyq.domain.graph.editor.instances import TooManyNodes
from comfyq.domain.graph.node_catalogue import read_catalogue
from comfyq.domain.graph.validation import validate
from tests.catalogue_lab import CATALOGUE

FOLDER = Path(__file__).parents[4] / "data" / "graphs" / "editor"
CORPUS = sorted(each.stem for each in FOLDER.glob("*.json") if not each.stem.endswith(".api"))
CHOICE = {
    "options": [
        {"key": "by size", "inputs": {"required": {"width": ["INT", {}], "crop": [["no", "yes"]]}}},
        {"key": "by factor", "inputs": {"required": {"factor": ["FLOAT", {"default": 2.0}]}}},
    ]
}
ODD = read_catalogue(
    {
        "Odd": {
            "input": {
                "required": {
                    "how": ["COMFY_DYNAMICCOMBO_V3", CHOICE],
                    "seed": ["INT", {"control_after_generate": True}],
                    "text": ["STRING", {"forceInput": True}],
                    "colors": ["COLORS", {"socketless": True, "default": []}],
                    "view": ["IMAGECOMPARE", {"socketless": True}],
                    "images": ["COMFY_AUTOGROW_V3", {}],
                },
                "optional": {"mode": [["fixed", "free"]], "picture": ["LOAD_3D", {}]},
            },
            "output": ["IMAGE"],
            "output_node": True,
        },
        "Turned": {
            "input": {"required": {"model_file": [["a.glb"]], "image": ["LOAD_3D", {}]}},
            "output": ["IMAGE"],
        },
    }
)


def file_of(nodes: Sequence[Mapping[str, Any]], *links: list[Any], **more: Any) -> dict[str, Any]:
    return {"nodes": list(nodes), "links": list(links), "version": 0.4, **more}


def converted(file: Mapping[str, Any], catalogue: Any = CATALOGUE) -> Conversion:
    return convert(read_editor_file(file), catalogue)


def inputs_of(file: Mapping[str, Any], node: str, catalogue: Any = CATALOGUE) -> Any:
    conversion = converted(file, catalogue)
    assert not conversion.obstacles
    return conversion.graph[node]["inputs"]


@pytest.mark.parametrize("name", CORPUS)
def test_a_file_becomes_the_graph_that_the_editor_would_submit(name: str) -> None:
    file = json.loads((FOLDER / f"{name}.json").read_text())
    conversion = converted(file)
    assert not conversion.obstacles
    assert conversion.graph == json.loads((FOLDER / f"{name}.api.json").read_text())
    assert validate(conversion.graph, CATALOGUE).valid


def test_widgets_that_a_choice_shows_come_right_behind_it() -> None:
    values = ["by size", 64, "yes", 5, "randomize", [], {}, "free"]
    assert inputs_of(file_of([{"id": 1, "type": "Odd", "widgets_values": values}]), "1", ODD) == {
        "how": "by size",
        "how.width": 64,
        "how.crop": "yes",
        "seed": 5,
        "colors": {"__value__": []},
        "view": {},
        "mode": "free",
        "picture": "",
    }


def test_values_that_a_file_lacks_are_those_of_a_new_node() -> None:
    short = file_of([{"id": 1, "type": "Odd", "widgets_values": ["by factor"]}])
    inputs = inputs_of(short, "1", ODD)
    assert (inputs["how"], inputs["how.factor"], inputs["seed"]) == ("by factor", 2.0, 0)
    assert (inputs["mode"], inputs["view"]) == ("fixed", "")


def test_required_values_that_a_file_lacks_are_named() -> None:
    """Optional ones are often newer than the file, and ComfyUI does without them."""
    slot = {"name": "seed", "type": "INT", "link": 7, "widget": {"name": "seed"}}
    nodes: list[dict[str, Any]] = [
        {"id": 1, "type": "Odd", "widgets_values": ["by size", 64]},
        {"id": 2, "type": "Odd", "inputs": [slot], "widgets_values": ["by factor", 2.5]},
        {"id": 3, "type": "KSampler", "title": "Bare", "widgets_values": {"steps": 3}},
    ]
    node = {"id": 4, "type": "PrimitiveNode", "widgets_values": [7]}
    file = file_of([*nodes[:2], node], [7, 4, 0, 2, 0, "INT"])
    named = [str(each) for each in converted(file, ODD).warnings]
    assert named == [
        "node 1 (Odd) has no values in the file for `how.crop`, `seed`: the defaults were taken"
    ]
    [named_by_name] = converted(file_of(nodes[2:])).warnings
    assert str(named_by_name).startswith("node 3 “Bare” (KSampler) has no values in the file for ")
    assert "`seed`, `cfg`, `sampler_name`, `scheduler`, `denoise`:" in str(named_by_name)


def test_an_unknown_node_that_nothing_is_linked_to_is_left_out_and_named() -> None:
    file = file_of([{"id": 1, "type": "Note"}, {"id": 2, "type": "Sticker", "title": "Hi"}])
    conversion = converted(file)
    assert (conversion.graph, conversion.obstacles) == ({}, [])
    [warning] = conversion.warnings
    assert str(warning).startswith("node 2 “Hi” (Sticker) was left out: it is of a class that")


@pytest.mark.parametrize("first", [5, "5"], ids=["number", "text"])
def test_two_nodes_of_one_id_are_refused_by_their_names(first: Any) -> None:
    nodes = [{"id": first, "type": "KSampler"}, {"id": 5, "type": "SaveImage"}]
    with pytest.raises(BadEditorFile, match="two nodes of the id 5, 'KSampler' and 'SaveImage'"):
        read_editor_file(file_of(nodes))
    within = {"subgraphs": [{"id": "s", "nodes": nodes}]}
    with pytest.raises(BadEditorFile, match="two nodes of the id 5"):
        read_editor_file(file_of([], definitions=within))
    twins = {"subgraphs": [{"id": "s", "name": "a"}, {"id": "s", "name": "b"}]}
    with pytest.raises(BadEditorFile, match="two subgraphs of the id s, 'a' and 'b'"):
        read_editor_file(file_of([], definitions=twins))


def test_a_value_that_only_looks_like_a_control_is_kept() -> None:
    values = ["by factor", 3.5, 5, "fixed", [], "", "fixed"]
    inputs = inputs_of(file_of([{"id": 1, "type": "Odd", "widgets_values": values}]), "1", ODD)
    assert (inputs["how.factor"], inputs["seed"], inputs["mode"]) == (3.5, 5, "fixed")


def test_inputs_that_grow_are_linked_by_their_own_names() -> None:
    slot = {"name": "images.image0", "type": "IMAGE", "link": 7}
    nodes = [{"id": 1, "type": "Odd", "inputs": [slot]}, {"id": 2, "type": "Odd"}]
    assert inputs_of(file_of(nodes, [7, 2, 0, 1, 0, "IMAGE"]), "1", ODD)["images.image0"] == [
        "2",
        0,
    ]


def test_what_cannot_be_converted_is_named_by_node_and_reason() -> None:
    slot = {"name": "image", "type": "IMAGE", "link": 7}
    nodes = [
        {"id": 1, "type": "NotInstalled", "title": "Magic", "outputs": [{"links": [7]}]},
        {"id": 2, "type": "workflow>Mine", "inputs": [slot]},
        {"id": 3, "type": "Turned", "widgets_values": ["a.glb", "upload3dmodel", "clear", ""]},
    ]
    obstacles = converted(file_of(nodes, [7, 1, 0, 2, 0, "IMAGE"]), ODD).obstacles
    assert [(each.node, each.class_type) for each in obstacles] == [
        ("1", "NotInstalled"),
        ("2", "workflow>Mine"),
        ("3", "Turned"),
    ]
    texts = [str(each) for each in obstacles]
    assert texts[0].startswith("node 1 “Magic” (NotInstalled) is of a class that")
    assert "group node" in texts[1]
    assert "`image`" in texts[2]
    assert "Export (API)" in texts[2]


def test_a_node_of_a_muted_subgraph_is_not_run() -> None:
    inner = {"id": "s", "nodes": [{"id": 1, "type": "EmptyImage"}], "links": []}
    definitions = {"subgraphs": [inner]}
    for mode, count in ((0, 1), (2, 0), (4, 0)):
        host = {"id": 5, "type": "s", "mode": mode}
        assert len(converted(file_of([host], definitions=definitions)).graph) == count


def test_a_circle_of_reroutes_feeds_nothing() -> None:
    slot = {"name": "", "type": "*"}
    nodes = [
        {"id": 1, "type": "Reroute", "inputs": [slot | {"link": 2}]},
        {"id": 2, "type": "Reroute", "inputs": [slot | {"link": 1}]},
        {"id": 3, "type": "SaveImage", "inputs": [{"name": "images", "type": "IMAGE", "link": 3}]},
    ]
    links = [[1, 1, 0, 2, 0, "*"], [2, 2, 0, 1, 0, "*"], [3, 2, 0, 3, 0, "*"]]
    assert inputs_of(file_of(nodes, *links), "3") == {"filename_prefix": "ComfyUI"}


def test_a_bypassed_node_passes_on_what_fits_its_output() -> None:
    scale = {
        "id": 2,
        "type": "ImageCompositeMasked",
        "mode": 4,
        "inputs": [
            {"name": "mask", "type": "MASK", "link": 8},
            {"name": "destination", "type": "IMAGE", "link": 9},
        ],
        "outputs": [{"name": "IMAGE", "type": "IMAGE"}],
    }
    save = {"id": 3, "type": "SaveImage"}
    save |= {"inputs": [{"name": "images", "type": "IMAGE", "link": 10}]}
    links = [[8, 1, 1, 2, 0, "MASK"], [9, 1, 0, 2, 1, "IMAGE"], [10, 2, 0, 3, 0, "IMAGE"]]
    file = file_of([{"id": 1, "type": "LoadImage"}, scale, save], *links)
    assert inputs_of(file, "3")["images"] == ["1", 0]


def test_subgraphs_without_an_end_are_refused() -> None:
    def using(*types: str) -> dict[str, Any]:
        return {"nodes": [{"id": n, "type": each} for n, each in enumerate(types)], "links": []}

    itself = {"id": "s", **using("s")}
    with pytest.raises(TooManyNodes, match="nested"):
        converted(using("s") | {"definitions": {"subgraphs": [itself]}})
    doubling = [{"id": f"s{n}", **using(*[f"s{n + 1}"] * 10)} for n in range(10)]
    with pytest.raises(TooManyNodes, match="nodes"):
        converted(using("s0") | {"definitions": {"subgraphs": doubling}})


def test_no_more_nodes_are_made_than_a_graph_may_have() -> None:
    """Else a small file costs as much as a large one before it is refused."""

    def used(times: int, kind: str, inside: int) -> dict[str, Any]:
        inner = {"id": "s", **file_of([{"id": n, "type": kind} for n in range(inside)])}
        hosts = file_of([{"id": n, "type": "s"} for n in range(times)])
        return hosts | {"definitions": {"subgraphs": [inner]}}

    assert len(converted(used(10, "LoadImage", 100)).graph) == 1_000
    assert not converted(used(10, "Note", 101)).graph
    for file in (used(10, "LoadImage", 101), used(1_001, "Note", 1)):
        with pytest.raises(TooManyNodes, match="1000"):
            converted(file)


def test_a_file_of_too_many_nodes_is_refused() -> None:
    with pytest.raises(BadEditorFile, match=str(MAX_NODES)):
        read_editor_file(file_of([{"id": n, "type": "Note"} for n in range(MAX_NODES + 1)]))


@pytest.mark.parametrize(
    "file",
    [
        {"nodes": [None, 3, {"id": 1, "type": "KSampler", "inputs": 3, "outputs": [None]}]},
        {"nodes": [{"id": 1, "type": "KSampler", "widgets_values": 7, "properties": []}]},
        {"nodes": [{"id": "²", "type": "SaveImage", "inputs": [{"link": [1]}, "x"]}], "links": 3},
        {"nodes": [], "links": [[1], None, {"id": {}}, [1, 2, "x", 3, 0]]},
        {"nodes": [], "definitions": {"subgraphs": [3, {"id": 4}, {"id": "a", "nodes": None}]}},
        {"nodes": [{"id": 1, "type": "a", "properties": {"proxyWidgets": [3, ["1", {}]]}}],
         "definitions": {"subgraphs": [{"id": "a"}]}},
    ],
)  # fmt: skip
def test_odd_files_raise_nothing_unforeseen(file: dict[str, Any]) -> None:
    assert not [each for each in converted(file).obstacles if each.node != "1"]


def test_a_node_without_an_id_is_refused() -> None:
    with pytest.raises(BadEditorFile, match="without an id"):
        read_editor_file({"nodes": [{"type": "KSampler"}]})

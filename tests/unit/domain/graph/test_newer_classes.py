"""Every shape of node class that a newer ComfyUI lists: what runs passes, what cannot does not."""

import json
from collections.abc import Iterator
from typing import Any

from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.graph.own_validators import compares_types, is_free
from comfyq.domain.graph.validation import validate
from tests.cells import Cells
from tests.class_graphs import (
    GIVER,
    NODE,
    catalogue_around,
    choices_of,
    chosen_inputs,
    graph_around,
    picks,
)
from tests.paths import DATA

SHAPES: dict[str, Any] = json.loads((DATA / "comfyui" / "0.33.0" / "shapes.json").read_text())
INFO = catalogue_around(SHAPES)
CATALOGUE = read_catalogue(INFO)


def kinds(graph: dict[str, Any], catalogue: NodeCatalogue = CATALOGUE) -> list[str]:
    return [f"{error.input} {error.kind}" for error in validate(graph, catalogue).errors]


def graphs(info: dict[str, Any], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for pick in range(picks(info[name])):
        yield pick, graph_around(info, name, pick=pick)


def with_input(graph: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    inputs = graph[NODE]["inputs"] | {name: value}
    return graph | {NODE: graph[NODE] | {"inputs": inputs}}


def refusals(info: dict[str, Any], name: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Graphs with one thing wrong with the node, and what a refusal of each says."""
    module = info[name]["python_module"]
    for pick, graph in graphs(info, name):
        for place, config, required in chosen_inputs(info[name]["input"], pick):
            options = config[1] if len(config) > 1 else {}
            if required:
                inputs = {k: v for k, v in graph[NODE]["inputs"].items() if k != place}
                without = graph | {NODE: graph[NODE] | {"inputs": inputs}}
                yield without, f"{place} required_input_missing"
            if is_free(name, module, place.split(".")[0]):
                continue
            closed = not any(key.endswith("_upload") or key == "remote" for key in options)
            if choices_of(config) is not None and closed:
                yield with_input(graph, place, "no such"), f"{place} value_not_in_list"
            if config[0] in ("INT", "FLOAT") and "max" in options:
                beyond = options["max"] + 1
                yield with_input(graph, place, beyond), f"{place} value_bigger_than_max"
            taking = str(config[0])
            if "*" in taking or taking.startswith("COMFY_") or not compares_types(name, module):
                continue
            guarded = graph | {"guard": {"class_type": GIVER + "GUARD", "inputs": {}}}
            yield with_input(guarded, place, ["guard", 0]), f"{place} return_type_mismatch"


def test_a_node_with_all_its_inputs_passes() -> None:
    with Cells() as cells:
        for name in SHAPES:
            with cells.cell(name):
                for _, graph in graphs(INFO, name):
                    assert kinds(graph) == []


def test_a_node_that_cannot_run_is_refused() -> None:
    with Cells() as cells:
        for name in SHAPES:
            with cells.cell(name):
                for graph, reason in refusals(INFO, name):
                    assert reason in kinds(graph)

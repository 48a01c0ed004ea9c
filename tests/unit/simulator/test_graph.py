"""Order and cache keys of the simulator."""

import copy
from typing import Any

import pytest

from comfyui_simulator.catalogue import load_catalogue
from comfyui_simulator.running.schedule import Graph, Schedule, Signatures, is_link
from tests.data.comfyui.tape import GRAPHS, recorded

CATALOGUE = load_catalogue()


def order(graph: Graph, outputs: list[str], cached: frozenset[str] = frozenset()) -> list[str]:
    schedule = Schedule(
        graph=graph,
        outputs=outputs,
        is_cached=cached.__contains__,
        is_output=lambda node_id: CATALOGUE[graph[node_id]["class_type"]].is_output,
    )
    taken = []
    while (node_id := schedule.next()) is not None:
        taken.append(node_id)
        schedule.done(node_id)
    return taken


def signature(graph: Graph, node_id: str, outside: str | None = "") -> str | None:
    return Signatures(graph=graph, catalogue=CATALOGUE, outside=lambda _: outside).of(node_id)


def changed(name: str, node_id: str, **inputs: Any) -> Graph:
    graph = copy.deepcopy(GRAPHS[name])
    graph[node_id]["inputs"].update(inputs)
    return graph


@pytest.mark.parametrize(
    ("value", "expected"),
    [(["1", 0], True), (["1"], False), ([1, 0], False), (["1", "0"], False), ("1", False)],
)
def test_a_link_is_a_node_id_and_a_slot(value: object, expected: bool) -> None:
    assert is_link(value) is expected


@pytest.mark.parametrize(("name", "output"), [("flux", "9"), ("sd15", "9"), ("preview", "2")])
def test_nodes_run_in_the_order_of_comfyui(name: str, output: str) -> None:
    events = [line["event"] for line in recorded(name) if "event" in line]
    nodes = [event["data"]["node"] for event in events if event["type"] == "executing"]
    assert order(GRAPHS[name], [output]) == nodes[:-1]  # the last one closes the prompt


def test_only_what_the_outputs_need_runs() -> None:
    graph = GRAPHS["flux"] | {"99": GRAPHS["trivial"]["1"]}
    assert "99" not in order(graph, ["9"])


def test_what_is_upstream_of_a_cached_node_does_not_run() -> None:
    assert order(GRAPHS["flux"], ["9"], frozenset({"13", "10"})) == ["8", "9"]


def test_a_signature_covers_everything_upstream() -> None:
    before = signature(GRAPHS["sd15"], "9")
    assert signature(changed("sd15", "6", text="other"), "9") != before
    assert signature(changed("sd15", "10", strength_model=0.5), "9") != before


def test_a_signature_does_not_cover_what_is_downstream_or_beside() -> None:
    other_text = changed("sd15", "6", text="other")
    assert signature(other_text, "7") == signature(GRAPHS["sd15"], "7")
    assert signature(other_text, "10") == signature(GRAPHS["sd15"], "10")


def test_a_signature_does_not_depend_on_node_ids() -> None:
    graph = GRAPHS["trivial"]
    save = {**graph["2"], "inputs": {**graph["2"]["inputs"], "images": ["x", 0]}}
    assert signature({"x": graph["1"], "y": save}, "y") == signature(graph, "2")


def test_what_depends_on_chance_is_never_cached_nor_is_what_follows() -> None:
    graph = GRAPHS["trivial"]
    signatures = Signatures(
        graph=graph, catalogue=CATALOGUE, outside=lambda node_id: None if node_id == "1" else ""
    )
    assert signatures.of("1") is None
    assert signatures.of("2") is None


def test_a_node_that_leads_back_to_itself_has_no_signature() -> None:
    invert = {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}
    assert signature({"1": invert}, "1") is None

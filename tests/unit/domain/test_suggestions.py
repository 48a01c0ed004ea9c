"""Suggestions: helpful for what people mistype, and bounded for what nobody types."""

import pytest

from comfyq.domain.errors import InvalidGraph, InvalidParameters
from comfyq.domain.graph.model_names import existing_name
from comfyq.domain.suggestions import COMPARED, HINTED, LISTED, SHORT_CHARS, among, closest
from comfyq.domain.workflow.raw_graph import read_graph
from tests.api_lab import WORKFLOWS

LONG = "a" * (SHORT_CHARS + 1)


def test_the_closest_comes_first() -> None:
    names = ["KSamplerAdvanced", "KSampler", "LoadImage"]
    assert closest("KSamplr", names, most=2) == ["KSampler", "KSamplerAdvanced"]


def test_without_a_cutoff_every_name_is_ranked() -> None:
    names = [f"name_{n}" for n in range(40)]
    assert sorted(closest("name_7", names, most=50, cutoff=0)) == sorted(names)
    assert closest("name_7", names, most=50, cutoff=0)[0] == "name_7"


def test_long_names_are_neither_compared_nor_listed() -> None:
    assert closest(LONG, [LONG], most=1) == []
    assert closest("a", [LONG], most=1, cutoff=0) == []
    assert among("short", [LONG, "shore"]) == "did you mean 'shore'? it is one of shore and 1 more"


def test_so_many_names_are_compared() -> None:
    names = ["x"] * COMPARED + ["KSampler"]
    assert closest("KSampler", names, most=1) == []


def test_so_many_names_are_listed() -> None:
    listed = among("?", [f"{n:03d}" for n in range(LISTED + 5)])
    assert listed.endswith("049 and 5 more")


def test_the_first_faults_of_a_graph_have_hints() -> None:
    graph = {"6": {"class_type": "KSampler", "inputs": {"seed": 1}}}
    overrides = {f"6.seed{n}": 1 for n in range(HINTED + 2)}
    with pytest.raises(InvalidGraph) as refused:
        read_graph(graph, overrides)
    hinted = ["did you mean 'seed'" in each.message for each in refused.value.fields]
    assert hinted == [True] * HINTED + [False] * 2


def test_the_first_unknown_parameters_have_hints() -> None:
    workflow = WORKFLOWS.get("sd15")
    with pytest.raises(InvalidParameters) as refused:
        workflow.resolve({f"prompt{n}": "a" for n in range(HINTED + 1)}, draw_seed=lambda: 0)
    messages = [each.message for each in refused.value.fields if each.field != "prompt"]
    hinted = ["did you mean 'prompt'" in message for message in messages]
    assert hinted == [True] * HINTED + [False]


def test_an_override_reaches_inputs_and_ids_with_dots() -> None:
    graph = {
        "a.b": {"class_type": "X", "inputs": {"c.d": 1, "e": 1}},
        "a": {"class_type": "X", "inputs": {"z": 1}},
    }
    changed = read_graph(graph, {"a.b.c.d": 2, "a.z": 3})
    assert changed["a.b"]["inputs"]["c.d"] == 2
    assert changed["a"]["inputs"]["z"] == 3


@pytest.mark.parametrize(
    ("name", "existing"),
    [
        ("a.safetensors", "a.safetensors"),
        ("a", "a.safetensors"),
        ("b", "folder/b.ckpt"),
        ("folder\\b", "folder/b.ckpt"),
        ("other/b", None),
        ("twice", None),
        ("none", None),
    ],
)
def test_a_model_is_meant_if_one_alone_matches(name: str, existing: str | None) -> None:
    names = ["a.safetensors", "folder/b.ckpt", "x/twice.pt", "y/twice.pt"]
    assert existing_name(name, names) == existing

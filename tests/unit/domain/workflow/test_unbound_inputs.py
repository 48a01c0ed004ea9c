"""Inputs of custom nodes whose names are known to nobody."""

from typing import Any

from comfyq.domain.graph.node_catalogue import read_catalogue
from comfyq.domain.workflow.importer import Proposal, propose
from comfyq.domain.workflow.unbound_inputs import MAX_LISTED

SIDES = {f"side_{number}": ["FLOAT", {}] for number in range(MAX_LISTED + 5)}


def node_class(inputs: Any, output: str) -> Any:
    return {
        "input": {"required": inputs},
        "output": [output],
        "output_node": output == "SAVED",
        "python_module": "custom_nodes.odd",
    }


KNOWN = read_catalogue(
    {
        "SuperPromptEncoder": node_class(
            {
                "my_words": ["STRING", {"multiline": True}],
                "magic": ["FLOAT", {}],
                "mode": [["a", "b"]],
                "seed": ["INT", {}],
            },
            "CONDITIONING",
        ),
        "Scale": node_class({"label": ["STRING", {}], "scale_by": ["FLOAT", {}]}, "IMAGE"),
        "Sides": node_class(SIDES, "IMAGE"),
        "Save": node_class({"filename_prefix": ["STRING", {}]}, "SAVED"),
    }
)


def imported(*nodes: tuple[str, dict[str, Any]]) -> Proposal:
    graph = {
        str(number): {"class_type": class_type, "inputs": inputs}
        for number, (class_type, inputs) in enumerate(nodes, 1)
    }
    return propose(graph, title="t", catalogue=KNOWN)


ENCODER = {"my_words": "a fox", "magic": 0.5, "mode": "a", "seed": 7}


def test_a_text_that_a_node_turns_into_conditioning_is_the_prompt() -> None:
    proposal = imported(("SuperPromptEncoder", ENCODER))
    assert proposal.parameters["prompt"]["bind"] == "1.my_words"
    assert not [each for each in proposal.missing if "prompt" in each]


def test_texts_and_numbers_that_nothing_sets_are_listed() -> None:
    proposal = imported(
        ("SuperPromptEncoder", ENCODER),
        ("Scale", {"label": "", "scale_by": 2.0, "control_after_generate": "fixed"}),
        ("Save", {"filename_prefix": "p"}),
    )
    [magic, scale] = proposal.not_bound
    assert magic.startswith("magic of node 1 (SuperPromptEncoder): ")
    assert "1.magic" in magic
    assert "2.scale_by" in scale


def test_a_long_list_is_cut() -> None:
    not_bound = imported(("Sides", dict.fromkeys(SIDES, 1.5))).not_bound
    assert len(not_bound) == MAX_LISTED + 1
    assert not_bound[-1].startswith("5 more inputs")


def test_without_a_catalogue_texts_of_several_words_and_numbers_are_listed() -> None:
    odd = {"my_words": "a fox in snow", "magic": 0.5, "mode": "a", "on": True, "seed": 7}
    graph = {
        "1": {"class_type": "Odd", "inputs": {**odd, "file": "a_b.safetensors", "model": ["2", 0]}},
        "2": {"class_type": "SaveImage", "inputs": {"filename_prefix": "my files"}},
    }
    not_bound = propose(graph, title="t", catalogue=None, outputs=("2",)).not_bound
    assert [each.partition(" of ")[0] for each in not_bound] == ["my_words", "magic"]

"""Values that nobody sent obey the catalogue of the ComfyUI that runs the job."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyq.domain.errors import InvalidParameters
from comfyq.domain.graph.graph import Input
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.workflow.coercion import DRAW
from comfyq.domain.workflow.parameters import Parameter
from comfyq.domain.workflow.suiting import drawn, suited
from comfyq.domain.workflow.workflow import Workflow

RANDOM = st.integers(0, 2**53 - 1)
SEED = Parameter(
    name="seed",
    kind="seed",
    default=DRAW,
    minimum=0,
    maximum=2**64 - 1,
    bindings=(Input("1", "seed"),),
)
SIZE = Parameter(
    name="width",
    kind="size",
    default=4096,
    minimum=16,
    maximum=8192,
    multiple_of=64,
    bindings=(Input("1", "width"),),
)


def catalogue(**inputs: Any) -> NodeCatalogue:
    whole = ["INT", {"min": -(2**63), "max": 2**63 - 1}]
    return read_catalogue(
        {
            "Node": {"input": {"required": inputs}, "output": ["IMAGE"], "output_node": True},
            "PrimitiveInt": {"input": {"required": {"value": whole}}, "output": ["INT"]},
            "Reroute": {"input": {"required": {"": ["*"]}}, "output": ["*"]},
        }
    )


def workflow(parameter: Parameter, graph: dict[str, Any]) -> Workflow:
    return Workflow(
        name="w",
        title="",
        description="",
        version="1",
        graph=graph,
        parameters={parameter.name: parameter},
        outputs=("1",),
    )


GRAPH = {"1": {"class_type": "Node", "inputs": {"seed": 5, "width": 512}}}
LINKED = {
    "1": {"class_type": "Node", "inputs": {"seed": ["3", 0]}},
    "2": {"class_type": "PrimitiveInt", "inputs": {"value": 5}},
    "3": {"class_type": "Reroute", "inputs": {"": ["2", 0]}},
}


@pytest.mark.parametrize("asked", [{}, {"seed": DRAW}, {"seed": None}])
@pytest.mark.parametrize(
    ("graph", "place"), [(GRAPH, Input("1", "seed")), (LINKED, Input("2", "value"))]
)
def test_a_drawn_seed_is_within_the_nodes_own_range(
    asked: dict[str, Any], graph: dict[str, Any], place: Input
) -> None:
    known = catalogue(seed=["INT", {"min": 7, "max": 2**32 - 1, "step": 10}])
    on = workflow(replace(SEED, bindings=(place,)), graph).on(known)
    for random in (0, 1, 2**32, 2**53 - 1):
        seed = on.resolve(asked, draw_seed=partial(int, random)).parameters["seed"]
        assert 7 <= seed < 2**32
        assert seed % 10 == 7


def test_a_workflow_is_narrowed_once_for_each_catalogue() -> None:
    seed = workflow(SEED, GRAPH)
    one = catalogue(seed=["INT", {"min": 0, "max": 99}])
    other = catalogue(seed=["INT", {"min": 0, "max": 9}])
    assert [seed.on(each).parameters["seed"].maximum for each in (one, other, one)] == [99, 9, 99]
    assert seed.on(one) is seed.on(catalogue(seed=["INT", {"min": 0, "max": 99}]))


def test_a_seed_that_is_sent_need_not_keep_to_the_step() -> None:
    on = workflow(SEED, GRAPH).on(catalogue(seed=["INT", {"min": 0, "max": 99, "step": 10}]))
    assert on.resolve({"seed": 3}, draw_seed=int).parameters == {"seed": 3}
    with pytest.raises(InvalidParameters, match="the most is 99"):
        on.resolve({"seed": 100}, draw_seed=int)
    assert on.json_schema()["properties"]["seed"]["maximum"] == 99


@given(low=st.integers(-(2**64), 2**64), more=st.integers(0, 2**64), random=RANDOM)
def test_seeds_are_drawn_from_any_range(low: int, more: int, random: int) -> None:
    seed = drawn(replace(SEED, minimum=low, maximum=low + more), random)
    assert low <= seed <= low + more
    if low < 2**53 and low + more >= 0:
        assert 0 <= seed < 2**53


@pytest.mark.parametrize(
    ("options", "default", "maximum"),
    [
        ({"min": 16, "max": 16_384}, 4096, 8192),
        ({"min": 16, "max": 2000}, 1984, 2000),  # a multiple of 64
        ({"min": 5000, "max": 8192}, 5056, 8192),
        ({"min": 9000, "max": 16_384}, 4096, 8192),  # nothing in common: the author's own
        ({}, 4096, 8192),
    ],
)
def test_a_default_is_moved_into_the_nodes_range(
    options: dict[str, Any], default: int, maximum: int
) -> None:
    narrow = suited(SIZE, GRAPH, catalogue(width=["INT", options]))
    assert (narrow.default, narrow.maximum) == (default, maximum)


def test_what_a_class_may_validate_by_itself_binds_our_values_alone() -> None:
    odd = {
        "Node": {
            "input": {"required": {"seed": ["INT", {"max": 64}], "width": ["INT", {"max": 2000}]}},
            "output": [],
            "python_module": "custom_nodes.odd",
        }
    }
    on = workflow(SEED, GRAPH).on(read_catalogue(odd))
    assert on.resolve({}, draw_seed=lambda: 2**53 - 1).parameters["seed"] <= 64
    assert on.resolve({"seed": 65}, draw_seed=int).parameters["seed"] == 65
    assert suited(SIZE, GRAPH, read_catalogue(odd)).default == 1984

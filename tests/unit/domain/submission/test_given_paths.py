"""Files and folders that clients name by a workflow's parameters."""

from typing import Any

import pytest

from comfyq.domain.errors import InvalidGraph
from comfyq.domain.graph.graph import Input
from comfyq.domain.submission.admission import admit_workflow
from comfyq.domain.workflow.parameters import Parameter
from comfyq.domain.workflow.workflow import Workflow

ANOTHERS = "comfyq/0f5c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34/1/a.png [output]"
GRAPH: dict[str, Any] = {
    "1": {"class_type": "LoadTrainingDataset", "inputs": {"folder_name": "/srv/author"}},
    "2": {"class_type": "PrimitiveString", "inputs": {"value": "author"}},
    "3": {
        "class_type": "StringConcatenate",
        "inputs": {"string_a": "../sets", "string_b": ["2", 0], "delimiter": "/"},
    },
    "4": {"class_type": "LoadTrainingDataset", "inputs": {"folder_name": ["2", 0]}},
    "5": {"class_type": "LoadTrainingDataset", "inputs": {"folder_name": ["6", 0]}},
    "6": {"class_type": "Rewrite", "inputs": {"text": "a", "number": 1}},
    "7": {"class_type": "Files", "inputs": {"path": ["3", 0]}},
    "8": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
}


def parameter(name: str, kind: str, node: str, input: str, **more: Any) -> Parameter:
    return Parameter(name=name, kind=kind, bindings=(Input(node, input),), **more)


PARAMETERS = [
    parameter("set", "string", "1", "folder_name", default="/srv/author"),
    parameter("name", "string", "2", "value", default="author"),
    parameter("style", "string", "6", "text", default="a"),
    parameter("number", "integer", "6", "number", default=1),
    parameter("shown", "enum", "8", "image", default="a.png"),
    parameter("listed", "enum", "8", "image", default="a.png", choices=("a.png", "/srv/b.png")),
]


def admit(graph: dict[str, Any], **values: Any) -> None:
    mine = {each.name: each for each in PARAMETERS if each.name in values}
    workflow = Workflow(
        name="w", title="", description="", version="1", graph=graph, parameters=mine, outputs=()
    )
    admit_workflow(workflow, values, None, draw_seed=lambda: 0)


def graph_of(*nodes: str) -> dict[str, Any]:
    return {node: GRAPH[node] for node in nodes}


@pytest.mark.parametrize(
    ("nodes", "name", "value"),
    [
        ("1", "set", "/etc"),
        ("1", "set", "../x"),
        ("24", "name", "../../x"),
        ("237", "name", "mine"),  # whose author leads upwards: only the author's own name is fit
        ("56", "style", "b"),
        ("8", "shown", ANOTHERS),
        ("8", "shown", "/etc/a.png"),
    ],
)
def test_a_value_that_leads_outside_is_refused_by_its_name(
    nodes: str, name: str, value: str
) -> None:
    with pytest.raises(InvalidGraph) as refused:
        admit(graph_of(*nodes), **{name: value})
    [field] = refused.value.fields
    assert field.field == name


@pytest.mark.parametrize(
    ("nodes", "name", "value"),
    [
        ("1", "set", "set 1"),
        ("1", "set", "/srv/author"),  # the author's own default
        ("1", "set", None),
        ("24", "name", "set 1"),
        ("237", "name", None),
        ("156", "number", 2),
        ("8", "listed", "/srv/b.png"),  # one of the author's choices
    ],
)
def test_what_the_author_wrote_and_names_inside_are_admitted(
    nodes: str, name: str, value: Any
) -> None:
    admit(graph_of(*nodes), **{name: value})

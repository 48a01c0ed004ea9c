"""The family of a graph is that of the models that its outputs need."""

from collections.abc import Mapping
from typing import Any

import pytest

from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.workflow.model_family import family_of


def node(class_type: str, **inputs: Any) -> Mapping[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def loader(name: str) -> Mapping[str, Any]:
    return node("CheckpointLoaderSimple", ckpt_name=name)


GRAPH: Graph = {
    "1": loader("sd/fox.safetensors"),
    "2": node("KSampler", model=["1", 0]),
    "3": node("SaveImage", images=["2", 0]),
}
DANGLING: Graph = {"8": loader("cat.ckpt"), "9": node("CLIPTextEncode", clip=["8", 1])}
CATALOGUE = read_catalogue(
    {
        name: {"input": {}, "output": [], "output_node": name == "SaveImage"}
        for name in ("CheckpointLoaderSimple", "KSampler", "SaveImage", "CLIPTextEncode")
    }
)


@pytest.mark.parametrize(
    ("graph", "catalogue", "family"),
    [
        (GRAPH, None, "fox"),
        (GRAPH, CATALOGUE, "fox"),
        ({**GRAPH, "8": loader("cat.ckpt")}, None, "fox"),
        ({**GRAPH, "8": loader("cat.ckpt")}, CATALOGUE, "fox"),
        ({**GRAPH, **DANGLING}, CATALOGUE, "fox"),
        ({**GRAPH, **DANGLING, "4": node("Mine", images=["9", 0])}, CATALOGUE, "cat+fox"),
        ({**GRAPH, **DANGLING, "4": node("SaveImage", images=["9", 0])}, CATALOGUE, "cat+fox"),
        ({"1": loader("fox.ckpt")}, None, "fox"),
        ({"1": node("LoadImage", image="a.png")}, None, "any"),
    ],
)
def test_a_family_names_the_models_that_run(
    graph: Graph, catalogue: NodeCatalogue | None, family: str
) -> None:
    assert family_of(graph, catalogue) == family

"""A small run of a workflow, which loads its models and keeps no results."""

import math
from collections.abc import Mapping
from typing import Any

from comfyq.domain.errors import InvalidParameters
from comfyq.domain.files.job_paths import WARM_FOLDER
from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.saved_names import PREFIX
from comfyq.domain.graph.saving_nodes import saving_in
from comfyq.domain.workflow.parameters import Parameter
from comfyq.domain.workflow.workflow import Workflow

SMALL_SIZE = 64  # pixels
FEW_STEPS = 2
COUNTS = frozenset({"frames", "length", "seconds", "duration", "batch_size", "images"})
SAVER, SHOWER = "SaveImage", "PreviewImage"  # the second keeps pictures until ComfyUI is restarted


def small_values(workflow: Workflow) -> Mapping[str, Any]:
    """Return the sample's values with the smallest sizes, and few steps and frames; as they are if
    the workflow refuses small ones."""
    small = {name: _small(p) for name, p in workflow.parameters.items()}
    values = {**workflow.sample, **{name: v for name, v in small.items() if v is not None}}
    try:
        workflow.resolve(values, draw_seed=lambda: 0)
    except InvalidParameters:
        return workflow.sample
    return values


def small_graph(graph: Graph, catalogue: NodeCatalogue) -> Mapping[str, Mapping[str, Any]]:
    """Return the graph with pictures shown in place of saved, and other files in a folder that is
    no job's."""
    return {node: _keeping_nothing(node, graph, catalogue) for node in graph}


def _keeping_nothing(node: str, graph: Graph, catalogue: NodeCatalogue) -> Mapping[str, Any]:
    body = graph[node]
    if body["class_type"] == SAVER and SHOWER in catalogue.classes:
        inputs = {name: value for name, value in body["inputs"].items() if name != PREFIX}
        return {**body, "class_type": SHOWER, "inputs": inputs}
    return {**body, "inputs": saving_in(WARM_FOLDER, node, graph)}


def _small(parameter: Parameter) -> float | None:
    """Return a small value of a parameter; None: it says nothing of how large a run is."""
    least = parameter.minimum
    if parameter.kind == "size":
        step = parameter.multiple_of or 1
        size = math.ceil(max(least or 1, SMALL_SIZE) / step) * step
        return size if parameter.maximum is None else min(size, int(parameter.maximum))
    if parameter.kind not in ("integer", "number") or least is None:
        return None
    if parameter.name == "steps":
        few = max(least, FEW_STEPS)
        return few if parameter.maximum is None else min(few, parameter.maximum)
    return least if parameter.name in COUNTS else None

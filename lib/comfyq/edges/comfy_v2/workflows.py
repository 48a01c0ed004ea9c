"""The graph of a job as its client may see it: with its files, which the worker binds into it."""

from typing import Any

from comfyq.domain.files.sources import shown_source
from comfyq.domain.graph.graph import Input, copied, set_input
from comfyq.domain.submission.spec import Spec


def workflow_of(spec: Spec) -> dict[str, Any]:
    """Return the graph, in which each file is named by its source without secrets."""
    graph = copied(spec.graph)
    for file in spec.inputs:
        set_input(graph, Input(file.node, file.input), shown_source(file.source))
    return graph

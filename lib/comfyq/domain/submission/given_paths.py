"""Files and folders that a workflow's parameters name: a client's values lead nowhere that its own
graph could not, while what the workflow's author wrote may be any path."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from comfyq.domain.graph.errors import GraphError
from comfyq.domain.graph.file_paths import outside_paths
from comfyq.domain.graph.graph import Graph, Input, reference
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.saved_names import foreign_names
from comfyq.domain.graph.traversal import reached
from comfyq.domain.workflow.kinds import KINDS
from comfyq.domain.workflow.parameters import Parameter
from comfyq.domain.workflow.workflow import Workflow


def paths_of_values(
    workflow: Workflow,
    values: Mapping[str, Any],
    bound: Graph,
    catalogue: NodeCatalogue | None,
) -> Iterator[GraphError]:
    """Find paths out of ComfyUI's folders, and files of jobs, that a client's values lead to.

    ``values`` are the client's own and ``bound`` is the graph with them in place.
    """
    given = {
        target
        for name, parameter in workflow.parameters.items()
        if _is_free_text(parameter, values.get(name))
        for target in parameter.bindings
    }
    if not given:
        return
    nodes = {target.node: bound[target.node] for target in given}
    yield from (error for error in foreign_names(nodes) if _place(error) in given)
    for error in outside_paths(bound, catalogue):
        if _place(error) in given or given_above(bound, _place(error), given):
            yield error


def given_above(graph: Graph, place: Input, given: Collection[Input]) -> Input | None:
    """Return the first of ``given`` from which the value of a linked input is made."""
    source = reference(graph[place.node]["inputs"].get(place.name))
    above = reached(graph, [source.node]) if source is not None else frozenset()
    return next((each for each in given if each.node in above), None)


def _is_free_text(parameter: Parameter, value: Any) -> bool:
    """Return whether a value is a client's own text, and none that the author offers."""
    is_text = isinstance(value, str) and not KINDS[parameter.kind].is_file
    return is_text and value != parameter.default and parameter.choices is None


def _place(error: GraphError) -> Input:
    return Input(error.node, error.input or "")

"""Conversion of editor files to the API format, as ComfyUI's editor does it before it submits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.domain.graph.editor.document import Diagram, EditorFile, Node
from comfyq.domain.graph.editor.frontend import FRONTEND_ONLY, is_group
from comfyq.domain.graph.editor.instances import SubgraphScope, scopes_of
from comfyq.domain.graph.editor.widgets import is_drawn, values_of
from comfyq.domain.graph.editor.wiring import NodeOutput, Value, Wiring
from comfyq.domain.graph.graph import NewGraph
from comfyq.domain.graph.node_catalogue import NodeCatalogue, NodeClass

GROUP = (
    "is a group node, which newer editors have replaced: open the file in ComfyUI, "
    "convert it to nodes or a subgraph, and save again"
)
NOT_DRAWN = (
    "which the editor makes when it submits: fill it there, and choose “Export (API)” in its menu "
    "“Workflow”"
)
NO_CLASS = "is of a class that this ComfyUI does not have; install the custom node that brings it"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The reason for which one node cannot be converted."""

    node: str
    title: str
    class_type: str
    reason: str

    def __str__(self) -> str:
        title = f" “{self.title[:80]}”" if self.title else ""
        return f"node {self.node}{title} ({self.class_type[:80]}) {self.reason}"


@dataclass(frozen=True, slots=True)
class Conversion:
    graph: NewGraph
    obstacles: Sequence[Obstacle]


def convert(file: EditorFile, catalogue: NodeCatalogue) -> Conversion:
    """Convert an editor file for the ComfyUI of ``catalogue``; raises TooManyNodes."""
    diagrams = [file.root, *file.subgraphs.values()]
    scopes = scopes_of(file, {id(each): _made(each, file, catalogue) for each in diagrams})
    values = {
        (id(scope), node.id): dict(values_of(node, node_class)) | _promoted(scope, node)
        for scope in scopes
        for node in scope.diagram.nodes.values()
        if (node_class := catalogue.classes.get(node.type))
    }
    wiring, graph, obstacles = Wiring(values), dict[str, Any](), list[Obstacle]()
    for scope in scopes:
        for node in _run(scope.diagram, file):
            given = values.get((id(scope), node.id))
            if given is None:
                obstacles += _unknown(scope, node)
                continue
            inputs = {name: _literal(value) for name, value in given.items()}
            inputs |= _fed(scope, node, wiring)
            obstacles += _not_drawn(scope, node, inputs, catalogue.classes[node.type])
            title = {"title": node.title or node.type}
            body = {"class_type": node.type, "inputs": inputs, "_meta": title}
            graph[scope.id_of(node.id)] = body
    _drop_dangling(graph)
    return Conversion(graph, obstacles)


def _unknown(scope: SubgraphScope, node: Node) -> Iterator[Obstacle]:
    """Name a node whose class is not there; one that nothing is linked to is left out."""
    if _is_linked(node):
        yield _obstacle(scope, node, GROUP if is_group(node) else NO_CLASS)


def _not_drawn(
    scope: SubgraphScope, node: Node, inputs: Mapping[str, Any], node_class: NodeClass
) -> Iterator[Obstacle]:
    """Name an input whose value the editor draws or records only when it submits."""
    for spec in node_class.inputs.values():
        if is_drawn(spec) and not inputs.get(spec.name):
            yield _obstacle(scope, node, f"has the input `{spec.name}`, {NOT_DRAWN}")


def _obstacle(scope: SubgraphScope, node: Node, reason: str) -> Obstacle:
    return Obstacle(scope.id_of(node.id), node.title, node.type, reason)


def _is_linked(node: Node) -> bool:
    return any(slot.link for slot in node.inputs) or any(slot.links for slot in node.outputs)


def _made(diagram: Diagram, file: EditorFile, catalogue: NodeCatalogue) -> int:
    """Count the nodes or obstacles that one use of a diagram makes."""
    nodes = _run(diagram, file)
    return sum(node.type in catalogue.classes or _is_linked(node) for node in nodes)


def _run(diagram: Diagram, file: EditorFile) -> Iterator[Node]:
    """Yield the nodes of a diagram that ComfyUI runs."""
    for node in diagram.nodes.values():
        is_subgraph = node.type in file.subgraphs
        if node.is_active and not is_subgraph and node.type not in FRONTEND_ONLY:
            yield node


def _promoted(scope: SubgraphScope, node: Node) -> dict[str, Any]:
    return dict(scope.promoted.get(node.id, {}))


def _fed(scope: SubgraphScope, node: Node, wiring: Wiring) -> dict[str, Any]:
    """Return the inputs of a node that something else feeds."""
    fed: dict[str, Any] = {}
    for slot in node.inputs:
        source = wiring.feed(scope, slot)
        if isinstance(source, NodeOutput):
            fed[slot.name] = [source.node, source.index]
        elif isinstance(source, Value):
            fed[slot.name] = _literal(source.value)
    return fed


def _literal(value: Any) -> Any:
    """Wrap a list, which would be taken for a link."""
    return {"__value__": value} if isinstance(value, list) else value


def _drop_dangling(graph: NewGraph) -> None:
    """Drop links from nodes that are not there, as the editor does."""
    for body in graph.values():
        inputs = body["inputs"]
        dangling = [
            name
            for name, value in inputs.items()
            if isinstance(value, list) and value[0] not in graph
        ]
        for name in dangling:
            del inputs[name]

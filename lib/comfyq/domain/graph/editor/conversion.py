"""Conversion of editor files to the API format, as ComfyUI's editor does it before it submits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.domain.graph.editor.document import Diagram, EditorFile, Node
from comfyq.domain.graph.editor.frontend import FRONTEND_ONLY, is_group
from comfyq.domain.graph.editor.instances import SubgraphScope, scopes_of
from comfyq.domain.graph.editor.widgets import WidgetValues, is_drawn, values_of
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
DROPPED = (
    "was left out: it is of a class that this ComfyUI does not have, and nothing is linked to it"
)
LACKING = "has no values in the file for"
MAX_NAMED = 5  # inputs of a node in a warning


@dataclass(frozen=True, slots=True)
class Remark:
    """A node's reason not to be converted, or a warning about how it was."""

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
    obstacles: Sequence[Remark]
    warnings: Sequence[Remark] = ()  # of nodes that were converted, or left out


def convert(file: EditorFile, catalogue: NodeCatalogue) -> Conversion:
    """Convert an editor file for the ComfyUI of ``catalogue``; raises TooManyNodes."""
    diagrams = [file.root, *file.subgraphs.values()]
    scopes = scopes_of(file, {id(each): _made(each, file, catalogue) for each in diagrams})
    widgets = {
        (id(scope), node.id): _widgets(scope, node, node_class)
        for scope in scopes
        for node in scope.diagram.nodes.values()
        if (node_class := catalogue.classes.get(node.type))
    }
    wiring, graph = Wiring({key: each.given for key, each in widgets.items()}), dict[str, Any]()
    obstacles, warnings = list[Remark](), list[Remark]()
    for scope in scopes:
        for node in _run(scope.diagram, file):
            held = widgets.get((id(scope), node.id))
            if held is None:
                (obstacles if _is_linked(node) else warnings).append(_unknown(scope, node))
                continue
            fed = _fed(scope, node, wiring)
            inputs = {name: _literal(value) for name, value in held.given.items()} | fed
            obstacles += _not_drawn(scope, node, inputs, catalogue.classes[node.type])
            warnings += _defaulted(scope, node, [n for n in held.lacking if n not in fed])
            title = {"title": node.title or node.type}
            body = {"class_type": node.type, "inputs": inputs, "_meta": title}
            graph[scope.id_of(node.id)] = body
    _drop_dangling(graph)
    return Conversion(graph, obstacles, warnings)


def _widgets(scope: SubgraphScope, node: Node, node_class: NodeClass) -> WidgetValues:
    """Return the values of a node's widgets, also of those that stand on a subgraph's node."""
    own, promoted = values_of(node, node_class), _promoted(scope, node)
    lacking = tuple(name for name in own.lacking if name not in promoted)
    return WidgetValues({**own.given, **promoted}, lacking)


def _unknown(scope: SubgraphScope, node: Node) -> Remark:
    """Remark on a node whose class is not there; one that nothing is linked to is left out."""
    if not _is_linked(node):
        return _remark(scope, node, DROPPED)
    return _remark(scope, node, GROUP if is_group(node) else NO_CLASS)


def _defaulted(scope: SubgraphScope, node: Node, names: Sequence[str]) -> Iterator[Remark]:
    """Name the inputs for which a file has too few values."""
    if names:
        shown = ", ".join(f"`{name}`" for name in names[:MAX_NAMED])
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        yield _remark(scope, node, f"{LACKING} {shown}{more}: the defaults were taken")


def _not_drawn(
    scope: SubgraphScope, node: Node, inputs: Mapping[str, Any], node_class: NodeClass
) -> Iterator[Remark]:
    """Name an input whose value the editor draws or records only when it submits."""
    for spec in node_class.inputs.values():
        if is_drawn(spec) and not inputs.get(spec.name):
            yield _remark(scope, node, f"has the input `{spec.name}`, {NOT_DRAWN}")


def _remark(scope: SubgraphScope, node: Node, reason: str) -> Remark:
    return Remark(scope.id_of(node.id), node.title, node.type, reason)


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

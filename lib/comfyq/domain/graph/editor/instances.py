"""Instances of nodes: each node of a subgraph once for each node that stands for the subgraph."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfyq.domain.graph.editor.document import Diagram, EditorFile, EditorSlot, Node, by_name
from comfyq.domain.graph.graph import MAX_NODES

MAX_SIZE = 50_000  # nodes, inputs and outputs
MAX_DEPTH = 20
NESTED = f"its subgraphs are nested over {MAX_DEPTH} levels deep"
OWN = "-1"  # in a list of promoted widgets: an input of the subgraph itself


class TooManyNodes(ValueError):
    """The message says of what there is too much."""


@dataclass(eq=False, slots=True)
class SubgraphScope:
    """One use of a diagram: the file itself, or a subgraph in the place of ``host``."""

    diagram: Diagram
    prefix: str = ""  # of the ids of its nodes in the converted graph
    depth: int = 0
    parent: "SubgraphScope | None" = None
    host: Node | None = None
    children: dict[str, "SubgraphScope"] = field(default_factory=dict)  # by the id of the host
    inputs: Mapping[str, Any] = field(default_factory=dict)  # the host's values, by its input
    promoted: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by node, widget
    host_inputs: Mapping[str, EditorSlot] = field(default_factory=dict)  # the host's, by name

    def id_of(self, node: str) -> str:
        """Return the id in the converted graph, such as ``5:12`` for node 12 in the subgraph 5."""
        return self.prefix + node


@dataclass(frozen=True, slots=True)
class _Extent:
    """The size of one use of a diagram, with all that is in its subgraphs."""

    size: int  # nodes, inputs and outputs
    nodes: int  # in the converted graph
    scopes: int
    depth: int  # levels of subgraphs


def scopes_of(file: EditorFile, made: Mapping[int, int]) -> list[SubgraphScope]:
    """List the file's own scope and that of every active subgraph.

    ``made`` are the nodes in the converted graph of one use of a diagram, by the diagram's ``id``.

    Raises:
        TooManyNodes: there would be more than a graph may have, or they nest too deep.
    """
    _refuse_too_many(_extent(file.root, file, made, {}, 0))
    root = SubgraphScope(file.root)
    scopes, waiting = list[SubgraphScope](), deque([root])
    while waiting:
        scopes.append(scope := waiting.popleft())
        waiting.extend(_children(scope, file))
    return scopes


def _extent(
    diagram: Diagram,
    file: EditorFile,
    made: Mapping[int, int],
    known: dict[int, _Extent],
    depth: int,
) -> _Extent:
    """Add up each diagram once: a small file can stand for more nodes than could be counted."""
    if (extent := known.get(id(diagram))) is None:
        if depth > MAX_DEPTH:
            raise TooManyNodes(NESTED)
        hosted = [each for _, each in _hosts(diagram, file)]
        inner = [_extent(each, file, made, known, depth + 1) for each in hosted]
        extent = known[id(diagram)] = _Extent(
            diagram.size + sum(each.size for each in inner),
            made[id(diagram)] + sum(each.nodes for each in inner),
            1 + sum(each.scopes for each in inner),
            max((1 + each.depth for each in inner), default=0),
        )
    if depth + extent.depth > MAX_DEPTH:
        raise TooManyNodes(NESTED)
    return extent


def _refuse_too_many(extent: _Extent) -> None:
    if extent.size > MAX_SIZE:
        raise TooManyNodes(
            f"it has over {MAX_SIZE} nodes, inputs and outputs with those of its subgraphs"
        )
    if max(extent.nodes, extent.scopes - 1) > MAX_NODES:
        raise TooManyNodes(
            f"with what is in its subgraphs it makes over {MAX_NODES} nodes, the most of a "
            "graph; split it"
        )


def _hosts(diagram: Diagram, file: EditorFile) -> Iterator[tuple[Node, Diagram]]:
    """Yield the active nodes that stand for subgraphs, each with its subgraph."""
    for node in diagram.nodes.values():
        subgraph = file.subgraphs.get(node.type)
        if subgraph is not None and node.is_active:
            yield node, subgraph


def _children(scope: SubgraphScope, file: EditorFile) -> Iterator[SubgraphScope]:
    for node, diagram in _hosts(scope.diagram, file):
        slots = by_name(node.inputs)
        inputs, promoted = _host_values(node, slots, diagram, file)
        child = SubgraphScope(
            diagram=diagram,
            prefix=f"{scope.id_of(node.id)}:",
            depth=scope.depth + 1,
            parent=scope,
            host=node,
            inputs=inputs,
            promoted=promoted,
            host_inputs=slots,
        )
        scope.children[node.id] = child
        yield child


def _host_values(
    host: Node, slots: Mapping[str, EditorSlot], diagram: Diagram, file: EditorFile
) -> tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]:
    """Return the values on a subgraph's node: by its inputs, and by promoted inner widgets."""
    if host.named:
        return host.named, {}
    values = host.values if isinstance(host.values, list) else []
    if not values:
        return {}, {}
    if host.promoted is None:
        names = [own.name for own in diagram.inputs if _has_widget(own, slots, diagram, file)]
        given = zip(names, values, strict=False)
        return {name: value for name, value in given if value is not None}, {}
    inputs: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for (node, widget), value in zip(host.promoted, values, strict=False):
        if value is None:
            continue
        if node == OWN:
            inputs[widget] = value
        else:
            inner.setdefault(node, {})[widget] = value
    return inputs, inner


def _has_widget(
    own: EditorSlot, slots: Mapping[str, EditorSlot], diagram: Diagram, file: EditorFile
) -> bool:
    """Return whether an input of a subgraph stands for a widget, here or in one further in."""
    if own.name in slots and slots[own.name].widget is not None:
        return True
    inner: EditorSlot | None = own
    for _ in range(MAX_DEPTH):
        below = None
        for node, target in diagram.fed_by(inner) if inner else ():
            if target.widget is not None:
                return True
            if below is None and node.type in file.subgraphs:
                below = file.subgraphs[node.type], target.name
        if below is None:
            return False
        diagram = below[0]
        inner = diagram.inputs_by_name.get(below[1])
    return False

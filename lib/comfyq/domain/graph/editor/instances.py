"""Instances of nodes: each node of a subgraph once for each node that stands for the subgraph."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfyq.domain.graph.editor.document import Diagram, EditorFile, Node, named

MAX_INSTANCES = 5_000
MAX_DEPTH = 20
OWN = "-1"  # in a list of promoted widgets: an input of the subgraph itself


class TooManyNodes(ValueError):
    """The message says of what there is too much."""


@dataclass(eq=False, slots=True)
class Scope:
    """One use of a diagram: the file itself, or a subgraph in the place of ``host``."""

    diagram: Diagram
    prefix: str = ""  # of the ids of its nodes in the converted graph
    depth: int = 0
    parent: "Scope | None" = None
    host: Node | None = None
    children: dict[str, "Scope"] = field(default_factory=dict)  # by the id of the host
    inputs: Mapping[str, Any] = field(default_factory=dict)  # the host's values, by its input
    promoted: Mapping[tuple[str, str], Any] = field(default_factory=dict)  # by node and widget

    def id_of(self, node: str) -> str:
        """Return the id in the converted graph, such as ``5:12`` for node 12 in the subgraph 5."""
        return self.prefix + node


def scopes_of(file: EditorFile) -> list[Scope]:
    """List the file's own scope and that of every active subgraph; raises TooManyNodes."""
    root = Scope(file.root)
    scopes, waiting, count = [root], [root], len(file.root.nodes)
    while waiting:
        scope = waiting.pop(0)
        for child in _children(scope, file):
            count += len(child.diagram.nodes)
            if child.depth > MAX_DEPTH:
                raise TooManyNodes(f"its subgraphs are nested over {MAX_DEPTH} levels deep")
            if count > MAX_INSTANCES:
                raise TooManyNodes(f"it has over {MAX_INSTANCES} nodes with those of its subgraphs")
            scopes.append(child)
            waiting.append(child)
    return scopes


def _children(scope: Scope, file: EditorFile) -> Iterator[Scope]:
    for node in scope.diagram.nodes.values():
        diagram = file.subgraphs.get(node.type)
        if diagram is None or not node.is_active:
            continue
        inputs, promoted = _host_values(node, diagram, file)
        child = Scope(
            diagram=diagram,
            prefix=f"{scope.id_of(node.id)}:",
            depth=scope.depth + 1,
            parent=scope,
            host=node,
            inputs=inputs,
            promoted=promoted,
        )
        scope.children[node.id] = child
        yield child


def _host_values(
    host: Node, diagram: Diagram, file: EditorFile
) -> tuple[Mapping[str, Any], Mapping[tuple[str, str], Any]]:
    """Return the values on a subgraph's node: by its inputs, and by promoted inner widgets."""
    if host.named:
        return dict(host.named), {}
    values = host.values if isinstance(host.values, list) else []
    if host.promoted is None:
        names = [
            slot.name for slot in diagram.inputs if _has_widget(slot.name, host, diagram, file)
        ]
        given = zip(names, values, strict=False)
        return {name: value for name, value in given if value is not None}, {}
    inputs, inner = {}, {}
    for (node, widget), value in zip(host.promoted, values, strict=False):
        if value is None:
            continue
        if node == OWN:
            inputs[widget] = value
        else:
            inner[node, widget] = value
    return inputs, inner


def _has_widget(name: str, host: Node, diagram: Diagram, file: EditorFile) -> bool:
    """Return whether an input of a subgraph stands for a widget, here or in one further in."""
    slot = named(host.inputs, name)
    if slot is not None and slot.widget is not None:
        return True
    for _ in range(MAX_DEPTH):
        own = named(diagram.inputs, name)
        inside = list(diagram.fed_by(own)) if own else []
        if any(target.widget is not None for _, target in inside):
            return True
        further = [(file.subgraphs.get(node.type), target.name) for node, target in inside]
        below, name = next(((each, at) for each, at in further if each is not None), (None, ""))
        if below is None:
            return False
        diagram = below
    return False

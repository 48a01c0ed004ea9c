"""Tracing of an input back to what feeds it, through everything that only the editor knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfyq.domain.graph.editor.document import (
    BYPASSED,
    FROM_HOST,
    MUTED,
    EditorSlot,
    Link,
    Node,
)
from comfyq.domain.graph.editor.frontend import PASSING, PRIMITIVE, getter_name
from comfyq.domain.graph.editor.instances import SubgraphScope
from comfyq.domain.graph.type_matching import ANY, type_names, types_match


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """An output of a node of the converted graph."""

    node: str
    index: int


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a widget that stands elsewhere: in a primitive, or on a subgraph's node."""

    value: Any


Feed = NodeOutput | Value | None
"""What feeds an input; None: nothing, so that its own widget counts."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One output on the way back."""

    scope: SubgraphScope
    node: str
    output: int
    type: str


Values = Mapping[tuple[int, str], Mapping[str, Any]]
"""The values of widgets by the ``id`` of a scope and a node's id."""


class Wiring:
    """Trace inputs; each output on a way is traced once, however many inputs it feeds."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._known: dict[tuple[int, str, int, str], Feed] = {}
        self._passages: dict[int, _Passage] = {}  # by the ``id`` of a bypassed node

    def feed(self, scope: SubgraphScope, slot: EditorSlot) -> Feed:
        """Return what feeds an input of a node in ``scope``."""
        step, result = _from_input(scope, slot, slot.type), None
        way = []
        while step is not None:
            key = (id(step.scope), step.node, step.output, step.type)
            if key in self._known:
                result = self._known[key]
                break
            self._known[key] = None  # what a circle of editor nodes leads to
            way.append(key)
            step, result = self._next(step)
        for key in way:
            self._known[key] = result
        return result

    def _next(self, step: _Step) -> tuple[_Step | None, Feed]:
        """Return the output before this one, or what the way ends at."""
        scope = step.scope
        if step.node == FROM_HOST:
            return self._outside(step)
        node = scope.diagram.nodes.get(step.node)
        if node is None or node.mode == MUTED:
            return None, None
        if node.mode == BYPASSED:
            slot = self._passed_through(node, step)
            return (None if slot is None else _from_input(scope, slot, step.type)), None
        if node.id in scope.children:
            child = scope.children[node.id]
            link = child.diagram.links_to_host.get(step.output)
            return (None if link is None else _from_link(child, link, step.type)), None
        return _of_node(node, step)

    def _passed_through(self, node: Node, step: _Step) -> EditorSlot | None:
        if id(node) not in self._passages:
            self._passages[id(node)] = _Passage(node)
        return self._passages[id(node)].through(step.output, step.type)

    def _outside(self, step: _Step) -> tuple[_Step | None, Feed]:
        """Leave a subgraph: to what feeds the input of its node, or to the value of its widget."""
        scope, inputs = step.scope, step.scope.diagram.inputs
        if scope.parent is None or scope.host is None or not 0 <= step.output < len(inputs):
            return None, None
        own = inputs[step.output]
        slot = scope.host_inputs.get(own.name)
        outer = None if slot is None else _from_input(scope.parent, slot, step.type)
        if outer is not None:
            return outer, None
        above = scope.parent.promoted.get(scope.host.id, {})
        value = above.get(own.name, scope.inputs.get(own.name))
        return None, self._first(scope, own) if value is None else Value(value)

    def _first(self, scope: SubgraphScope, own: EditorSlot | None) -> Feed:
        """Return the value of the first of the widgets that a subgraph's input sets together."""
        value = None
        while own is not None and value is None:
            inside = ((node, slot) for node, slot in scope.diagram.fed_by(own) if slot.widget)
            node, slot = next(inside, (None, None))
            if node is None or slot is None:
                return None
            child = scope.children.get(node.id)
            if child is None:
                value = self._values.get((id(scope), node.id), {}).get(slot.widget or "")
                break
            value = child.inputs.get(slot.name)
            scope, own = child, child.diagram.inputs_by_name.get(slot.name)
        return None if value is None else Value(value)


def _from_input(scope: SubgraphScope, slot: EditorSlot, kind: str) -> _Step | None:
    link = scope.diagram.links.get(slot.link) if slot.link is not None else None
    return None if link is None else _from_link(scope, link, kind)


def _from_link(scope: SubgraphScope, link: Link, kind: str) -> _Step:
    return _Step(scope, link.source, link.output, kind)


def _of_node(node: Node, step: _Step) -> tuple[_Step | None, Feed]:
    if node.type in PASSING:
        return (_from_input(step.scope, node.inputs[0], step.type) if node.inputs else None), None
    if node.type == PRIMITIVE:
        return None, None if node.first_value is None else Value(node.first_value)
    name = getter_name(node)
    if name is not None:
        return _named(step, name), None
    return None, NodeOutput(step.scope.id_of(node.id), step.output)


def _named(step: _Step, name: str) -> _Step | None:
    """Jump from a getter to the setter of its name, in its own diagram or one further out."""
    scope: SubgraphScope | None = step.scope
    while scope is not None:
        setter = scope.diagram.setters.get(name)
        if setter is not None:
            return _from_input(scope, setter, step.type)
        scope = scope.parent
    return None


class _Passage:
    """The inputs of a bypassed node by their types, of each type the first."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._exact: dict[str, EditorSlot] = {}
        self._by_name: dict[str, int] = {}
        for at, slot in enumerate(node.inputs):
            self._exact.setdefault(slot.type, slot)
            for name in type_names(slot.type):
                self._by_name.setdefault(name, at)

    def through(self, output: int, wanted: str) -> EditorSlot | None:
        """Return the input that an output passes on: that of the same place, or of its type."""
        inputs, outputs = self._node.inputs, self._node.outputs
        offered = outputs[output].type if 0 <= output < len(outputs) else ANY
        beside = inputs[output] if 0 <= output < len(inputs) else None
        if ANY in (wanted, offered):
            return beside or next(iter(inputs), None)
        if beside and types_match(beside.type, offered) and types_match(beside.type, wanted):
            return beside
        if wanted in self._exact:
            return self._exact[wanted]
        fitting = [self._by_name.get(name) for name in (*type_names(offered), ANY)]
        places = [at for at in fitting if at is not None]
        return inputs[min(places)] if places else None

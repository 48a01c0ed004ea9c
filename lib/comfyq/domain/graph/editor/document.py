"""Editor files: the JSON that ComfyUI's editor saves, with nodes, links and subgraphs.

Schema versions 0.4 (links are lists) and 1.0 (links are objects) are read; see
https://docs.comfy.org/specs/workflow_json
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from comfyq.domain.graph.type_matching import ANY

MAX_NODES = 5_000  # of a file, those of its subgraphs included
MAX_TYPE_CHARS = 200  # of a type's name; what has a longer one is taken for any type
MAX_VALUES = 1_000  # of a node's widgets
SHOWN_CHARS = 80  # of an id or a name in a message
MUTED, BYPASSED = 2, 4  # modes of a node
SETTER, GETTER = "SetNode", "GetNode"  # of the KJNodes: a link by name
FROM_HOST, TO_HOST = (
    "-10",
    "-20",
)  # what stands in a subgraph for the inputs and outputs of its node


class BadEditorFile(ValueError):
    """The message says what of the file cannot be read."""


@dataclass(frozen=True, slots=True)
class EditorSlot:
    """An input or output of a node, or of a subgraph."""

    name: str
    type: str  # a type's name; ANY for anything else
    link: str | None = None  # id of the link into an input
    widget: str | None = None  # name of the widget that the input may replace
    links: tuple[str, ...] = ()  # ids of the links of an output, or of a subgraph's own input


@dataclass(frozen=True, slots=True)
class Link:
    source: str  # id of a node, or FROM_HOST
    output: int
    target: str  # id of a node, or TO_HOST
    input: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    id: str
    type: str  # its class, or the id of its subgraph
    title: str
    mode: int
    inputs: tuple[EditorSlot, ...]
    outputs: tuple[EditorSlot, ...]
    values: Any  # of its widgets: a list in their order, an object by name, or nothing
    named: Mapping[str, Any]  # the same by name, which newer editors add
    promoted: tuple[tuple[str, str], ...] | None  # inner node and widget of each promoted value

    @property
    def is_active(self) -> bool:
        return self.mode not in (MUTED, BYPASSED)

    @property
    def first_value(self) -> Any:
        return self.values[0] if isinstance(self.values, list) and self.values else None


@dataclass(frozen=True)
class Diagram:
    """The nodes and links of a file, or of one subgraph."""

    nodes: Mapping[str, Node]
    links: Mapping[str, Link]
    inputs: tuple[EditorSlot, ...] = ()
    outputs: tuple[EditorSlot, ...] = ()

    @cached_property
    def links_to_host(self) -> Mapping[int, Link]:
        """The link into each output of the subgraph."""
        return {link.input: link for link in self.links.values() if link.target == TO_HOST}

    @cached_property
    def size(self) -> int:
        """The number of its nodes and slots, for a limit on the work."""
        slots = [*self.inputs, *self.outputs]
        for node in self.nodes.values():
            slots += [*node.inputs, *node.outputs]
        return len(self.nodes) + len(slots) + sum(len(slot.links) for slot in slots)

    @cached_property
    def inputs_by_name(self) -> Mapping[str, EditorSlot]:
        return by_name(self.inputs)

    @cached_property
    def setters(self) -> Mapping[str, EditorSlot]:
        """The input of each node that gives a link a name."""
        setters = [node for node in self.nodes.values() if node.type == SETTER and node.inputs]
        return {str(node.first_value): node.inputs[0] for node in setters}

    def fed_by(self, own: EditorSlot) -> Iterator[tuple[Node, EditorSlot]]:
        """Yield the inputs inside that an input of the subgraph feeds, each with its node."""
        for link in (self.links[each] for each in own.links if each in self.links):
            node = self.nodes.get(link.target)
            if node is not None and 0 <= link.input < len(node.inputs):
                yield node, node.inputs[link.input]


@dataclass(frozen=True, slots=True)
class EditorFile:
    root: Diagram
    subgraphs: Mapping[str, Diagram]


def by_name(slots: Sequence[EditorSlot]) -> Mapping[str, EditorSlot]:
    """Return slots by their names; of several of one name, the first."""
    return {slot.name: slot for slot in reversed(slots)}


def read_editor_file(value: Mapping[str, Any]) -> EditorFile:
    """Parse an editor file; raises BadEditorFile."""
    definitions = value.get("definitions")
    listed = definitions.get("subgraphs") if isinstance(definitions, Mapping) else None
    defined = [each for each in _objects(listed) if isinstance(each.get("id"), str)]
    count = sum(len(_list(each.get("nodes"))) for each in [value, *defined])
    if count > MAX_NODES:
        raise BadEditorFile(f"has {count} nodes; the most is {MAX_NODES}")
    _refuse_twins("subgraphs", [(each["id"], _text(each.get("name"))) for each in defined])
    return EditorFile(_diagram(value), {each["id"]: _diagram(each) for each in defined})


def _refuse_twins(kind: str, named: Sequence[tuple[str, str]]) -> None:
    """Refuse two of one id: links and nodes say by ids alone which of them they mean."""
    first: dict[str, str] = {}
    for id, name in named:
        if id in first:
            raise BadEditorFile(
                f"has two {kind} of the id {id[:SHOWN_CHARS]}, {first[id][:SHOWN_CHARS]!r} and "
                f"{name[:SHOWN_CHARS]!r}: give one of them another id, in its links too"
            )
        first[id] = name


def _diagram(value: Mapping[str, Any]) -> Diagram:
    nodes = [_node(each) for each in _objects(value.get("nodes"))]
    _refuse_twins("nodes", [(node.id, node.type) for node in nodes])
    return Diagram(
        nodes={node.id: node for node in nodes},
        links=dict(_links(value.get("links"))),
        inputs=_slots(value.get("inputs")),
        outputs=_slots(value.get("outputs")),
    )


def _node(value: Mapping[str, Any]) -> Node:
    id, kind, title = _id(value.get("id")), value.get("type"), value.get("title")
    if id is None or not isinstance(kind, str):
        raise BadEditorFile("has a node without an id or a type")
    properties = value.get("properties")
    named, mode = value.get("widgets_values_named"), value.get("mode")
    values = value.get("widgets_values")
    return Node(
        id=id,
        type=kind,
        title=_text(title),
        mode=mode if isinstance(mode, int) else 0,
        inputs=_slots(value.get("inputs")),
        outputs=_slots(value.get("outputs")),
        values=values[:MAX_VALUES] if isinstance(values, list) else values,
        named=named if isinstance(named, Mapping) else {},
        promoted=_promoted(properties) if isinstance(properties, Mapping) else None,
    )


def _promoted(properties: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
    listed = properties.get("proxyWidgets")
    if not isinstance(listed, list):
        return None
    pairs = [each if isinstance(each, list) and len(each) > 1 else ["", ""] for each in listed]
    return tuple((str(pair[0]), str(pair[1])) for pair in pairs)


def _slots(value: object) -> tuple[EditorSlot, ...]:
    # An odd entry stays in its place, because links count the slots.
    return tuple(_slot(each if isinstance(each, Mapping) else {}) for each in _list(value))


def _slot(value: Mapping[str, Any]) -> EditorSlot:
    name, widget, kind = value.get("name"), value.get("widget"), value.get("type")
    below = widget.get("name") if isinstance(widget, Mapping) else None
    links = [_id(each) for each in _list(value.get("linkIds", value.get("links")))]
    return EditorSlot(
        name=_text(name),
        type=kind if isinstance(kind, str) and len(kind) <= MAX_TYPE_CHARS else ANY,
        link=_id(value.get("link")),
        widget=below if isinstance(below, str) else None,
        links=tuple(each for each in links if each is not None),
    )


def _links(value: object) -> Iterator[tuple[str, Link]]:
    for each in _list(value):
        match each:
            case [id, source, output, target, input, *_]:
                parts = id, source, output, target, input
            case {
                "id": id, "origin_id": source, "origin_slot": output,
                "target_id": target, "target_slot": input,
            }:  # fmt: skip
                parts = id, source, output, target, input
            case _:
                continue
        name, origin, end = _id(parts[0]), _id(parts[1]), _id(parts[3])
        places = isinstance(parts[2], int) and isinstance(parts[4], int)
        if name is not None and origin is not None and end is not None and places:
            yield name, Link(origin, parts[2], end, parts[4])


def _id(value: object) -> str | None:
    """Return an id as text, since editors write numbers and text; None if it is neither."""
    is_id = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value)[:200] if is_id else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    return [each for each in _list(value) if isinstance(each, Mapping)]


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()

"""Places where the values of linked inputs are written: links are followed to their literals."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeGuard

from comfyq.domain.graph.graph import Graph, Input, reference

VALUE = "value"  # of ComfyUI's own primitives
PRIMITIVE = "Primitive"  # classes whose only purpose is to hold a value begin so
SWITCH = "switch"  # input of ComfySwitchNode
BRANCHES: Mapping[bool, str] = {True: "on_true", False: "on_false"}
MAX_TEXTS = 20  # behind one input


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_plain(value: object) -> bool:
    return isinstance(value, int | float | str)


def value_place(graph: Graph, place: Input, accepts: Callable[[object], bool]) -> Input | None:
    """Find the input whose literal reaches ``place`` as it is.

    Followed are reroutes, switches and primitives of any name: nodes that have one value of the
    kind. None: a node computes the value, or it is of another kind.
    """
    for _ in range(len(graph) + 1):
        value = graph[place.node]["inputs"].get(place.name)
        source = reference(value)
        if source is None:
            return place if accepts(value) else None
        if source.node not in graph:
            return None
        name = _passed_on(graph, source.node, place.name, accepts)
        if name is None:
            return None
        place = Input(source.node, name)
    return None


def may_replace(graph: Graph, place: Input) -> bool:
    """Return whether a link may be replaced by a value: it brings the number of a primitive."""
    held = value_place(graph, place, is_number)
    if held is None:
        return False
    is_primitive = str(graph[held.node]["class_type"]).startswith(PRIMITIVE)
    return held == place or is_primitive or held.name == VALUE


def _passed_on(
    graph: Graph, node: str, wanted: str, accepts: Callable[[object], bool]
) -> str | None:
    """Return the input that a node gives on unchanged, if it looks like one that does."""
    branch = switched(graph, node)
    if branch is not None:
        return branch
    inputs = graph[node]["inputs"]
    literals: list[str] = [name for name, value in inputs.items() if accepts(value)]
    links: list[str] = [name for name, value in inputs.items() if reference(value) is not None]
    if len(links) == 1 and (len(inputs) == 1 or links[0] == VALUE):
        return links[0]
    if links:
        return None
    for name in (wanted, VALUE):
        if name in literals:
            return name
    return literals[0] if len(literals) == 1 else None


def switched(graph: Graph, node: str) -> str | None:
    """Return the branch that a switch has on; None if the node is none, or it is computed."""
    inputs = graph[node]["inputs"]
    on = _flag(graph, inputs.get(SWITCH)) if BRANCHES[True] in inputs else None
    branch = None if on is None else BRANCHES[on]
    return branch if branch in inputs else None


def _flag(graph: Graph, value: object) -> bool | None:
    """Follow a switch's input to its value, through nodes that have nothing else."""
    for _ in range(len(graph) + 1):
        source = reference(value)
        if source is None or source.node not in graph:
            break
        inputs = graph[source.node]["inputs"]
        value = next(iter(inputs.values())) if len(inputs) == 1 else None
    return value if isinstance(value, bool) else None


def text_places(
    graph: Graph, place: Input, holds_text: Callable[[str, str], bool]
) -> Iterator[Input]:
    """Yield the literals that an input's text is made of, in the order of its parts.

    ``holds_text`` says of a node and an input's name whether it is text, and no choice or pattern.
    """
    waiting, seen, count = [place], set[Input](), 0
    while waiting and count < MAX_TEXTS:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        value = graph[place.node]["inputs"].get(place.name)
        source = reference(value)
        if isinstance(value, str):
            count += 1
            yield place
        elif source is not None and source.node in graph:
            parts = _parts(graph, source.node, holds_text)
            waiting += [Input(source.node, name) for name in reversed(parts)]


def _parts(graph: Graph, node: str, holds_text: Callable[[str, str], bool]) -> list[str]:
    inputs = graph[node]["inputs"]
    branch = switched(graph, node)
    if branch is not None:
        return [branch]
    texts = [name for name, value in inputs.items() if isinstance(value, str)]
    links = [name for name, value in inputs.items() if reference(value) is not None]
    named = [name for name in [*texts, *links] if holds_text(node, name)]
    if named:
        return [name for name in inputs if name in named]
    only = texts or links
    return only if len(only) == 1 else []

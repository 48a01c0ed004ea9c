"""Texts that ComfyUI's own nodes make of nothing but literals, worked out before the graph runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfyq.domain.graph.graph import Graph, Ref, reference
from comfyq.domain.graph.value_places import BRANCHES, SWITCH, VALUE

SWITCH_CLASS, FLAG_CLASS = "ComfySwitchNode", "PrimitiveBoolean"
MAX_CHARS = 4_096  # of a text that is made: no path is longer
MAX_DEPTH = 50  # nodes behind each other
PARTS: Mapping[str, Sequence[str]] = {  # inputs whose texts a class makes its own of
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "CustomCombo": ("choice",),
    "StringConcatenate": ("string_a", "string_b"),
    "StringTrim": ("string",),
    "CaseConverter": ("string",),
}
CHANGERS = frozenset({"StringTrim", "CaseConverter"})
CHANGES: Mapping[tuple[str, str], Callable[[str], str]] = {  # by class and its `mode`
    ("StringTrim", "Both"): str.strip,
    ("StringTrim", "Left"): str.lstrip,
    ("StringTrim", "Right"): str.rstrip,
    ("CaseConverter", "UPPERCASE"): str.upper,
    ("CaseConverter", "lowercase"): str.lower,
    ("CaseConverter", "Capitalize"): str.capitalize,
    ("CaseConverter", "Title Case"): str.title,
}


class ConstantTexts:
    """Work out the texts of one graph; each node is worked out once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made: dict[str, str | None] = {}  # by node
        self._branches: dict[str, Any] = {}  # by node

    def of(self, value: Any, depth: int = 0) -> str | None:
        """Return the text of an input's value, through links; None if it is not known."""
        if isinstance(value, str | int | float):
            return str(value)
        source = reference(value)
        if source is None or source.output != 0 or depth > MAX_DEPTH:
            return None
        node = source.node
        if node not in self._made:
            self._made[node] = None  # what a circle leads to
            self._made[node] = self._text(node, depth + 1)
        return self._made[node]

    def source(self, source: Ref) -> Ref:
        """Return the output that a link leads to through switches whose side is known."""
        for _ in range(MAX_DEPTH):
            before = reference(self._branch(source.node))
            if before is None:
                break
            source = before
        return source

    def _text(self, node: str, depth: int) -> str | None:
        branch = self._branch(node)
        if branch is not None:
            return self.of(branch, depth)
        class_type, inputs = self._graph[node]["class_type"], self._graph[node]["inputs"]
        parts = [self.of(inputs.get(name), depth) for name in PARTS.get(class_type, ())]
        texts = [part for part in parts if part is not None]
        between = self.of(inputs.get("delimiter", ""), depth)
        if not texts or len(texts) < len(parts) or between is None:
            return None
        if sum(map(len, texts)) + len(between) > MAX_CHARS:
            return None
        if class_type not in CHANGERS:
            return between.join(texts)
        change = CHANGES.get((class_type, str(inputs.get("mode"))))
        return None if change is None else change(texts[0])

    def _branch(self, node: str) -> Any:
        """Return what the side of a switch gives that is on; None if it is none, or computed."""
        if node not in self._branches:
            body = self._graph[node]
            on = (
                self._flag(body["inputs"].get(SWITCH))
                if body["class_type"] == SWITCH_CLASS
                else None
            )
            self._branches[node] = None if on is None else body["inputs"].get(BRANCHES[on])
        return self._branches[node]

    def _flag(self, value: Any) -> bool | None:
        """Return a switch's side, through primitives alone: another node may turn it round."""
        for _ in range(MAX_DEPTH):
            source = reference(value)
            if source is None or self._graph[source.node]["class_type"] != FLAG_CLASS:
                break
            value = self._graph[source.node]["inputs"].get(VALUE)
        return value if isinstance(value, bool) else None

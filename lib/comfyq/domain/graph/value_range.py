"""Ranges of numbers, as a catalogue declares them for an input and for what its value feeds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from comfyq.domain.graph.dynamic_inputs import expanded
from comfyq.domain.graph.graph import Graph, Input
from comfyq.domain.graph.node_catalogue import InputSpec, NodeCatalogue
from comfyq.domain.graph.node_roles import fed_by
from comfyq.domain.graph.type_matching import ANY, MATCH, type_names
from comfyq.domain.graph.value_places import is_number, value_place

NUMBERS = frozenset({"INT", "FLOAT", "NUMBER", ANY, MATCH})  # types of outputs that give numbers


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The numbers from ``low`` to ``high``; None: no bound. ``step`` is the finest that fits."""

    low: float | None = None
    high: float | None = None
    step: float | None = None

    def within(self, other: "ValueRange") -> "ValueRange":
        """Return the numbers of both; the larger step, where one divides the other."""
        lows = [each for each in (self.low, other.low) if each is not None]
        highs = [each for each in (self.high, other.high) if each is not None]
        return ValueRange(
            max(lows, default=None), min(highs, default=None), _coarser(self.step, other.step)
        )


def spec_at(catalogue: NodeCatalogue, graph: Graph, place: Input) -> InputSpec | None:
    """Return what the catalogue says of an input of the graph, also of one that is dynamic."""
    body = graph[place.node]
    node_class = catalogue.classes.get(body["class_type"])
    if node_class is None:
        return None
    if place.name in node_class.inputs:
        return node_class.inputs[place.name]
    specs = expanded(node_class.inputs.values(), body["inputs"])
    return next((spec for spec in specs if spec.name == place.name), None)


@dataclass(frozen=True, slots=True)
class Ranges:
    """What an input and all that its value reaches unchanged allow."""

    declared: ValueRange = ValueRange()
    enforced: ValueRange = ValueRange()  # without inputs that a class validates by itself

    def within(self, other: "Ranges") -> "Ranges":
        return Ranges(self.declared.within(other.declared), self.enforced.within(other.enforced))


def ranges_at(catalogue: NodeCatalogue, graph: Graph, place: Input) -> Ranges:
    """Return the ranges of an input, together with those of the inputs that get its value."""
    ranges = Ranges()
    for each in (place, *_fed(catalogue, graph, place)):
        spec = spec_at(catalogue, graph, each)
        if spec is not None:
            declared = _declared(spec)
            ranges = ranges.within(Ranges(declared, ValueRange() if spec.is_free else declared))
    return ranges


def _fed(catalogue: NodeCatalogue, graph: Graph, place: Input) -> Iterator[Input]:
    """The inputs elsewhere that get this one's number, through reroutes too."""
    node_class = catalogue.classes.get(graph[place.node]["class_type"])
    given = {
        name for kind in (node_class.outputs if node_class else ()) for name in type_names(kind)
    }
    if given.isdisjoint(NUMBERS):
        return
    waiting, seen = [place.node], {place.node}
    while waiting:
        for fed in fed_by(graph, waiting.pop()):
            if value_place(graph, fed, is_number) == place:
                yield fed
                if fed.node not in seen:
                    seen.add(fed.node)
                    waiting.append(fed.node)


def _declared(spec: InputSpec) -> ValueRange:
    low, high, step = (_bound(spec.options.get(name)) for name in ("min", "max", "step"))
    return ValueRange(low, high, step)


def _bound(value: Any) -> float | None:
    return value if is_number(value) and math.isfinite(value) else None


def _coarser(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, int) and isinstance(other, int) and one > 0 and other > 0:
        return math.lcm(one, other)
    return max(one, other)

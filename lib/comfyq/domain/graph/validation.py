"""Validation of graphs against a catalogue, before a ComfyUI is asked.

It follows ComfyUI's ``execution.py`` (https://github.com/comfyanonymous/ComfyUI): every class must
exist, and every node upstream of an output must have valid inputs. Where ComfyUI runs the valid
outputs of a partly valid graph, we refuse it whole. What a catalogue does not decide passes: a
late refusal, by ComfyUI itself, is better than a false one. ComfyUI recurses; this does not, so no
graph is too deep.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from comfyq.domain.graph.dynamic_inputs import expanded
from comfyq.domain.graph.errors import At, GraphError
from comfyq.domain.graph.graph import Graph, NewGraph, Ref, copied, reference, set_input
from comfyq.domain.graph.graph import Input as Place
from comfyq.domain.graph.model_names import EXTENSIONS, existing_name, is_same_path
from comfyq.domain.graph.node_catalogue import InputSpec, NodeCatalogue, NodeClass
from comfyq.domain.graph.traversal import consumers_of, cycle_in, downstream, reached
from comfyq.domain.graph.type_matching import type_names, types_match
from comfyq.domain.suggestions import HINTED, SHORT_CHARS, closest

MAX_ERRORS = 50  # of one graph: more usually have one cause
MAX_COMPLETED = 50  # names that are searched for in lists, which may have thousands
SUGGESTED = 5
CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "INT": int,
    "FLOAT": float,
    "STRING": str,
    "BOOLEAN": bool,
}


@dataclass(frozen=True, slots=True)
class Validation:
    """The result of a validation; without errors, ``graph`` runs."""

    graph: NewGraph  # names of models completed to those that there are
    errors: Sequence[GraphError] = ()
    no_outputs: bool = False
    completed: Sequence[tuple[Place, str, str]] = ()  # (where, as written, as it is)
    dependents: Mapping[str, Sequence[str]] = field(default_factory=dict)  # outputs, by bad node
    awaited: frozenset[str] = frozenset()  # names that are not listed, and may come

    @property
    def valid(self) -> bool:
        return not self.errors and not self.no_outputs

    def node_errors(self) -> dict[str, Any]:
        """The errors by node, as ComfyUI answers them."""
        shown: dict[str, Any] = {}
        for error in self.errors:
            outputs = list(self.dependents.get(error.node, ()))
            entry = {"errors": [], "dependent_outputs": outputs, "class_type": error.class_type}
            shown.setdefault(error.node, entry)["errors"].append(error.shown())
        return shown


def validate(
    graph: Graph, catalogue: NodeCatalogue, *, may_come: Collection[str] = ()
) -> Validation:
    """Judge an API-format graph (``graph.faults`` finds none in it); it is not changed.

    ``may_come`` are names of models that are valid although the catalogue does not list them.
    """
    unknown = list(islice(_unknown_classes(graph, catalogue), MAX_ERRORS))
    if unknown:
        return Validation(copied(graph), unknown, dependents=_dependents(graph, catalogue, unknown))
    return _Inspection(copied(graph), catalogue, may_come).verdict()


def _dependents(
    graph: Graph, catalogue: NodeCatalogue, errors: Sequence[GraphError]
) -> Mapping[str, Sequence[str]]:
    """Return, for each bad node, the output nodes that cannot run because of it."""
    if not errors:
        return {}
    fed = consumers_of(graph)
    outputs = _outputs(graph, catalogue)
    dependents: dict[str, Sequence[str]] = {}
    for node in {error.node for error in errors}:
        below = downstream(fed, node)
        dependents[node] = [output for output in outputs if output in below]
    return dependents


def _outputs(graph: Graph, catalogue: NodeCatalogue) -> list[str]:
    classes = catalogue.classes
    return [
        node
        for node, body in graph.items()
        if body["class_type"] in classes and classes[body["class_type"]].is_output
    ]


def _unknown_classes(graph: Graph, catalogue: NodeCatalogue) -> Iterator[GraphError]:
    near: dict[str, Sequence[str]] = {}
    for node, body in graph.items():
        name = body["class_type"]
        if name not in catalogue.classes:
            if name not in near and len(near) < HINTED:
                near[name] = closest(name, catalogue.classes, most=SUGGESTED)
            yield At(node, name).unknown_class(near.get(name, ()))


class _Inspection:
    """One validation of a graph whose classes all exist; it completes model names in the graph."""

    def __init__(
        self, graph: NewGraph, catalogue: NodeCatalogue, may_come: Collection[str]
    ) -> None:
        self._searched = 0  # names
        self._graph = graph
        self._catalogue = catalogue
        self._completed: list[tuple[Place, str, str]] = []
        self._may_come = may_come
        self._awaited: set[str] = set()
        self._hinted = 0

    def verdict(self) -> Validation:
        outputs = _outputs(self._graph, self._catalogue)
        wanted = reached(self._graph, outputs)
        node_errors = (
            error for node in self._graph if node in wanted for error in self._node(node)
        )
        members = cycle_in(self._graph, wanted)
        cycles = (self._at(node).cycle(members) for node in members)
        errors = list(islice(chain(node_errors, cycles), MAX_ERRORS))
        return Validation(
            self._graph,
            errors,
            no_outputs=not outputs,
            completed=tuple(self._completed),
            dependents=_dependents(self._graph, self._catalogue, errors),
            awaited=frozenset(self._awaited),
        )

    def _at(self, node: str) -> At:
        return At(node, self._graph[node]["class_type"])

    def _class(self, node: str) -> NodeClass:
        return self._catalogue.classes[self._graph[node]["class_type"]]

    def _node(self, node: str) -> Iterator[GraphError]:
        at, inputs = self._at(node), self._graph[node]["inputs"]
        for spec in expanded(self._class(node).inputs.values(), inputs):
            if spec.name not in inputs:
                if spec.required:
                    yield at.missing(spec)
            elif isinstance(inputs[spec.name], list):
                yield from self._link(at, spec, inputs[spec.name])
            else:
                yield from self._value(at, spec, inputs[spec.name])

    def _link(self, at: At, spec: InputSpec, link: list[Any]) -> Iterator[GraphError]:
        source = reference(link)
        if source is None or source.node not in self._graph:
            yield at.bad_link(spec, link)
            return
        outputs = self._class(source.node).outputs
        if not 0 <= source.output < len(outputs):
            yield at.no_such_output(spec, link, len(outputs))
        elif not self._fits(at.node, spec, source):
            yield at.type_mismatch(spec, outputs[source.output], link)

    def _fits(self, node: str, spec: InputSpec, source: Ref) -> bool:
        """Compare types where both are known to be compared by their names.

        A type of a custom class may be equal to any other, as Python's ``str`` allows.
        """
        giver = self._class(source.node)
        received = giver.outputs[source.output]
        if types_match(received, spec.type) or not self._class(node).compares_types:
            return True
        lenient = not giver.is_core and isinstance(received, str)
        return lenient and self._catalogue.core_types.isdisjoint(type_names(received))

    def _value(self, at: At, spec: InputSpec, given: Any) -> Iterator[GraphError]:
        try:
            value = _converted(spec, given)
        except (TypeError, ValueError, OverflowError) as reason:
            yield at.not_convertible(spec, given, str(reason))
            return
        if spec.is_file and not isinstance(value, str):
            if self._class(at.node).is_core:
                yield at.not_convertible(spec, given, "it is the name of a file")
        elif spec.choices is not None:
            yield from self._choice(at, spec, value)
        elif isinstance(value, int | float) and not spec.is_free:
            yield from _range(at, spec, value)

    def _choice(self, at: At, spec: InputSpec, value: Any) -> Iterator[GraphError]:
        choices = spec.choices or ()
        several = spec.is_multiple and isinstance(value, list)
        if all(each in choices for each in (value if several else [value])):
            return
        names = [choice for choice in choices if isinstance(choice, str)]
        may_complete = isinstance(value, str) and self._searched < MAX_COMPLETED
        self._searched += may_complete
        meant = existing_name(value, names) if may_complete else None
        if spec.is_free and not (meant and meant.endswith(EXTENSIONS)):
            return
        if may_complete and value in self._may_come and not is_same_path(meant, value):
            self._awaited.add(value)  # another folder's file of this name is not the one that comes
        elif meant is None:
            yield at.not_in_list(spec, value, self._near(value, names))
        else:
            place = Place(at.node, spec.name)
            set_input(self._graph, place, meant)
            self._completed.append((place, value, meant))

    def _near(self, value: Any, names: Sequence[str]) -> Sequence[str]:
        self._hinted += 1
        if self._hinted > HINTED:
            return ()
        return closest(str(value)[:SHORT_CHARS], names, most=SUGGESTED)


def _range(at: At, spec: InputSpec, value: float) -> Iterator[GraphError]:
    low, high = spec.options.get("min"), spec.options.get("max")
    if isinstance(low, int | float) and value < low:
        yield at.too_small(spec, value)
    elif isinstance(high, int | float) and value > high:
        yield at.too_big(spec, value)


def _converted(spec: InputSpec, value: Any) -> Any:
    if isinstance(value, Mapping) and "__value__" in value:  # how a literal list is written
        value = value["__value__"]
    convert = CONVERSIONS.get(spec.type) if isinstance(spec.type, str) else None
    return convert(value) if convert else value

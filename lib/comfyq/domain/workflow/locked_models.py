"""Models that a workflow's lock has: which of them a graph needs, and which a worker may fetch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.model_names import is_same_path
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.models.lock import LockedModel


def models_named(locked: Iterable[LockedModel], graph: Graph) -> tuple[LockedModel, ...]:
    """Return the locked models that a graph names; of several that a workflow offers, a job needs
    those that its parameters chose."""
    models = tuple(locked)
    if not models:
        return ()
    values = [value for body in graph.values() for value in body["inputs"].values()]
    names = {text.replace("\\", "/") for text in _texts(values)}
    return tuple(model for model in models if model.file in names)


def models_to_come(
    locked: Sequence[LockedModel], catalogue: NodeCatalogue | None
) -> Sequence[LockedModel]:
    """Return the models that a graph may name though the catalogue does not list them."""
    return locked if catalogue is not None and catalogue.fetches else ()


def is_listed(model: LockedModel, graph: Graph, catalogue: NodeCatalogue) -> bool:
    """Return whether the list of an input has the file that a graph names there."""
    for body in graph.values():
        node_class = catalogue.classes.get(body["class_type"])
        specs = node_class.inputs if node_class else {}
        named = [name for name, value in body["inputs"].items() if _is_file(value, model)]
        choices = [each for name in named if name in specs for each in specs[name].choices or ()]
        if any(_is_file(each, model) for each in choices):
            return True
    return False


def _is_file(value: Any, model: LockedModel) -> bool:
    return isinstance(value, str) and is_same_path(value, model.file)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Yield the texts of inputs, also of those that are lists and objects, as some nodes have."""
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)

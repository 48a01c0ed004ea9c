"""Inputs of a graph that an import could not recognize."""

from collections.abc import Iterator
from itertools import islice

from comfyq.domain.graph.graph import Input
from comfyq.domain.graph.type_matching import type_names
from comfyq.domain.workflow.catalogued_graph import CataloguedGraph, last_part
from comfyq.domain.workflow.suggestion import NotBound, Suggestions
from comfyq.domain.workflow.text_suggestions import NO_TEXTS

MAX_LISTED = 30
TYPES = frozenset({"STRING", "INT", "FLOAT"})


def unbound_of(catalogued: CataloguedGraph, taken: Suggestions) -> Iterator[NotBound]:
    """List texts and numbers of catalogued nodes that no parameter sets, at most MAX_LISTED."""
    unbound = _unbound(catalogued, taken)
    for place in islice(unbound, MAX_LISTED):
        reason = f"its name is not known; bind {place.node}.{place.name} if jobs are to set it"
        yield NotBound(catalogued.described(place), reason)
    more = sum(1 for _ in unbound)
    if more:
        yield NotBound(f"{more} more inputs", "their names are not known either")


def _unbound(catalogued: CataloguedGraph, taken: Suggestions) -> Iterator[Input]:
    for place, value in catalogued.places():
        node_class, spec = catalogued.node_class(place.node), catalogued.spec(place)
        if node_class is None or node_class.is_output or spec is None:
            continue  # what saves has only the names of files, which clients do not choose
        is_value = isinstance(value, str | int | float) and not isinstance(value, bool)
        if NO_TEXTS.search(last_part(place.name).lower()) and isinstance(value, str):
            continue
        is_plain = spec.choices is None and not spec.is_file and TYPES & set(type_names(spec.type))
        if is_value and value != "" and is_plain and taken.owner(place) is None:
            yield place

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
    """List texts and numbers that no parameter sets, at most MAX_LISTED.

    Where a node's class is not known, the value alone tells a text from a choice or a file's name:
    it has a space.
    """
    unbound = _unbound(catalogued, taken)
    for place in islice(unbound, MAX_LISTED):
        reason = f"its name is not known; bind {place.node}.{place.name} if jobs are to set it"
        yield NotBound(catalogued.described(place), reason)
    more = sum(1 for _ in unbound)
    if more:
        yield NotBound(f"{more} more inputs", "their names are not known either")


def _unbound(catalogued: CataloguedGraph, taken: Suggestions) -> Iterator[Input]:
    for place, value in catalogued.places():
        if not isinstance(value, str | int | float) or isinstance(value, bool) or value == "":
            continue
        if NO_TEXTS.search(last_part(place.name).lower()) and isinstance(value, str):
            continue
        if _is_plain(catalogued, place, value) and taken.owner(place) is None:
            yield place


def _is_plain(catalogued: CataloguedGraph, place: Input, value: str | float) -> bool:
    node_class, spec = catalogued.node_class(place.node), catalogued.spec(place)
    if node_class is None:
        return not isinstance(value, str) or " " in value.strip()
    if node_class.is_output or spec is None:
        return False  # what saves has only the names of files, which clients do not choose
    return spec.choices is None and not spec.is_file and bool(TYPES & set(type_names(spec.type)))

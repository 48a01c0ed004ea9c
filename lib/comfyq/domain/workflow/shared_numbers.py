"""Numbers of a graph that are for two parameters, as one primitive for width and height is."""

from collections.abc import Iterator

from comfyq.domain.graph.graph import Input, reference
from comfyq.domain.graph.node_roles import fed_by
from comfyq.domain.graph.value_places import is_number, value_place
from comfyq.domain.workflow.catalogued_graph import CataloguedGraph, last_part
from comfyq.domain.workflow.known_inputs import known_input
from comfyq.domain.workflow.suggestion import NotBound, Suggestion, Suggestions
from comfyq.domain.workflow.value_suggestions import known_table


def followers_of(
    catalogued: CataloguedGraph, taken: Suggestions
) -> Iterator[Suggestion | NotBound]:
    """Suggest or name the other inputs that get such a number.

    One parameter has the number, and others have replaced its links: what is still linked follows
    the first. A ``target_height`` becomes one with the height.
    """
    links = {
        place: held
        for place, value in catalogued.places()
        if reference(value) is not None
        and (held := value_place(catalogued.graph, place, is_number)) is not None
        and taken.owner(held) is not None
    }
    shared = {held for place, held in links.items() if taken.owner(place) is not None}
    for place, held in links.items():
        if held not in shared or taken.owner(place) or _is_passed_on(catalogued, place, held):
            continue
        name, owner = last_part(place.name).lower(), taken.owner(held)
        known = known_input(name) or known_input(name.rpartition("_")[2])
        table = known_table(catalogued, known, place, place) if known else None
        if known is None or table is None:
            yield NotBound(catalogued.described(place), f"it follows {owner}, by its link")
        elif known.parameter != owner:
            yield Suggestion(known.parameter, table, catalogued.value(held), place)


def _is_passed_on(catalogued: CataloguedGraph, place: Input, held: Input) -> bool:
    """Return whether a node only passes on the number that stands at ``held``."""
    users = fed_by(catalogued.graph, place.node)
    return any(value_place(catalogued.graph, user, is_number) == held for user in users)

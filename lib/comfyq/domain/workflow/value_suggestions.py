"""Numbers, switches and choices of a graph, as an import suggests them."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from comfyq.domain.graph.graph import Input, reference
from comfyq.domain.graph.node_roles import fed_by
from comfyq.domain.graph.value_places import (
    PRIMITIVE,
    VALUE,
    is_number,
    is_plain,
    is_text,
    may_replace,
    value_place,
)
from comfyq.domain.workflow.catalogued_graph import CataloguedGraph, beside, last_part
from comfyq.domain.workflow.kinds import MAX_SEED
from comfyq.domain.workflow.known_inputs import Known, known_input
from comfyq.domain.workflow.suggestion import NotBound, Suggestion, Suggestions, Table

NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
MAX_USERS = 5  # of a number, that its help names
UNTITLED = frozenset({"", "int", "float", "string", "boolean", "integer", "value", "text"})
# classes of ComfyUI whose lists are those of the sources `samplers` and `schedulers`
SAMPLING = frozenset(
    {"KSampler", "KSamplerAdvanced", "KSamplerSelect", "BasicScheduler", "SamplerCustom"}
)


def values_of(catalogued: CataloguedGraph, taken: Suggestions) -> Iterator[Suggestion | NotBound]:
    """Suggest inputs of well-known names; their values may stand in nodes that feed them."""
    for place, value in catalogued.places():
        known = known_input(last_part(place.name).lower())
        names = catalogued.graph[place.node]["inputs"]
        if known is None or not all(beside(place.name, each) in names for each in known.beside):
            continue
        held = value_place(catalogued.graph, place, _accepts(known))
        if held is None or "." in held.node:
            if reference(value) is not None and not _is_object(catalogued, place, known):
                said = f"{catalogued.source(place)} computes it"
                yield NotBound(catalogued.described(place), said)
            continue
        owner = taken.owner(held)
        if owner not in (None, known.parameter):
            if not may_replace(catalogued.graph, place):
                yield NotBound(catalogued.described(place), f"it is the same value as {owner}")
                continue
            held = place  # one number for two parameters: this one replaces the link
        table = known_table(catalogued, known, place, held)
        if table is not None:
            yield Suggestion(
                known.parameter, table, catalogued.value(_literal(catalogued, held)), held
            )


def primitives_of(catalogued: CataloguedGraph, taken: Suggestions) -> Iterator[Suggestion]:
    """Suggest the values that an author set apart in nodes of their own."""
    for place, value in catalogued.places():
        is_primitive = catalogued.class_type(place.node).startswith(PRIMITIVE)
        if not is_primitive or place.name != VALUE or taken.owner(place) or not is_plain(value):
            continue
        users = list(fed_by(catalogued.graph, place.node))
        if users:
            name = _name(catalogued, place, users)
            title = catalogued.title(place.node) or name.replace("_", " ").capitalize()
            described = [
                f"{last_part(user.name)} of node {user.node}" for user in users[:MAX_USERS]
            ]
            explained = ", ".join(described) + ("." if len(users) <= MAX_USERS else ", …")
            table = _plain_table(catalogued, place, value)
            yield Suggestion(name, table | {"title": title, "help": explained}, value, place)


def _literal(catalogued: CataloguedGraph, held: Input) -> Input:
    """Return where the value of a place is written, which may be a link that is to be replaced."""
    return value_place(catalogued.graph, held, is_plain) or held


def _accepts(known: Known) -> Callable[[object], bool]:
    if known.kind == "enum":
        return is_text
    if known.kind == "number":
        return is_number
    return lambda value: isinstance(value, int) and not isinstance(value, bool)


def _is_object(catalogued: CataloguedGraph, place: Input, known: Known) -> bool:
    """Return whether the input takes something else than the value that its name promises."""
    spec = catalogued.spec(place)
    if spec is None or known.kind == "enum":
        return known.kind == "enum"
    return isinstance(spec.type, str) and not {"INT", "FLOAT"} & set(spec.type.split(","))


def known_table(
    catalogued: CataloguedGraph, known: Known, place: Input, held: Input
) -> Table | None:
    value = catalogued.value(_literal(catalogued, held))
    words = {"title": known.title, "help": known.help, "group": known.group}
    if known.kind == "enum":
        table = _choice(catalogued, known, place, value)
        return None if table is None else table | {"default": value} | words
    ranged: Table = {"kind": known.kind} | _range(catalogued, known, held, value)
    if known.kind != "seed":
        ranged["default"] = float(value) if known.kind == "number" else value
    return ranged | words


def _choice(catalogued: CataloguedGraph, known: Known, place: Input, value: str) -> Table | None:
    """Take the choices from the worker where they are the ones of a source, else from the input."""
    spec, catalogue = catalogued.spec(place), catalogued.catalogue
    if spec is None or catalogue is None:
        ours = known.source and (
            not known.is_sampling or catalogued.class_type(place.node) in SAMPLING
        )
        if ours:
            return {"kind": "enum", "source": known.source}
        return {"kind": "string", "max_length": 300, "min_length": 1}
    if not spec.choices or not all(isinstance(each, str) for each in spec.choices):
        return None
    if known.source and set(spec.choices) == set(catalogue.names(known.source)):
        return {"kind": "enum", "source": known.source}
    choices = [str(each) for each in spec.choices]
    return {"kind": "enum", "choices": choices if value in choices else [*choices, value]}


def _range(catalogued: CataloguedGraph, known: Known, place: Input, value: Any) -> Table:
    """Between what the catalogue allows, cut to what makes sense, always with the graph's own."""
    allowed = catalogued.range(place)
    if known.kind == "seed":
        least = {} if allowed.low is None or allowed.low <= 0 else {"min": int(allowed.low)}
        narrower = allowed.high is not None and allowed.high < MAX_SEED
        return least | ({"max": int(allowed.high or 0)} if narrower else {})
    if known.low is None or known.high is None:
        return {}
    low = max(known.low if allowed.low is None else allowed.low, known.low)
    high = min(known.high if allowed.high is None else allowed.high, known.high)
    number = float if known.kind == "number" else int
    table: Table = {"min": number(min(low, value)), "max": number(max(high, value))}
    step = allowed.step
    if known.kind == "size" and isinstance(step, int) and step > 1 and value % step == 0:
        table["multiple_of"] = step
    return table


def _name(catalogued: CataloguedGraph, place: Input, users: Sequence[Input]) -> str:
    """Name a primitive as its author did, else as the inputs that it feeds."""
    title = _slug(catalogued.title(place.node))
    is_named = title.replace("_", "") not in UNTITLED and not title.startswith("primitive")
    fed = list(dict.fromkeys(_slug(last_part(user.name)) for user in users))
    name = title if is_named else _slug("_and_".join(fed[:2]))
    return name if name[:1].isalpha() else f"value_{name}".rstrip("_")


def _slug(text: str) -> str:
    return NOT_IN_NAMES.sub("_", text.lower()).strip("_")[:40].rstrip("_")


def _plain_table(catalogued: CataloguedGraph, place: Input, value: bool | float | str) -> Table:
    group = {"group": "values"}
    if isinstance(value, bool):
        return {"kind": "boolean", "default": value} | group
    if isinstance(value, str):
        most = max(10_000, 2 * len(value))
        return {"kind": "string", "default": value, "max_length": most} | group
    allowed = catalogued.range(place)
    kind, number = ("integer", int) if isinstance(value, int) else ("number", float)
    bounds = {"min": allowed.low, "max": allowed.high}
    sane = {name: number(each) for name, each in bounds.items() if each is not None}
    if not sane.get("min", value) <= value <= sane.get("max", value):
        sane = {}
    return {"kind": kind, "default": number(value)} | sane | group

"""What an import suggests for a manifest, one place of the graph at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from math import lcm
from typing import Any

from comfyq.domain.graph.graph import Input
from comfyq.domain.workflow.parameters import RESERVED

Table = dict[str, Any]  # of a manifest

NAMED = 3  # inputs that the help of a parameter names
REPLACE_ME = "https://example.com/replace-me.png"
ANY_TEXT = "a lighthouse in a storm"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A parameter for one place; ``value`` is the graph's own, None where equal ones differ."""

    name: str
    table: Table
    value: Any
    place: Input


@dataclass(frozen=True, slots=True)
class NotBound:
    """An input that looks like a parameter and cannot be one; ``reason`` is for its author."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(slots=True)
class _Parameter:
    table: Table
    value: Any
    places: list[Input]


class Suggestions:
    """Parameters by name. Places of an equal value are one; another value gets a number."""

    def __init__(self) -> None:
        self._parameters: dict[str, _Parameter] = {}
        self._owners: dict[Input, str] = {}

    def add(self, suggestion: Suggestion) -> None:
        name = f"{suggestion.name}_value" if suggestion.name in RESERVED else suggestion.name
        if suggestion.place in self._owners:
            return
        for number in count(1):
            numbered = name if number == 1 else f"{name}_{number}"
            if numbered not in self._parameters:
                table, value = suggestion.table, suggestion.value
                self._parameters[numbered] = _Parameter(table, value, [suggestion.place])
                break
            earlier = self._parameters[numbered]
            same_kind = earlier.table["kind"] == suggestion.table["kind"]
            if same_kind and suggestion.value is not None and earlier.value == suggestion.value:
                earlier.table = _narrower(earlier.table, suggestion.table)
                earlier.places.append(suggestion.place)
                break
        self._owners[suggestion.place] = name

    def owner(self, place: Input) -> str | None:
        """Return the name for which a place is taken, without its number."""
        return self._owners.get(place)

    def names(self) -> frozenset[str]:
        return frozenset(self._parameters)

    def kinds(self) -> frozenset[str]:
        return frozenset(each.table["kind"] for each in self._parameters.values())

    def tables(self, described: Callable[[Input], str]) -> dict[str, Table]:
        """Return the tables by name; their help says which inputs they set, as ``described``."""
        return {name: _bound(each, described) for name, each in self._parameters.items()}

    def sample(self) -> dict[str, Any]:
        """Return the required values, as the graph has them, and a seed."""
        values: dict[str, Any] = {}
        for name, each in self._parameters.items():
            if each.table.get("required"):
                is_text = each.table["kind"] == "string"
                values[name] = each.value or (ANY_TEXT if is_text else REPLACE_ME)
            elif each.table["kind"] == "seed":
                values[name] = min(max(42, each.table.get("min", 0)), each.table.get("max", 42))
        return values


def _narrower(one: Table, other: Table) -> Table:
    """Intersect the ranges of two places that share a parameter."""
    both = dict(one)
    narrowest: Mapping[str, Any] = {"min": max, "max": min, "multiple_of": lcm}
    for key, narrow in narrowest.items():
        if key in other:
            both[key] = narrow(one[key], other[key]) if key in one else other[key]
    return both


def _bound(parameter: _Parameter, described: Callable[[Input], str]) -> Table:
    places = [".".join(place) for place in parameter.places]
    named = [described(place) for place in parameter.places[:NAMED]]
    more = len(places) - len(named)
    sets = ", ".join(named) + (f" and {more} more" if more else "")
    explained = f"{parameter.table['help']} Sets {sets}."
    bind = places[0] if len(places) == 1 else places
    return parameter.table | {"help": explained, "bind": bind}

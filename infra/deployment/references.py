"""References within a piece of a template."""

import re
from collections.abc import Iterator
from typing import Any

VARIABLE = re.compile(r"\$\{([^}!]+)\}")


def references(value: Any) -> Iterator[str]:
    """The names that a value refers to: resources, parameters and pseudo parameters."""
    match value:
        case {"Ref": name}:
            yield name
        case {"Fn::GetAtt": place}:
            yield (place[0] if isinstance(place, list) else place.split(".")[0])
        case {"Fn::Sub": argument}:
            yield from _named(argument)
        case dict():
            yield from references(list(value.values()))
        case list():
            for part in value:
                yield from references(part)
        case _:
            pass


def split_sub(argument: Any) -> tuple[str, dict[str, Any]]:
    """The text and the variables of a ``Fn::Sub``, which may have none of its own."""
    return (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])


def _named(argument: Any) -> Iterator[str]:
    pattern, variables = split_sub(argument)
    yield from references(variables)
    yield from (name.split(".")[0] for name in VARIABLE.findall(pattern) if name not in variables)

"""CloudFormation's functions, as text and as what they refer to."""

import json
import re
from collections.abc import Iterator
from typing import Any

VARIABLE = re.compile(r"\$\{([^}!]+)\}")


def text(value: Any) -> str:
    """A value as ``!Sub`` would write it: references as ``${Name}`` and ``${Name.Attribute}``.

    Of an ``!If`` it is the first branch.
    """
    match value:
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": place}:
            return f"${{{'.'.join(place) if isinstance(place, list) else place}}}"
        case {"Fn::Sub": argument}:
            return _filled(argument)
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(text, parts))
        case {"Fn::If": [_, first, _]}:
            return text(first)
        case dict() | list():
            return json.dumps(value, sort_keys=True)
        case _:
            return str(value)


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


def without_branch(value: Any, condition: str) -> Any:
    """The value as it is where ``condition`` does not hold."""
    match value:
        case {"Fn::If": [name, _, other]} if name == condition:
            return without_branch(other, condition)
        case dict():
            return {key: without_branch(part, condition) for key, part in value.items()}
        case list():
            return [without_branch(part, condition) for part in value]
        case _:
            return value


def _filled(argument: Any) -> str:
    pattern, variables = _split(argument)

    def fill(found: re.Match[str]) -> str:
        return text(variables[found[1]]) if found[1] in variables else found[0]

    return VARIABLE.sub(fill, pattern)


def _named(argument: Any) -> Iterator[str]:
    pattern, variables = _split(argument)
    yield from references(variables)
    yield from (name.split(".")[0] for name in VARIABLE.findall(pattern) if name not in variables)


def _split(argument: Any) -> tuple[str, dict[str, Any]]:
    return (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])

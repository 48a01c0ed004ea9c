"""CloudFormation's functions, as text and as what they refer to."""

import json
import re
from collections.abc import Mapping
from typing import Any

from infra.deployment.references import VARIABLE, references, split_sub

__all__ = ["container_variables", "references", "text", "without_branch"]


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


def container_variables(container: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of a task's container, with an ``!If`` of what is not always set."""
    return dict(map(_variable, container.get("Environment", [])))


def _variable(entry: Mapping[str, Any]) -> tuple[str, Any]:
    if "Fn::If" in entry:
        condition, present, absent = entry["Fn::If"]
        return present["Name"], {"Fn::If": [condition, present["Value"], absent]}
    return entry["Name"], entry["Value"]


def _filled(argument: Any) -> str:
    pattern, variables = split_sub(argument)

    def fill(found: re.Match[str]) -> str:
        return text(variables[found[1]]) if found[1] in variables else found[0]

    return VARIABLE.sub(fill, pattern)

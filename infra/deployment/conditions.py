"""A template whose conditions are decided, as they are where every parameter has its default.

Look-alikes stumble over what is there only under a condition; without conditions they need not.
"""

from collections.abc import Callable, Mapping
from typing import Any

from infra.deployment.omission import Content

NOTHING = {"Ref": "AWS::NoValue"}


def decided(template: Content) -> Content:
    """Without whatever its conditions do without, and with the branch of every ``Fn::If``."""
    holds = _judge(template)
    kept = {name: part for name, part in template.items() if name not in ("Conditions", "Rules")}
    for section in ("Resources", "Outputs"):
        parts = template.get(section, {})
        kept[section] = {
            name: _chosen({key: value for key, value in part.items() if key != "Condition"}, holds)
            for name, part in parts.items()
            if "Condition" not in part or holds(part["Condition"])
        }
    return kept


def _judge(template: Content) -> Callable[[str], bool]:
    defaults = {name: each.get("Default") for name, each in template.get("Parameters", {}).items()}
    conditions: Mapping[str, Any] = template.get("Conditions", {})

    def holds(name: str) -> bool:
        return _true(conditions[name], defaults, holds)

    return holds


def _true(condition: Any, defaults: Mapping[str, Any], holds: Callable[[str], bool]) -> bool:
    match condition:
        case {"Condition": str(name)}:
            return holds(name)
        case {"Fn::Not": [part]}:
            return not _true(part, defaults, holds)
        case {"Fn::And": parts}:
            return all(_true(part, defaults, holds) for part in parts)
        case {"Fn::Or": parts}:
            return any(_true(part, defaults, holds) for part in parts)
        case {"Fn::Equals": [one, other]}:
            return str(_value(one, defaults)) == str(_value(other, defaults))
        case _:
            raise ValueError(f"a condition of an unknown kind: {condition}")


def _value(value: Any, defaults: Mapping[str, Any]) -> Any:
    match value:
        case {"Ref": str(name)}:
            return defaults[name]
        case _:
            return value


def _chosen(value: Any, holds: Callable[[str], bool]) -> Any:
    match value:
        case {"Fn::If": [str(name), one, other]}:
            return _chosen(one if holds(name) else other, holds)
        case dict():
            chosen = {key: _chosen(part, holds) for key, part in value.items()}
            return {key: part for key, part in chosen.items() if part != NOTHING}
        case list():
            return [part for each in value if (part := _chosen(each, holds)) != NOTHING]
        case _:
            return value

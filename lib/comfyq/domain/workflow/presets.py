"""Values that a workflow knows by name: presets, and negative prompts. Explicit values win."""

from collections.abc import Mapping
from typing import Any, Protocol

from comfyq.domain.errors import FieldError
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.parameters import shown, type_name

PRESET = "preset"
NEGATIVE_PRESET = "negative_preset"
NEGATIVE_PROMPT = "negative_prompt"  # the parameter that a named negative prompt is for


class Choices(Protocol):
    """Presets that a workflow offers."""

    @property
    def presets(self) -> Mapping[str, Mapping[str, Any]]: ...

    @property
    def negative_prompts(self) -> Mapping[str, str]: ...


def chosen(offered: Choices, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """Return a request's values completed by those it chose by name, and errors of the choice."""
    given = dict(values)
    errors: list[FieldError] = []
    negatives = {
        name: {NEGATIVE_PROMPT: prompt} for name, prompt in offered.negative_prompts.items()
    }
    by_name: dict[str, Any] = {}
    for key, sets in ((PRESET, offered.presets), (NEGATIVE_PRESET, negatives)):
        name = given.pop(key, None)
        if isinstance(name, str) and name in sets:
            by_name |= sets[name]
        elif name is not None:
            errors.append(FieldError(key, _refusal(name, sets)))
    for name, value in given.items():
        if value is not None or name not in by_name:
            by_name[name] = value
    return by_name, errors


def choices_schema(offered: Choices) -> dict[str, Any]:
    """JSON Schema of the properties that choose by name."""
    choices = (
        (PRESET, "Preset", "Values that go well together; explicit ones win.", offered.presets),
        (NEGATIVE_PRESET, "Negative preset", "A negative prompt.", offered.negative_prompts),
    )
    return {
        key: {"type": "string", "title": title, "description": description, "enum": list(names)}
        for key, title, description, names in choices
        if names
    }


def _refusal(name: Any, sets: Mapping[str, Any]) -> str:
    if not isinstance(name, str):
        return f"must be a string, not {type_name(name)}"
    if not sets:
        return f"is {shown(name)}; this workflow has none"
    return f"cannot be {shown(name)}; {among(name, sets)}"

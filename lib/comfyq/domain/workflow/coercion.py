"""Conversion of a client's JSON value, for each kind of parameter.

A function returns the value to keep, which is JSON as well and coerces to itself, or raises
BadValue. None never comes: it means the default.
"""

import math
import re
from dataclasses import replace
from typing import Any

from comfyq.domain.files.inputs import FITS
from comfyq.domain.files.sources import normalized
from comfyq.domain.graph.loras import Lora, read_lora
from comfyq.domain.graph.model_names import existing_name, with_extension
from comfyq.domain.graph.node_catalogue import MODELS
from comfyq.domain.suggestions import HINTED, among, listed
from comfyq.domain.workflow.parameters import BadValue, Parameter, bad, shown, type_name

UNKEPT = re.compile("[\0\ud800-\udfff]")
DRAW = -1  # the seed that asks for any seed


def coerce_string(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str):
        raise bad(f"must be a string, not {type_name(value)}")
    low, high = parameter.min_length, parameter.max_length
    if len(value) < low:
        raise bad(f"has {len(value)} characters; the least is {low}")
    if len(value) > high:
        raise bad(f"has {len(value)} characters; the most is {high}")
    if UNKEPT.search(value):
        raise bad("has a NUL or half a surrogate pair; it must be valid Unicode text")
    return value


def coerce_integer(parameter: Parameter, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON does not tell 20.0 from 20
    if isinstance(value, bool) or not isinstance(value, int):
        given = shown(value) if isinstance(value, float) else _named(value)
        raise bad(f"must be an integer, not {given}")
    _check_range(parameter, value)
    step = parameter.multiple_of
    if step and value % step:
        raise bad(f"is {value}; it must be a multiple of {step}: {_multiples(parameter, value)}")
    return value


def coerce_number(parameter: Parameter, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad(f"must be a number, not {_named(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise bad("is too large for a number") from None
    if not math.isfinite(number):
        raise bad(f"is {number}; it must be a finite number")
    _check_range(parameter, number)
    return number


def coerce_boolean(parameter: Parameter, value: Any) -> bool:
    if not isinstance(value, bool):
        raise bad(f"must be true or false, not {_named(value)}")
    return value


def coerce_choice(parameter: Parameter, value: Any) -> str:
    choices = parameter.choices
    if choices is None:
        text = coerce_string(parameter, value)
        return with_extension(text) if parameter.source in MODELS else text
    if not isinstance(value, str):
        raise bad(f"must be a string, not {type_name(value)}; {listed(choices)}")
    meant = existing_name(value, choices) if parameter.source else value
    if meant not in choices:
        raise bad(f"cannot be {shown(value)}; {among(value, choices)}")
    return meant


def coerce_file(parameter: Parameter, value: Any) -> str | dict[str, str]:
    """A source, or a source with the way in which the picture is brought to size."""
    if isinstance(value, str):
        return coerce_string(parameter, normalized(value))
    if not isinstance(value, dict):
        given = type_name(value)
        raise bad(f'must be an asset id, URL or data URI, or {{"source": …}}, not {given}')
    unknown = value.keys() - {"source", "fit"}
    if unknown or not isinstance(value.get("source"), str):
        raise bad("must have `source`, a string, and at most `fit` beside it")
    source, fit = coerce_string(parameter, normalized(value["source"])), value.get("fit")
    if fit is None:
        return source
    if fit not in FITS:
        raise BadValue(("fit", f"cannot be {shown(fit)}; {listed(FITS)}"))
    return {"source": source, "fit": fit}


def coerce_seed(parameter: Parameter, value: Any) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == DRAW:
        return DRAW
    return coerce_integer(parameter, value)


def coerce_loras(parameter: Parameter, value: Any) -> list[str]:
    """The LoRAs in the form that has everything: extension and strength."""
    if not isinstance(value, list | tuple):
        raise bad(f'must be a list such as ["name:0.8"], not {type_name(value)}')
    if len(value) > parameter.max_items:
        raise bad(f"has {len(value)} entries; the most is {parameter.max_items}")
    loras: list[str] = []
    errors: list[tuple[str, str]] = []
    for position, entry in enumerate(value):
        try:
            loras.append(str(_lora(parameter, entry, hint=len(errors) < HINTED)))
        except BadValue as wrong:
            errors += [(str(position), message) for _, message in wrong.errors]
    if errors:
        raise BadValue(*errors)
    return loras


def _lora(parameter: Parameter, entry: Any, *, hint: bool) -> Lora:
    try:
        lora = read_lora(coerce_string(parameter, entry))
    except ValueError as wrong:
        raise bad(str(wrong)) from None
    for strength in lora.strengths:
        _check_range(parameter, strength)
    if parameter.choices is None:
        return lora.completed()
    name = existing_name(lora.name, parameter.choices)
    if name is None:
        known = f"; {among(lora.name, parameter.choices)}" if hint else ""
        raise bad(f"there is no LoRA {shown(lora.name)}{known}")
    return replace(lora, name=name)


def _named(value: Any) -> str:
    """Name a value of another type; the text of a string, which a table's cell mostly is."""
    kind = type_name(value)
    return f"{kind}, {shown(value)}" if isinstance(value, str) else kind


def _check_range(parameter: Parameter, value: float) -> None:
    low, high = parameter.minimum, parameter.maximum
    if low is not None and value < low:
        raise bad(f"is {shown(value)}; the least is {low}")
    if high is not None and value > high:
        raise bad(f"is {shown(value)}; the most is {high}")


def _multiples(parameter: Parameter, value: int) -> str:
    """The multiples around ``value`` that are in range."""
    step = parameter.multiple_of or 1
    below = value - value % step
    low, high = parameter.minimum, parameter.maximum
    near = [
        str(multiple)
        for multiple in (below, below + step)
        if (low is None or multiple >= low) and (high is None or multiple <= high)
    ]
    return " or ".join(near)

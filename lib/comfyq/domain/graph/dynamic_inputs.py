"""Inputs that depend on other inputs, expanded to the plain ones that a graph may give.

A dynamic combo has inputs for the option that is chosen, named ``combo.input``; an input that grows
has as many as its template allows, named ``input.name``. See ComfyUI's ``comfy_api/latest/_io.py``.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from comfyq.domain.graph.node_catalogue import InputSpec, input_specs
from comfyq.domain.graph.type_matching import MATCH

DYNAMIC = "COMFY_"  # types of the newer schema that are not a value's type begin so
COMBO = "COMFY_DYNAMICCOMBO_V3"
AUTOGROW = "COMFY_AUTOGROW_V3"
MAX_GROWN = 100  # inputs of one template, ComfyUI's own limit
MAX_DEPTH = 20  # of combos within combos


def expanded(specs: Iterable[InputSpec], given: Mapping[str, Any]) -> Iterator[InputSpec]:
    """Yield the plain inputs of a node that is given these values.

    Of dynamic types that are not known, and of a combo whose option is not known, nothing is
    yielded: ComfyUI decides.
    """
    yield from _expanded(specs, given, depth=0)


def _expanded(
    specs: Iterable[InputSpec], given: Mapping[str, Any], *, depth: int
) -> Iterator[InputSpec]:
    for spec in specs:
        if not is_dynamic(spec):
            yield spec
        elif depth < MAX_DEPTH:
            yield from _expanded(inputs_below(spec, given), given, depth=depth + 1)


def is_dynamic(spec: InputSpec) -> bool:
    """Return whether the input stands for others; one of a match type is an input itself."""
    kind = spec.type
    return isinstance(kind, str) and kind.startswith(DYNAMIC) and kind != MATCH


def inputs_below(spec: InputSpec, given: Mapping[str, Any]) -> Iterator[InputSpec]:
    """Yield the inputs that one of a dynamic type stands for, which may be dynamic themselves."""
    if spec.type == COMBO:
        chosen = given.get(spec.name)
        for option in _mappings(spec.options.get("options")):
            if option.get("key") == chosen:
                yield from _named(spec, input_specs(_mapping(option.get("inputs"))))
                return
    elif spec.type == AUTOGROW:
        yield from _named(spec, _grown(_mapping(spec.options.get("template"))))


def _grown(template: Mapping[str, Any]) -> Iterator[InputSpec]:
    pattern = next(iter(input_specs(_mapping(template.get("input")))), None)
    if pattern is None:
        return
    least = _count(template.get("min"))
    for position, name in enumerate(_names(template)):
        required = pattern.required and position < least
        yield replace(pattern, name=name, required=required)


def _names(template: Mapping[str, Any]) -> list[str]:
    named = template.get("names")
    if isinstance(named, list):
        return [str(name) for name in named[:MAX_GROWN]]
    most = min(_count(template.get("max")), MAX_GROWN)
    return [f"{template.get('prefix', '')}{number}" for number in range(most)]


def _named(parent: InputSpec, specs: Iterable[InputSpec]) -> Iterator[InputSpec]:
    for spec in specs:
        yield replace(spec, name=f"{parent.name}.{spec.name}", is_free=parent.is_free)


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []

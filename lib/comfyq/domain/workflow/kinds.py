"""The kinds of parameters, as a table: what each accepts, how JSON Schema says so, what it binds.

A new kind is a new row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from comfyq.domain.files.inputs import PLACEHOLDER
from comfyq.domain.graph.graph import NewGraph, insert_loras, set_input
from comfyq.domain.graph.loras import parse_lora
from comfyq.domain.workflow.coercion import (
    DRAW,
    coerce_boolean,
    coerce_choice,
    coerce_file,
    coerce_integer,
    coerce_loras,
    coerce_number,
    coerce_seed,
    coerce_string,
)
from comfyq.domain.workflow.json_schema import (
    Schema,
    boolean_schema,
    choice_schema,
    file_schema,
    integer_schema,
    loras_schema,
    number_schema,
    seed_schema,
    string_schema,
)
from comfyq.domain.workflow.parameters import Parameter

MAX_SEED = 2**64 - 1  # of ComfyUI's noise nodes
MAX_STRENGTH = 100.0  # of ComfyUI's LoRA loaders, either way

MAX_SOURCE_CHARS = 6 * 1024 * 1024  # a data URI; a request is not larger
RANGE = frozenset({"min", "max"})
LENGTHS = frozenset({"min_length", "max_length"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The behaviour of one kind of parameter."""

    coerce: Callable[[Parameter, Any], Any]
    schema: Callable[[Parameter], Schema]
    bind: Callable[[Parameter, Any, NewGraph], None]
    options: frozenset[str] = frozenset()  # keys of the manifest beside those of every kind
    needs: frozenset[str] = frozenset()  # those of them that must be there
    needs_one_of: frozenset[str] = frozenset()
    fills: Mapping[str, Any] = field(default_factory=dict)  # fields that the manifest leaves out
    bound: bool = True  # it needs a binding
    effective: bool = True  # it changes what is run
    is_file: bool = False  # its value stands for a file, which the worker has to fetch


def bind_inputs(parameter: Parameter, value: Any, graph: NewGraph) -> None:
    for target in parameter.bindings:
        set_input(graph, target, value)


def bind_loras(parameter: Parameter, value: Any, graph: NewGraph) -> None:
    assert parameter.model is not None, "the loader sees to it"
    loras = [parse_lora(entry) for entry in value]
    insert_loras(graph, loras, model=parameter.model, clip=parameter.clip)


def bind_placeholder(parameter: Parameter, value: Any, graph: NewGraph) -> None:
    """Bind a placeholder, which the worker replaces by the file's name in ComfyUI."""
    for target in parameter.bindings:
        set_input(graph, target, f"{PLACEHOLDER}{parameter.name}")


def bind_nothing(parameter: Parameter, value: Any, graph: NewGraph) -> None:
    """Bind nothing: the value is accepted without effect."""


_INTEGER = Kind(
    coerce=coerce_integer,
    schema=integer_schema,
    bind=bind_inputs,
    options=RANGE | {"multiple_of"},
)

_FILE = Kind(
    coerce=coerce_file,
    schema=file_schema,
    bind=bind_placeholder,
    fills={"min_length": 1, "max_length": MAX_SOURCE_CHARS},
    is_file=True,
)
_PICTURE = replace(_FILE, options=frozenset({"fit", "size_from"}))

KINDS: Mapping[str, Kind] = {
    "string": Kind(coerce=coerce_string, schema=string_schema, bind=bind_inputs, options=LENGTHS),
    "integer": _INTEGER,
    "size": replace(_INTEGER, needs=RANGE, fills={"unit": "px"}),
    "number": Kind(coerce=coerce_number, schema=number_schema, bind=bind_inputs, options=RANGE),
    "boolean": Kind(coerce=coerce_boolean, schema=boolean_schema, bind=bind_inputs),
    "enum": Kind(
        coerce=coerce_choice,
        schema=choice_schema,
        bind=bind_inputs,
        options=frozenset({"choices", "source"}),
        needs_one_of=frozenset({"choices", "source"}),
        fills={"min_length": 1, "max_length": 300},
    ),
    "seed": Kind(
        coerce=coerce_seed,
        schema=seed_schema,
        bind=bind_inputs,
        options=RANGE,
        fills={"default": DRAW, "minimum": 0, "maximum": MAX_SEED},
    ),
    "loras": Kind(
        coerce=coerce_loras,
        schema=loras_schema,
        bind=bind_loras,
        options=RANGE | {"max_items", "model", "clip"},
        needs=frozenset({"model"}),
        fills={
            "default": [],
            "minimum": -MAX_STRENGTH,
            "maximum": MAX_STRENGTH,
            "min_length": 1,
            "max_length": 300,
            "source": "loras",
        },
        bound=False,
    ),
    "image": _PICTURE,
    "mask": _PICTURE,
    "video": _FILE,
    "audio": _FILE,
    "model_3d": _FILE,
    "ignored": Kind(
        coerce=coerce_string,
        schema=string_schema,
        bind=bind_nothing,
        options=LENGTHS | {"reason"},
        needs=frozenset({"reason"}),
        fills={"default": ""},
        bound=False,
        effective=False,
    ),
}

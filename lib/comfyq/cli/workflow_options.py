"""A workflow's parameters as options of a command, and what was given as values of a request."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any

import typer
from rich.markup import escape

FILES = frozenset({"image", "mask", "video", "audio", "model_3d"})
PICTURES = frozenset({"image", "mask"})
LORAS = "loras"
TYPES: Mapping[str, type] = {"integer": int, "number": float, "boolean": bool, "array": list[str]}
LISTED = 12  # choices that the help shows
LONGEST_DEFAULT = 40  # characters of one that it shows
FITS = "none, center, cover, contain"

Schema = Mapping[str, Any]
SourceOf = Callable[[str], str]
"""What was given for a file -> what a request says."""


@dataclass(frozen=True, slots=True)
class WorkflowOption:
    """One option; ``name`` is that of its argument to the command's function."""

    name: str
    parameter: str  # of the workflow
    schema: Schema
    flag: str
    fits: bool = False  # it says how the picture of its parameter is fitted

    @property
    def signature(self) -> Parameter:
        """As Typer reads it from a function."""
        option = typer.Option(
            f"{self.flag}/--no-{self.flag[2:]}" if self._type is bool else self.flag,
            help=FITS if self.fits else escape(_help(self.schema)),
            metavar="FILE|SOURCE" if self.is_file else None,
            show_default=False if self.fits else _default(self.schema),
            rich_help_panel=escape(self.schema.get("x-group", "choices").capitalize()),
        )
        kind = Annotated[self._type | None, option]  # type: ignore[name-defined]
        return Parameter(self.name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)

    @property
    def is_file(self) -> bool:
        return self.schema.get("x-kind") in FILES and not self.fits

    @property
    def _type(self) -> Any:
        return str if self.fits else TYPES.get(self.schema.get("type", ""), str)


def options_of(properties: Mapping[str, Schema], taken: Iterable[str]) -> Iterator[WorkflowOption]:
    """``properties`` are of the JSON Schema of a workflow's values, ``taken`` flags that the
    command has for itself."""
    own = frozenset(taken)
    for number, (parameter, schema) in enumerate(properties.items()):
        flag = _flag(parameter, schema)
        flag = f"--parameter-{flag[2:]}" if flag in own else flag
        yield WorkflowOption(f"value_{number}", parameter, schema, flag)
        if schema.get("x-kind") in PICTURES:
            yield WorkflowOption(f"fit_{number}", parameter, schema, f"{flag}-fit", fits=True)


def values_of(
    options: Iterable[WorkflowOption], given: Mapping[str, Any], source_of: SourceOf
) -> dict[str, Any]:
    """The values of a request; what was not given is left out."""
    values: dict[str, Any] = {}
    for option in options:
        value = given.get(option.name)
        if value is None or value == []:
            continue
        if option.fits:
            values[option.parameter] = {"source": values.get(option.parameter), "fit": value}
        else:
            values[option.parameter] = source_of(value) if option.is_file else value
    return values


def _flag(parameter: str, schema: Schema) -> str:
    """Each `--lora` gives one."""
    name = parameter.replace("loras", "lora") if schema.get("x-kind") == LORAS else parameter
    return f"--{name.replace('_', '-')}"


def _help(schema: Schema) -> str:
    description = schema.get("description") or schema.get("title") or ""
    return " ".join(part for part in (description, _range(schema), _choices(schema)) if part)


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema.get("x-kind") == "seed" or low is None or high is None:
        return ""
    unit = f" {schema['x-unit']}" if "x-unit" in schema else ""
    step = f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else ""
    return f"{low:g} to {high:g}{unit}{step}."


def _choices(schema: Schema) -> str:
    names = [str(name) for name in schema.get("enum", schema.get("examples", ()))]
    if not names:
        return ""
    more = " …" if len(names) > LISTED or "examples" in schema else ""
    return f"One of: {', '.join(names[:LISTED])}{more}"


def _default(schema: Schema) -> str | bool:
    default = schema.get("default")
    if default in (None, "", []):
        return False
    shown = str(default)
    return shown if len(shown) <= LONGEST_DEFAULT else f"{shown[:LONGEST_DEFAULT]}…"

"""Every setting with its description: what the reference in the documentation is made from."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from comfyq.config.groups import PROJECT, Settings
from comfyq.config.variable import VariablePlace, places_of, written

GENERAL = "general"  # the group of what stands in no group


@dataclass(frozen=True, slots=True)
class Setting:
    name: str  # of the environment variable
    type: str  # str, int, float, bool, Path, SecretStr or the name of an enumeration
    default: str  # as one writes it in the environment; "" where there is none
    description: str
    group: str


def reference() -> Iterator[Setting]:
    """Every setting, in the order of the code."""
    for place in places_of(Settings):
        yield Setting(
            name=place.variable,
            type=_type(place.type),
            default=_default(place),
            description=_descriptions(place.owner).get(place.path[-1], ""),
            group=place.path[0] if len(place.path) > 1 else GENERAL,
        )


def _type(kind: Any) -> str:
    """The one type beside None, without its annotations."""
    if hasattr(kind, "__metadata__"):
        return _type(kind.__origin__)
    if get_origin(kind) is UnionType:
        [kind] = [each for each in get_args(kind) if each is not NoneType]
    return str(kind.__name__)


def _default(place: VariablePlace) -> str:
    [default] = [each.default for each in fields(place.owner) if each.name == place.path[-1]]
    assert default is not MISSING, f"{place.variable} has no default"
    if isinstance(default, Path) and default.is_relative_to(PROJECT):
        return str(default.relative_to(PROJECT))
    return "" if default is None else written(default)


@cache
def _descriptions(owner: type) -> Mapping[str, str]:
    """By field, the text below it."""
    [definition] = ast.parse(dedent(inspect.getsource(owner))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        name: " ".join(text.split())
        for statement, below in pairwise(definition.body)
        if (name := _field(statement)) and (text := _text(below))
    }


def _field(statement: ast.stmt) -> str | None:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case _:
            return None


def _text(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
        case _:
            return None

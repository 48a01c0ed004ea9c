"""The environment variable of each setting."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from pydantic import SecretStr

OURS = "COMFYQ_"


@dataclass(frozen=True, slots=True)
class Variable:
    """Annotates a field that is read from a variable of another name."""

    name: str


@dataclass(frozen=True, slots=True)
class VariablePlace:
    """A setting's field and the variable that it is read from."""

    owner: type
    path: tuple[str, ...]  # from the root of the settings
    type: Any
    variable: str


def places_of(owner: type, path: tuple[str, ...] = ()) -> Iterator[VariablePlace]:
    """Every setting of a group and of the groups in it, in the order of the code."""
    types = get_type_hints(owner, include_extras=True)
    for each in fields(owner):
        if not each.metadata.get("settable", True):
            continue
        kind, here = types[each.name], (*path, each.name)
        if is_dataclass(kind):
            assert isinstance(kind, type), "annotations name classes"
            yield from places_of(kind, here)
        else:
            yield VariablePlace(owner, here, kind, _variable(owner, each.name, kind))


def _variable(owner: type, name: str, kind: Any) -> str:
    for extra in getattr(kind, "__metadata__", ()):
        if isinstance(extra, Variable):
            return extra.name
    prefix: str = getattr(owner, "PREFIX", OURS)
    return f"{prefix}{name}".upper()


def written(value: Any) -> str:
    """A value as one writes it in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

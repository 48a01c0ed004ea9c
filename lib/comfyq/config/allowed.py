"""Allowed values of a setting, in words."""

import re
from collections.abc import Iterator
from enum import StrEnum
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

CHOICES = re.compile(r"(?:\(\?i\))?\^\(([\w|]+)\)\$")  # a pattern that lists words
NUMBERS = {int: "a whole number", float: "a number"}


def allowed_values(kind: Any) -> str | None:
    """Describe the values that a setting's annotated type takes; None if that says too little."""
    bare = _bare(kind)
    if bare is bool:
        return "true or false"
    if bare in NUMBERS:
        return f"{NUMBERS[bare]}{_range(kind)}"
    if get_origin(bare) is Literal:
        return f"one of {', '.join(map(str, get_args(bare)))}"
    if isinstance(bare, type) and issubclass(bare, StrEnum):
        return f"one of {', '.join(bare)}"
    for constraint in _constraints(kind):
        if words := CHOICES.fullmatch(str(getattr(constraint, "pattern", None))):
            return f"one of {words[1].replace('|', ', ')}"
    return None


def _bare(kind: Any) -> Any:
    """Return a type without what annotates it and without its None."""
    kind = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
    kinds = [each for each in get_args(kind) if each is not NoneType]
    is_optional = len(get_args(kind)) == 2 and len(kinds) == 1 and get_origin(kind) is not dict
    return _bare(kinds[0]) if is_optional else kind


def _constraints(kind: Any) -> Iterator[Any]:
    for extra in getattr(kind, "__metadata__", ()):
        if isinstance(extra, FieldInfo):
            yield from extra.metadata
        else:
            yield extra


def _range(kind: Any) -> str:
    at_least, at_most = _bound(kind, "ge"), _bound(kind, "le")
    if at_least is not None and at_most is not None:
        return f" from {at_least} to {at_most}"
    bounds = {"of at least": at_least, "over": _bound(kind, "gt"), "of at most": at_most}
    parts = [f"{words} {bound}" for words, bound in bounds.items() if bound is not None]
    return f" {' and '.join(parts)}" if parts else ""


def _bound(kind: Any, name: str) -> Any:
    bounds = (getattr(constraint, name, None) for constraint in _constraints(kind))
    return next((bound for bound in bounds if bound is not None), None)

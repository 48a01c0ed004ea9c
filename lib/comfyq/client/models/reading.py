"""Reading JSON into dataclasses, so that a newer server breaks no older client.

A field that the client does not know stays in ``raw``; one that the server does not send has its
default; a value of another kind than was expected is passed on as it came.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

ModelT = TypeVar("ModelT", bound="Model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Is the ancestor of everything that the server tells."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)  # as it came

    @classmethod
    def read(cls: type[ModelT], data: Mapping[str, Any]) -> ModelT:
        """Return what the server has told; null is as good as nothing."""
        known = {
            name: _value(kind, data[name])
            for name, kind in _kinds(cast("Any", cls)).items()
            if data.get(name) is not None
        }
        return cls(**known, raw=data)


@cache
def _kinds(model: Any) -> Mapping[str, Any]:
    hints = get_type_hints(model)
    return {each.name: hints[each.name] for each in fields(model) if each.name != "raw"}


def _value(kind: Any, value: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not types.NoneType)
    if kind is datetime and isinstance(value, str):
        return _time(value)
    if is_dataclass(kind) and isinstance(kind, type) and issubclass(kind, Model):
        return kind.read(value) if isinstance(value, Mapping) else value
    if get_origin(kind) is Sequence and isinstance(value, list):
        [item] = get_args(kind)
        return tuple(_value(item, each) for each in value)
    return value


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None

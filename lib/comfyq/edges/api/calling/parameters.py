"""Arguments of functions from a request's path, query and headers.

FastAPI looks for each request anew at what a parameter may be: a list, a model, JSON. Most are one
text or number, of which that is known when the route is made.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from pydantic.fields import FieldInfo

REQUIRED = object()  # in the place of a default
SCALARS = (str, int, float, bool, NoneType)
NOTHING: Mapping[str, Any] = {}

Wrong = list[Any]  # pydantic's errors


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that a function takes from one part of a request."""

    received: Callable[[Request], Mapping[str, Any]]
    scalars: "Sequence[Scalar]"
    others: Sequence[Any]  # fields that FastAPI reads

    def read(self, request: Request, values: dict[str, Any], wrong: Wrong) -> None:
        """Add to ``values`` what is valid, and to ``wrong`` what is not."""
        received = self.received(request)
        for scalar in self.scalars:
            scalar.read(received, values, wrong)
        if self.others:
            _read(self.others, received, values, wrong)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A parameter that is one text or number."""

    field: Any
    alias: str
    place: tuple[str, str]
    default: Any  # or REQUIRED

    def read(self, received: Mapping[str, Any], values: dict[str, Any], wrong: Wrong) -> None:
        text = received.get(self.alias)
        if text is not None:
            value, errors = self.field.validate(text, loc=self.place)
            if errors:
                wrong += errors
            else:
                values[self.field.name] = value
        elif self.default is not REQUIRED:
            values[self.field.name] = self.default
        else:
            _read([self.field], received, values, wrong)


def parameters_of(dependant: Dependant) -> Sequence[Parameters]:
    """Return what a function takes, by the parts of a request that it takes something of."""
    parts = [
        (_path, dependant.path_params),
        (_query, dependant.query_params),
        (_headers, dependant.header_params),
        (_cookies, dependant.cookie_params),
    ]
    return [_parameters(received, fields) for received, fields in parts if fields]


def _parameters(
    received: Callable[[Request], Mapping[str, Any]], fields: Sequence[Any]
) -> Parameters:
    scalars = {field.name: scalar for field in fields for scalar in _scalar(field)}
    others = [field for field in fields if field.name not in scalars]
    return Parameters(received, list(scalars.values()), others)


def _scalar(field: Any) -> Iterator[Scalar]:
    """Yield a field that is one text or number, with a default that need not be made anew."""
    info = field.field_info
    has_name = isinstance(info.validation_alias, str | None) and not field.config
    if has_name and _is_scalar(info.annotation) and _is_plain(info):
        alias = field.validation_alias or field.alias
        default = REQUIRED if info.is_required() else info.default
        yield Scalar(field, alias, (info.in_.value, alias), default)


def _is_scalar(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        return all(map(_is_scalar, get_args(annotation)))
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return getattr(annotation, "__supertype__", annotation) in SCALARS  # that of a NewType


def _is_plain(info: FieldInfo) -> bool:
    is_as_is = info.default_factory is None and not info.validate_default
    return info.is_required() or (is_as_is and isinstance(info.default, SCALARS))


def _read(
    fields: Sequence[Any], received: Mapping[str, Any], values: dict[str, Any], wrong: Wrong
) -> None:
    read, errors = request_params_to_args(fields, received)
    values.update(read)
    wrong += errors


def _path(request: Request) -> Mapping[str, Any]:
    parameters: Mapping[str, Any] = request.scope["path_params"]
    return parameters


def _query(request: Request) -> Mapping[str, Any]:
    return request.query_params if request.scope["query_string"] else NOTHING


def _headers(request: Request) -> Mapping[str, Any]:
    return request.headers


def _cookies(request: Request) -> Mapping[str, Any]:
    return request.cookies

"""Settings from environment variables, and back."""

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from comfyq.config.allowed import allowed_values
from comfyq.config.groups import Settings
from comfyq.config.variable import OURS, VariablePlace, places_of, written
from comfyq.domain.suggestions import nearest
from comfyq.services.worker.timing import Range

PRIVATE = ("COMFYQ_", "AWS_", "ECS_", "MINIO_")  # prefixes of what only comfyq may read

PYDANTICS = re.compile("^[A-Z][a-z]+ should ")

OF_COMMANDS = {
    "COMFYQ_URL",
    "COMFYQ_API_KEY",
    "COMFYQ_PROFILE",
}  # variables that the command line reads


class InvalidSettings(Exception):
    """One or more variables are wrong; the message has a line for each."""


def read_settings(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Read every setting from ``environment``, by default the process's own.

    ``given`` replaces variables, by name, unless it is None: options of a command line.

    Raises:
        InvalidSettings: a value is not of the setting's type or out of its range, or contradicts
            another.
    """
    variables = dict(os.environ if environment is None else environment)  # noqa: TID251
    folded: dict[str, Any] = {name.upper(): value for name, value in variables.items()}
    folded |= variables | {name: value for name, value in given.items() if value is not None}
    values: dict[str, Any] = {}
    for place in _places():
        if place.variable in folded:
            *groups, name = place.path
            inner = values
            for group in groups:
                inner = inner.setdefault(group, {})
            inner[name] = folded[place.variable]
    settings = _validated(values)
    if faults := list(_out_of_range(settings)) or list(_contradictions(settings)):
        raise InvalidSettings("\n".join(faults))
    return settings


def foreign_environment() -> dict[str, str]:
    """Return the process's environment for a program that is not ours, such as ComfyUI: without
    our settings and without credentials of the cloud."""
    variables = os.environ.items()  # noqa: TID251
    return {name: value for name, value in variables if not name.startswith(PRIVATE)}


def unknown_settings(environment: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Return the variables that begin as our settings do and are none, each with the setting that
    may be meant; None if none is like it."""
    variables = os.environ if environment is None else environment  # noqa: TID251
    known = {place.variable for place in _places()} | OF_COMMANDS
    names = {each.removeprefix(OURS) for each in known if each.startswith(OURS)}
    unknown: dict[str, str | None] = {}
    for variable in sorted(variables):
        prefix, name = variable[: len(OURS)].upper(), variable[len(OURS) :].upper()
        if prefix == OURS and name not in names:
            meant = nearest(name, names)
            unknown[variable] = None if meant is None else f"{OURS}{meant}"
    return unknown


def variables_of(group: Any) -> dict[str, str]:
    """The variables with which another process reads the same group; unset ones are left out."""
    values = {place.variable: _value(group, place.path) for place in places_of(type(group))}
    return {name: written(value) for name, value in values.items() if value is not None}


def resources_of(settings: Settings) -> dict[str, str]:
    """The variables that lead another process to the same table, queues and bucket."""
    return variables_of(settings.endpoints) | variables_of(settings.aws)


@cache
def _places() -> Sequence[VariablePlace]:
    return tuple(places_of(Settings))


def _validated(values: Mapping[str, Any]) -> Settings:
    """Return the settings with these values of groups and of single settings; what checks a group
    is made only if a value of it is given."""
    given: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in values.items():
        try:
            given[name] = _validator(name).validate_python(value)
        except ValidationError as invalid:
            faults += _faults(name, invalid)
    if faults:
        raise InvalidSettings("\n".join(faults))
    return Settings(**given)


@cache
def _validator(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(get_type_hints(Settings, include_extras=True)[name])


def _faults(name: str, invalid: ValidationError) -> Iterator[str]:
    """Yield a line for each wrong setting; no value is repeated, as it may be a secret."""
    places = {place.path: place for place in _places()}
    for fault in invalid.errors(include_input=False, include_url=False):
        path = (name, *map(str, fault["loc"]))
        place = places.get(path)
        variable = ".".join(path) if place is None else place.variable
        yield f"{variable}: {_fault(fault, None if place is None else place.type)}"


def _fault(fault: Mapping[str, Any], kind: Any) -> str:
    if fault["type"] == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")  # pydantic's, before our own words
    if (allowed := allowed_values(kind)) is not None:
        return f"the value is not {allowed}"
    return PYDANTICS.sub("the value must ", fault["msg"])


def _out_of_range(settings: Settings) -> Iterator[str]:
    """Yield a line for each number that is endless or outside the range that a service names."""
    for place in _places():
        value = _value(settings, place.path)
        ranges = [
            each for each in getattr(place.type, "__metadata__", ()) if isinstance(each, Range)
        ]
        if isinstance(value, float) and not (
            math.isfinite(value) and all(each.has(value) for each in ranges)
        ):
            yield f"{place.variable}: the value is not {allowed_values(place.type)}"


def _contradictions(settings: Settings) -> Iterator[str]:
    """Yield a line for each pair of settings that cannot both be meant."""
    timing = settings.timing
    if timing.renew_s >= timing.lease_s:
        yield (
            f"COMFYQ_RENEW_S: leases would be renewed every {timing.renew_s:g} s, and lapse after "
            f"{timing.lease_s:g} s (COMFYQ_LEASE_S): every job would be lost; renew three times as "
            "often as that"
        )


def _value(owner: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        owner = getattr(owner, name)
    return owner

"""Typed reading of a manifest's tables, with errors that name the key's path."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from comfyq.domain.suggestions import among

T = TypeVar("T")


class Broken(Exception):
    """A manifest, graph or sample that cannot be used; ``path`` is the key at fault."""

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Section:
    """One table of a manifest. Every method raises Broken for what an author got wrong."""

    values: Mapping[str, Any]
    path: tuple[str, ...] = ()

    def broken(self, key: str, message: str) -> Broken:
        return Broken((*self.path, key), message)

    def only(self, keys: Iterable[str]) -> None:
        """Refuse unknown keys, because a misspelt key would have no effect."""
        for key in self.values:
            if key not in keys:
                raise self.broken(key, f"there is no such key; {among(key, sorted(keys))}")

    def needs(self, keys: Iterable[str]) -> None:
        for key in sorted(keys):
            if key not in self.values:
                raise self.broken(key, "is missing")

    def read(self, key: str, reader: Callable[[Any], T], default: T) -> T:
        """The value of ``key`` as ``reader`` makes it, whose ValueError says what is wrong."""
        if key not in self.values:
            return default
        try:
            return reader(self.values[key])
        except ValueError as wrong:
            raise self.broken(key, str(wrong)) from None

    def text(self, key: str, default: str = "") -> str:
        return self.read(key, text, default)

    def tables(self, key: str) -> Iterator[tuple[str, "Section"]]:
        """The tables below ``key`` by name; of an array of tables by position."""
        below = self.values.get(key, {})
        named = below.items() if isinstance(below, Mapping) else enumerate(_array(below))
        for name, values in named:
            path = (*self.path, key, str(name))
            if not isinstance(values, Mapping):
                raise Broken(path, "must be a table")
            yield str(name), Section(values, path)


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(e, str) for e in value):
        raise ValueError("must be a list of strings that is not empty")
    if len(set(value)) < len(value):
        raise ValueError("names something twice")
    return tuple(value)


def one_of(names: Iterable[str], value: Any) -> str:
    if text(value) not in names:
        raise ValueError(f"cannot be {value!r}; {among(value, names)}")
    return text(value)


def pair(value: Any) -> tuple[str, ...]:
    if len(texts(value)) != 2:
        raise ValueError('must name two parameters, such as ["width", "height"]')
    return texts(value)


def named_texts(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("must be a table of strings")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def number(value: Any) -> float:
    """An integer stays one: bounds of seeds are beyond what a float keeps exactly."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return value


def positive(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("must be an integer of at least 1")
    return value


def _array(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

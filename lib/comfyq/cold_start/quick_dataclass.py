"""Dataclasses that are made in half the time, which is a sixth of a function's import."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any

compiled_dataclass = dataclasses.dataclass


@contextmanager
def quick_dataclasses() -> Iterator[None]:
    """Make the dataclasses that are imported meanwhile as ``quick_dataclass`` does."""
    before = dataclasses.dataclass
    dataclasses.dataclass = quick_dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = before


def quick_dataclass(
    cls: type | None = None,
    /,
    *,
    repr: bool = True,
    eq: bool = True,
    frozen: bool = False,
    **options: Any,
) -> Any:
    """Do what ``dataclasses.dataclass`` does, but compile less.

    It compiles up to six methods of each class. Three of them need no more than the fields' names:
    how a value is shown, compared and hashed. A class without a docstring gets its name as one,
    and not its signature.
    """

    def made(cls: type) -> Any:
        if options.get("order") or options.get("unsafe_hash"):  # of few classes
            return compiled_dataclass(cls, repr=repr, eq=eq, frozen=frozen, **options)
        own = cls.__dict__
        cls.__doc__ = cls.__doc__ or cls.__name__
        new: Any = compiled_dataclass(cls, repr=False, eq=False, frozen=frozen, **options)
        if repr and "__repr__" not in own:
            new.__repr__ = _shows(new)
        if eq and "__eq__" not in own:
            new.__eq__ = _compares(new)
        if eq and own.get("__hash__") is None:  # Python sets it to None beside an ``__eq__``
            new.__hash__ = _hashes(new) if frozen else None
        return new

    return made if cls is None else made(cls)


def _shows(cls: Any) -> Callable[[Any], str]:
    names = [field.name for field in dataclasses.fields(cls) if field.repr]

    @recursive_repr()
    def show(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return show


def _compares(cls: Any) -> Callable[[Any, object], object]:
    values = _values(field.name for field in dataclasses.fields(cls) if field.compare)

    def compare(self: Any, other: object) -> object:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return compare


def _hashes(cls: Any) -> Callable[[Any], int]:
    fields = dataclasses.fields(cls)
    hashed = (each.name for each in fields if (each.compare if each.hash is None else each.hash))
    values = _values(hashed)

    def hash_values(self: Any) -> int:
        return hash(values(self))

    return hash_values


def _values(names: Iterable[str]) -> Callable[[Any], object]:
    """Return what reads the attributes of these names."""
    known = tuple(names)
    return attrgetter(*known) if known else lambda _: ()

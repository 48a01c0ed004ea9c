"""Dataclasses behave alike, whether they are made quickly or as the standard library makes them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, field, replace
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

from comfyq.cold_start.quick_dataclass import compiled_dataclass, quick_dataclass
from comfyq.config import PROJECT

T = TypeVar("T")


def classes(make: Any) -> SimpleNamespace:

    @make(frozen=True, slots=True)
    class Size:
        width: int
        height: int = 8
        note: str = field(default="", repr=False, compare=False)
        tags: list[str] = field(default_factory=list, hash=False)

    @make(frozen=True, slots=True)
    class Named(Size, Generic[T]):
        """Has a name."""

        name: T | None = None

    @make
    class Node:
        below: Any = None

    @make(frozen=True)
    class Nothing:
        pass

    @make(frozen=True)
    class Own:
        text: str

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 7

    @make(frozen=True)
    class Alike:
        text: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Alike)

    @make(order=True)
    class Version:
        major: int

    @make(eq=False, repr=False)
    class Plain:
        text: str

    return SimpleNamespace(**locals())


def behaviour(made: SimpleNamespace) -> Iterator[object]:
    """Yield what values of the classes do."""
    Size, Node, Own = made.Size, made.Node, made.Own
    size, named, node = Size(4, note="first"), made.Named(4, name="n"), Node()
    node.below = node
    yield from (repr(size), size == Size(4, note="second"), size == Size(5), size == (4, 8, []))
    yield from (
        hash(size) == hash(Size(4, tags=["a"])),
        size == Size(4, tags=["a"]),
        replace(size, width=5) == Size(5),
    )
    yield from (Size.__match_args__, Size.__slots__, _raised(lambda: setattr(size, "width", 5)))
    yield from (repr(named), named == made.Named(4, name="n"), named == size, made.Named.__doc__)
    yield from (repr(node), Node(1) == Node(1), _raised(lambda: hash(node)))
    yield from (repr(made.Nothing()), len({made.Nothing(), made.Nothing()}))
    yield from (repr(Own("a")), Own("a") == Own("b"), hash(Own("a")))
    yield from (
        repr(made.Alike("a")),
        made.Alike("a") == made.Alike("b"),
        len({made.Alike("a"), made.Alike("a")}),
    )
    yield from (made.Version(1) < made.Version(2), _raised(lambda: hash(made.Version(1))))
    yield from (made.Plain("a") == made.Plain("a"), len({made.Plain("a"), made.Plain("a")}))
    yield repr(made.Plain("")).startswith("<")


def _raised(call: Callable[[], object]) -> tuple[type[Exception], str] | None:
    try:
        call()
    except (TypeError, FrozenInstanceError) as raised:
        return type(raised), str(raised)
    return None


def test_classes_behave_as_if_all_their_methods_were_compiled() -> None:
    assert list(behaviour(classes(quick_dataclass))) == list(behaviour(classes(compiled_dataclass)))


def test_a_function_has_classes_that_were_made_quickly_and_later_ones_are_not() -> None:
    program = (
        "import functions.api.handler, dataclasses, comfyq.domain.job as jobs;"
        "print(jobs.Job.__eq__.__module__, dataclasses.dataclass.__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=PROJECT
    )
    assert done.stdout.split() == [quick_dataclass.__module__, compiled_dataclass.__module__]

"""Look-alikes of AWS's services, and how each is started."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

KEY, SECRET = "test", "test"  # what tests/fixtures/emulator.py signs with


class NotHere(Exception):
    """It cannot be installed or run on this machine; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A server that is about to start: a command and its whole environment, but for PATH."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    leftovers: Sequence[Path] = ()  # what it leaves outside its folder when it is killed


@dataclass(frozen=True, kw_only=True)
class LookAlike:
    """``install`` is repeatable and quick the second time; both it and ``launch`` may say NotHere.

    ``launch`` is given a folder of its own, where the server keeps its data, and a free port.
    """

    name: str
    package: str  # with its version
    services: Sequence[str]  # of dynamodb, sqs, s3
    install: Callable[[], None]
    launch: Callable[[Path, int], Launch]
    listens_everywhere: bool = False
    options: str = ""  # what it must be told to be of use

"""Starting servers: settings from options, and readable reasons where one does not start."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EADDRINUSE, EADDRNOTAVAIL, EHOSTUNREACH, ENETUNREACH
from socket import gaierror
from typing import Any
from urllib.parse import urlsplit

import typer

from comfyq.cli.errors import CannotStart, ClockWrong, NotYet
from comfyq.config import InvalidSettings, Settings, read_settings, unknown_settings
from comfyq.domain.errors import ClockSkewed, DomainError
from comfyq.domain.submission.node_rules import ALLOWED, SAFE

COMFYUI_URL = "http://127.0.0.1:8188"  # where ComfyUI listens unless it is told otherwise
PASSING = (EADDRINUSE, EADDRNOTAVAIL, EHOSTUNREACH, ENETUNREACH)  # reasons of the machine
HOST = re.compile(r"[\w.-]+|[\da-f:.]+(%\w+)?")  # a name, or an address of IPv4 or IPv6


def settings_with(**given: Any) -> Settings:
    """The environment's settings, with those options, by variable, that were given in its place."""
    try:
        return read_settings(**given)
    except InvalidSettings as invalid:
        faults = str(invalid)
        told = f"these settings are wrong\n{faults}" if "\n" in faults else f"setting {faults}"
        raise CannotStart(told) from invalid


def warn_of_settings(settings: Settings) -> None:
    """Say in one line each which variables look like settings and are none, and which names of
    the list of node classes are nearly a profile."""
    unknown = [
        f"{name} (did you mean {meant}?)" if meant else name
        for name, meant in unknown_settings().items()
    ]
    if unknown:
        typer.echo(
            f"warning: no settings of comfyq, without effect: {', '.join(unknown)}", err=True
        )
    for name in settings.limits.node_rules.misspelt:
        typer.echo(
            f"warning: {ALLOWED}: {name} is no profile and no class that is known; did you mean "
            f"{SAFE}?",
            err=True,
        )


def comfyui_urls(
    given: list[str] | None, settings: Settings, *, started: bool = False
) -> list[str]:
    """Base URLs: the options', or else the environment's, or else of the one that we start."""
    if given:
        return [base_url(url) for url in given]
    named = settings.comfyui.base_url or (COMFYUI_URL if started else None)
    return [base_url(named)] if named else []


def base_url(text: str) -> str:
    """Return the URL of a ComfyUI, where ``host:port`` is HTTP; raises CannotStart."""
    url = (text if "://" in text else f"http://{text}").rstrip("/")
    if not _is_base_url(url):
        raise CannotStart(f"{text!r} is no URL of a ComfyUI; one is {COMFYUI_URL}")
    return url


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_known = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:  # a port that is no number, a broken address of IPv6
        return False
    return is_known and HOST.fullmatch(parts.hostname or "") is not None


@contextmanager
def readable_failures(
    *expected: type[Exception], passing: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn what a server is expected to fail with into CannotStart, NotYet or ClockWrong.

    Domain errors and the machine's own are always ``expected``. Of those that are ``passing``,
    another start may be free, as it may be of a network that is not up yet.
    """
    try:
        yield
    except Exception as error:
        failure = _cause(error)
        if not isinstance(failure, (*expected, *passing, DomainError, OSError)):
            raise
        is_passing = isinstance(failure, passing) or any(map(_passes, _reasons(failure)))
        kind = NotYet if is_passing else CannotStart
        told = ClockWrong if isinstance(failure, ClockSkewed) else kind
        raise told(_words(failure)) from error


def _reasons(failure: BaseException | None) -> Iterator[BaseException]:
    """Yield a failure and what it came of: vendors wrap the machine's errors in their own."""
    while failure is not None:
        yield failure
        failure = failure.__cause__ or failure.__context__


def _passes(reason: BaseException) -> bool:
    """Return whether a reason may be gone at another start: a port becomes free, and at boot names
    and networks are there some seconds later than a service."""
    if isinstance(reason, gaierror | ConnectionError | TimeoutError):
        return True
    return isinstance(reason, OSError) and reason.errno in PASSING


def _words(failure: BaseException) -> str:
    """Say what is wrong; of a file that the machine refuses, its name before the reason."""
    if not isinstance(failure, OSError) or not failure.filename or not failure.strerror:
        return str(failure)
    if isinstance(failure, FileExistsError | NotADirectoryError):
        return f"{failure.filename} cannot be used: a file stands where a folder is needed"
    reason = failure.strerror[:1].lower() + failure.strerror[1:]
    return f"{failure.filename} cannot be used: {reason}"


def print_ready(**what: object) -> None:
    """One line once it serves, for whoever started it."""
    ready: Mapping[str, object] = {"pid": os.getpid(), **what}
    typer.echo(json.dumps(ready))


def _cause(error: BaseException) -> BaseException:
    """Task groups wrap what one of their tasks raised."""
    return _cause(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error

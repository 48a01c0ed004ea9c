"""Starting servers: settings from options, and readable reasons where one does not start."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from comfyq.cli.errors import CannotStart, ClockWrong
from comfyq.config import InvalidSettings, Settings, read_settings
from comfyq.domain.errors import ClockSkewed, DomainError

COMFYUI_URL = "http://127.0.0.1:8188"  # where ComfyUI listens unless it is told otherwise


def settings_with(**given: Any) -> Settings:
    """The environment's settings, with those options, by variable, that were given in its place."""
    try:
        return read_settings(**given)
    except InvalidSettings as invalid:
        raise CannotStart(f"the settings are wrong\n{invalid}") from invalid


def comfyui_urls(
    given: list[str] | None, settings: Settings, *, started: bool = False
) -> list[str]:
    """Base URLs: the options', or else the environment's, or else of the one that we start."""
    if given:
        return [url.rstrip("/") for url in given]
    named = settings.comfyui.base_url or (COMFYUI_URL if started else None)
    return [named] if named else []


@contextmanager
def readable_failures(*expected: type[Exception]) -> Iterator[None]:
    """Turn what a server is expected to fail with into CannotStart, or ClockWrong.

    Domain errors and the machine's own are always ``expected``.
    """
    try:
        yield
    except Exception as error:
        failure = _cause(error)
        if not isinstance(failure, (*expected, DomainError, OSError)):
            raise
        kind = ClockWrong if isinstance(failure, ClockSkewed) else CannotStart
        raise kind(str(failure)) from error


def print_ready(**what: object) -> None:
    """One line once it serves, for whoever started it."""
    ready: Mapping[str, object] = {"pid": os.getpid(), **what}
    typer.echo(json.dumps(ready))


def _cause(error: BaseException) -> BaseException:
    """Task groups wrap what one of their tasks raised."""
    return _cause(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error

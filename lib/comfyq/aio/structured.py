"""Log lines for people on a terminal, JSON for everything else."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

NO_COLOURS = "rich.traceback"  # imports pygments and more, which takes longer than all of structlog

if hides := not sys.stderr.isatty() and NO_COLOURS not in sys.modules:
    sys.modules[NO_COLOURS] = None  # type: ignore[assignment] # structlog does without it
import structlog  # noqa: E402
from structlog.typing import EventDict, Processor  # noqa: E402

if hides:
    del sys.modules[NO_COLOURS]

from comfyq.domain.files.sources import MAYBE_URL, without_secrets  # noqa: E402

ENCODER = json.JSONEncoder(default=repr)  # made once, as each job logs three lines


class StandardError:
    """Writes lines to what standard error is then: tests and command runners replace it."""

    def write(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")  # at once, so that lines of several threads do not mix

    debug = info = warning = error = critical = write


def _json(event: EventDict, **_: object) -> str:
    return ENCODER.encode(event)


def _without_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Cut the queries of URLs, which may be signatures."""
    return {
        name: without_secrets(value)
        if isinstance(value, str) and MAYBE_URL.search(value)
        else value
        for name, value in event.items()
    }


def logger_from(level: int, context: Callable[[], Mapping[str, Any]]) -> Any:
    """Configure structlog, and make a logger that drops what is below ``level`` and adds
    ``context`` to each line that has no such values of its own.

    Everything goes to standard error: standard output belongs to what a command prints.
    """
    renderer: Processor = structlog.processors.JSONRenderer(serializer=_json)
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            lambda _logger, _method, event: {**context(), **event},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            _without_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: StandardError(),
    )
    return structlog.get_logger().bind()  # noqa: TID251 - the one place

"""The one logger: ``log.info("event", key=value)``.

structlog is imported with the first line that is logged: it costs a cold start 50 ms of CPU time.
"""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from comfyq.telemetry.tracing import tracing

# structlog's own context would be imported with it
_context: ContextVar[Mapping[str, Any]] = ContextVar("log_context")
NOTHING: Mapping[str, Any] = {}


class log_context:
    """Add ``values`` to every line that the body logs, and the tasks that it starts."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __enter__(self) -> None:
        self._token = _context.set({**_context.get(NOTHING), **self._values})

    def __exit__(self, *_: object) -> None:
        _context.reset(self._token)


def logged_context() -> Mapping[str, Any]:
    """Return what is added to lines that are logged here."""
    context, trace = _context.get(NOTHING), tracing.trace_id()
    return context if trace is None else {**context, "trace": trace}


class Log:
    """structlog's logger, made with the first line; until it is configured it logs from `info`."""

    def __init__(self) -> None:
        self._level = logging.INFO
        self._logger: Any = None

    def configure(self, level: str) -> None:
        """Log from ``level`` on; raises KeyError if there is no such level."""
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._logger = None

    def prepare(self) -> None:
        """Import structlog now: with the first line, that would hold up an event loop."""
        if self._logger is None:
            from comfyq.aio.structured import logger_from  # imports structlog

            self._logger = logger_from(self._level, logged_context)

    def __getattr__(self, method: str) -> Any:
        self.prepare()
        return getattr(self._logger, method)


log = Log()

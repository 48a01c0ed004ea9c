"""Spans of what this process does, for whoever collects traces; without a tracer they are nothing.

A trace is carried from process to process as W3C's ``traceparent``:
https://www.w3.org/TR/trace-context/
"""

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Protocol

Value = str | int | float | bool


class Span(Protocol):
    def note(self, *, name: str | None = None, failed: bool = False, **attributes: Value) -> None:
        """Add what became known; a span that has ``failed`` is marked so."""
        ...


class Tracer(Protocol):
    def span(
        self, name: str, *, parent: str | None, is_server: bool, attributes: dict[str, Value]
    ) -> AbstractContextManager[Span]:
        """Open a span below ``parent``, a traceparent, or below the one that is open here."""
        ...

    def record(self, name: str, *, parent: str, start: datetime, end: datetime) -> None:
        """Add a span that is over."""
        ...

    def traceparent(self) -> str | None:
        """Return the span that is open here, for another process; None if there is none."""
        ...

    def trace_id(self) -> str | None:
        """Return the id of the trace that the span here belongs to; None if there is none."""
        ...

    def flush(self) -> None:
        """Send what has not been sent yet, within a few seconds."""
        ...


NO_SPAN: AbstractContextManager[None] = nullcontext()


class Tracing:
    """The tracer of this process, if it has one."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None

    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        is_server: bool = False,
        **attributes: Value,
    ) -> AbstractContextManager[Span | None]:
        """Open a span below ``parent``, a traceparent, or below the one that is open here.

        An exception that leaves it marks it as failed. Without a tracer it yields None.
        """
        if self.tracer is None:
            return NO_SPAN
        return self.tracer.span(name, parent=parent, is_server=is_server, attributes=attributes)

    def record(self, name: str, *, parent: str | None, start: datetime, end: datetime) -> None:
        """Add a span that is over below ``parent``, unless that is None."""
        if self.tracer is not None and parent is not None:
            self.tracer.record(name, parent=parent, start=start, end=end)

    def traceparent(self) -> str | None:
        """Return the span that is open here, for another process; None if there is none."""
        return None if self.tracer is None else self.tracer.traceparent()

    def trace_id(self) -> str | None:
        return None if self.tracer is None else self.tracer.trace_id()

    def flush(self) -> None:
        if self.tracer is not None:
            self.tracer.flush()


tracing = Tracing()

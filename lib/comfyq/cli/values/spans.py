"""Spans of time and points in time, as options of commands have them."""

import re
import time
from datetime import UTC, datetime, timedelta

from comfyq.cli.errors import CannotStart

UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}


def now() -> datetime:
    """Return the time of this machine, as people at it read it."""
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - as typed and shown


def span_of(text: str, option: str, *, longest_s: int | None = None) -> timedelta:
    """Return the span that is written as 90d, of at most ``longest_s``; raises CannotStart."""
    span = _span(text)
    if span is None:
        raise CannotStart(f"{option}: {text!r} is no time; write 90d, 12h, 30m or 2w")
    if longest_s is not None and span > timedelta(seconds=longest_s):
        raise CannotStart(f"{option}: {text} is too long; the most is {longest_s // 86_400}d")
    return span


def span_text(span: timedelta) -> str:
    """Return a span as `span_of` reads it, in the longest unit (up to days) that divides it."""
    seconds = int(span.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % UNITS_S[unit] == 0)
    return f"{seconds // UNITS_S[unit]}{unit}"


def time_of(text: str, option: str) -> str:
    """Return a time as the API takes it: so long ago, or what is written; without an offset it is
    this machine's. Raises CannotStart."""
    try:
        if (ago := _span(text)) is not None:
            return (now() - ago).isoformat()
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise CannotStart(
            f"{option}: {text!r} is no time; write 2d, 12h or 30m for so long ago, or "
            "2026-11-27T10:00"
        ) from None


def _span(text: str) -> timedelta | None:
    parts = re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", text)
    return None if parts is None else timedelta(seconds=int(parts[1]) * UNITS_S[parts[2]])

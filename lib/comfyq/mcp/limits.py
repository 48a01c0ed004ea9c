"""Limits of a tool's call."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    inline_bytes: int = 3_000_000  # of pictures and sounds in a result; base64 makes a third more
    wait_s: float = 50.0  # clients that set no time of their own often give up after 60 s

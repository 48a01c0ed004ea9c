"""A large JSON object, read one entry after the other.

Python's reader of JSON keeps the interpreter until it has ended: megabytes that a thread reads at
once stop the event loop as well. Between two entries other threads run.
"""

import json
import re
from typing import Any

SPACE = re.compile(r"[ \t\n\r]*")
READER = json.JSONDecoder()


def read_entries(text: str) -> dict[str, Any]:
    """Parse a JSON object as ``json.loads`` does; raises ValueError where it is none."""
    entries: dict[str, Any] = {}
    at = _after("{", text, 0)
    while not text.startswith("}", at):
        if entries:
            at = _after(",", text, at)
        name, end = READER.raw_decode(text, at)
        if not isinstance(name, str):
            raise ValueError(f"no name of an entry at character {at}")
        entries[name], end = READER.raw_decode(text, _after(":", text, end))
        at = _without_space(text, end)
    if _without_space(text, at + 1) != len(text):
        raise ValueError(f"more than one object: it ends at character {at}")
    return entries


def _after(mark: str, text: str, at: int) -> int:
    at = _without_space(text, at)
    if not text.startswith(mark, at):
        raise ValueError(f"no {mark} at character {at}")
    return _without_space(text, at + 1)


def _without_space(text: str, at: int) -> int:
    space = SPACE.match(text, at)
    return at if space is None else space.end()

"""Suggestions of existing names for a name that does not exist."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

COMPARED_CHARS = 100  # of what was written: comparing takes time with the square of it
LISTED = 50  # names; a worker may have thousands of LoRAs


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the closest of ``names``; None if none is close."""
    close = closest(name, names, most=1)
    return close[0] if close else None


def closest(name: str, names: Iterable[str], *, most: int) -> Sequence[str]:
    """Return at most ``most`` similar names, the closest first."""
    return get_close_matches(name[:COMPARED_CHARS], list(names), n=most)


def among(name: str, names: Iterable[str]) -> str:
    """Suggest names that could have been meant instead of ``name``."""
    names = list(names)
    meant = nearest(name, names)
    guess = f"did you mean {meant!r}? " if meant else ""
    if not names:
        return "there are none"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{guess}it is one of {', '.join(names[:LISTED])}{more}"

"""Telling someone who wrote a name wrongly which names there are."""

from collections.abc import Iterable
from difflib import get_close_matches

COMPARED_CHARS = 100  # of what was written: comparing takes time with the square of it


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, if any is close."""
    close = get_close_matches(name[:COMPARED_CHARS], list(names), n=1)
    return close[0] if close else None


def among(name: str, names: Iterable[str]) -> str:
    """What would be right instead of ``name``."""
    names = list(names)
    meant = nearest(name, names)
    guess = f"did you mean {meant!r}? " if meant else ""
    return f"{guess}it is one of {', '.join(names)}" if names else "there are none"

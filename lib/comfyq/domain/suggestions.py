"""Suggestions of existing names for a name that does not exist.

The time of a suggestion grows with the text of the names, and no further than the limits here:
comparing two texts in full takes time with the square of their length.
"""

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from heapq import nlargest
from itertools import islice

HINTED = 3  # faults of one request that get suggestions
SHORT_CHARS = 100  # longer names are neither compared nor listed
COMPARED = 2_000  # names
SHORTLIST = 20  # names that are compared in full: those with the most letters in common
CUTOFF = 0.6  # of the letters
LISTED = 50  # names; a worker may have thousands of LoRAs


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the closest of ``names``; None if none is close."""
    close = closest(name, names, most=1)
    return close[0] if close else None


def closest(name: str, names: Iterable[str], *, most: int, cutoff: float = CUTOFF) -> Sequence[str]:
    """Return at most ``most`` similar names, the closest first; none for a long name."""
    if len(name) > SHORT_CHARS:
        return []
    matcher = SequenceMatcher()
    matcher.set_seq2(name)
    likely = nlargest(max(SHORTLIST, most), _likely(matcher, names, cutoff))
    ratios = [(_ratio(matcher, other), other) for _, other in likely[:SHORTLIST]]
    close = sorted((pair for pair in ratios if pair[0] >= cutoff), reverse=True)
    rest = likely[SHORTLIST:] if cutoff == 0 else []
    return [other for _, other in [*close, *rest]][:most]


def among(name: str, names: Iterable[str]) -> str:
    """Suggest names that could have been meant instead of ``name``."""
    meant = nearest(name, names := list(names))
    guess = f"did you mean {meant!r}? " if meant else ""
    return f"{guess}{listed(names)}"


def listed(names: Sequence[str]) -> str:
    """List the names that there are, without a comparison."""
    if not names:
        return "there are none"
    short = list(islice((each for each in names if len(each) <= SHORT_CHARS), LISTED))
    if not short:
        return f"there are {len(names)}, whose names are long"
    more = f" and {len(names) - len(short)} more" if len(names) > len(short) else ""
    return f"it is one of {', '.join(short)}{more}"


def _likely(
    matcher: "SequenceMatcher[str]", names: Iterable[str], cutoff: float
) -> Iterator[tuple[float, str]]:
    """Yield the names that may be similar, each with the most that its similarity may be."""
    for other in islice((each for each in names if len(each) <= SHORT_CHARS), COMPARED):
        matcher.set_seq1(other)
        if matcher.real_quick_ratio() >= cutoff:
            most = matcher.quick_ratio()
            if most >= cutoff:
                yield most, other


def _ratio(matcher: "SequenceMatcher[str]", other: str) -> float:
    matcher.set_seq1(other)
    return matcher.ratio()

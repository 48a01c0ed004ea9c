"""Token buckets in the memory of one process: a count in the table would cost about as much as what
they limit."""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import TypeVar

from comfyq.domain.token_bucket import SECOND_US, TokenBucket, seconds

REMEMBERED = 10_000  # buckets that are not full

V = TypeVar("V")


class MemoryBuckets:
    """Buckets by name; each is full until something is taken from it."""

    def __init__(self, *, now_s: Callable[[], float] = monotonic) -> None:
        """``now_s`` never goes back, as a clock that is set does."""
        self._now_s = now_s
        self._full_us = dict[str, int]()  # when each is full again

    def take(self, buckets: Mapping[str, TokenBucket], tokens: int = 1) -> tuple[str, int] | None:
        """Take so many tokens from each of these, or from none. Return the name of the one that has
        too few for the longest time, and the seconds until it has enough; None: they were taken."""
        now_us = int(self._now_s() * SECOND_US)
        waits_us = {
            name: self._full_us.get(name, 0) - bucket.latest_us(tokens, now_us=now_us)
            for name, bucket in buckets.items()
        }
        longest = max(waits_us, key=waits_us.__getitem__)
        if waits_us[longest] > 0:
            return longest, seconds(waits_us[longest])
        for name, bucket in buckets.items():
            full_us = max(self._full_us.get(name, 0), now_us)
            put_newest(self._full_us, name, full_us + bucket.price_us(tokens), most=REMEMBERED)
        return None

    def forget(self, name: str) -> None:
        """Forget a bucket of which nothing will be taken any more."""
        self._full_us.pop(name, None)


def put_newest(known: dict[str, V], name: str, value: V, *, most: int) -> None:
    """Remember a value as the newest one, and forget the oldest of more than ``most``."""
    known.pop(name, None)
    known[name] = value
    if len(known) > most:
        known.pop(next(iter(known)))

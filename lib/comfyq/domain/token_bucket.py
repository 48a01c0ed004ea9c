"""Token buckets, each kept as one number: the time at which it is full again.

The number grows with each token that is taken, so that taking is one addition under a bound, which
concurrent processes can do on any engine. Times are whole microseconds, as the table has no floats.
"""

from dataclasses import dataclass

SECOND_US = 1_000_000
WINDOW_S = 60
WINDOW_US = WINDOW_S * SECOND_US


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """``size`` tokens; those that are taken come back one by one, as many in each minute."""

    size: int

    def price_us(self, tokens: int) -> int:
        """Return by how much later the bucket is full if ``tokens`` are taken."""
        return tokens * WINDOW_US // self.size

    def latest_us(self, tokens: int, *, now_us: int) -> int:
        """Return the latest time of being full at which ``tokens`` may be taken now.

        More than there are at most may be taken when none is missing: as a debt, which the next
        ones wait for, so that the rate holds all the same.
        """
        return now_us + WINDOW_US - self.price_us(min(tokens, self.size))

    def left(self, full_us: int, *, now_us: int) -> int:
        """Return how many tokens there are in a bucket that will be full at ``full_us``."""
        free_us = min(now_us + WINDOW_US - full_us, WINDOW_US)
        return max(0, free_us * self.size // WINDOW_US)


def seconds(us: int) -> int:
    """Return a duration in whole seconds, rounded up."""
    return max(0, -(-us // SECOND_US))

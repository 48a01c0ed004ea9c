"""A bound on how fast bytes are fetched."""


class Pace:
    """Counts bytes, and says how long to wait before more; ``rate`` is bytes a second, None for no
    bound. A pause of the origin is not made up for by going faster than a second's worth."""

    def __init__(self, rate: int | None) -> None:
        self._rate = rate
        self._free_at_s: float | None = None  # when what came so far is paid for

    def delay_s(self, count: int, *, now_s: float) -> float:
        """Return the seconds to wait after ``count`` bytes have come."""
        if self._rate is None:
            return 0
        begun = now_s if self._free_at_s is None else max(self._free_at_s, now_s - 1)
        self._free_at_s = begun + count / self._rate
        return max(0.0, self._free_at_s - now_s)

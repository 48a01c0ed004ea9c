from datetime import datetime, timedelta

from comfyq.ports.clock import Clock


class SkewedClock:
    """The clock of a machine whose clock is wrong."""

    def __init__(self, clock: Clock, *, ahead_s: float) -> None:
        self._clock = clock
        self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        return self._clock.now() + self._ahead

from datetime import UTC, datetime, timedelta

from comfyq.ports.clock import Clock

HEADER_RESOLUTION = timedelta(seconds=1)
TOLERANCE = timedelta(seconds=1)  # below it, a difference may be the header's own rounding


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock


class CorrectedClock:
    """The local clock, set right by the clock of the store that all workers share.

    ``observe`` is called with the ``Date`` header of each of the store's answers. The header has
    whole seconds, so the clock is adjusted only when they differ by more than that.
    """

    def __init__(self, local: Clock | None = None) -> None:
        self._local = local or SystemClock()
        self._skew = timedelta()

    @property
    def skew(self) -> timedelta:
        """Return how far the store's clock is ahead of the local one."""
        return self._skew

    def now(self) -> datetime:
        return self._local.now() + self._skew

    def observe(self, date: datetime) -> None:
        skew = date + HEADER_RESOLUTION / 2 - self._local.now()
        if abs(skew - self._skew) > TOLERANCE:
            self._skew = skew

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """A value that is read again only when it is older than ``max_age_s``."""

    def __init__(self, read: Callable[[], Awaitable[T]], *, max_age_s: float) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._known: tuple[T, float] | None = None  # and when it was read (monotonic)

    async def get(self) -> T:
        """Return the value; raises what ``read`` raises, and then reads again at the next call."""
        if self._known is None or monotonic() - self._known[1] > self._max_age_s:
            self._known = await self._read(), monotonic()
        return self._known[0]

"""How often, and when, an origin is asked again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from comfyq.domain.models.errors import ModelUnavailable

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[object]]

WAITS_S: Sequence[float] = (1, 2, 5, 15)  # before each try that follows one without progress
MOST_WAIT_S = 120.0  # that an origin may ask for by Retry-After


class Retries:
    """Waits before another try, until too many in a row have come to nothing."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._vain = 0

    async def wait(self, fault: ModelUnavailable, *, progressed: bool = False) -> None:
        """Wait until another try makes sense; raises ``fault`` if none does."""
        self._vain = 0 if progressed else self._vain
        asked_s = fault.retry_after_s or 0
        if not fault.passing or self._vain == len(WAITS_S) or asked_s > MOST_WAIT_S:
            raise fault
        wait_s = max(WAITS_S[self._vain], asked_s)
        self._vain += 1
        await self._sleep(wait_s)


async def tried(attempt: Callable[[], Awaitable[T]], sleep: Sleep = asyncio.sleep) -> T:
    """Return what ``attempt`` does, trying again what may pass; raises as it does."""
    retries = Retries(sleep)
    while True:
        try:
            return await attempt()
        except ModelUnavailable as fault:
            await retries.wait(fault)

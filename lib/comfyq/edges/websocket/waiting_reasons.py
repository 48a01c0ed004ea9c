"""Fresh frames for followers of queued jobs when the reason to wait changes."""

import asyncio
from collections.abc import Awaitable, Callable

from comfyq.domain.errors import DomainError

PERIOD_S = 5.0

Reason = Callable[[], Awaitable[str | None]]


async def show_reasons_for_ever(
    reason: Reason,
    *,
    any_waiting: Callable[[], bool],
    show: Callable[[str | None], Awaitable[None]],
    period_s: float = PERIOD_S,
) -> None:
    """Pass the reason to ``show`` each ``period_s``, read once for all followers, until canceled.

    Nothing is read while no follower's job waits, nor shown while the table does not answer.
    """
    while True:
        await asyncio.sleep(period_s)
        if not any_waiting():
            continue
        try:
            now = await reason()
        except DomainError:
            continue  # a subscription would fail as well, and that ends a follower's socket
        await show(now)

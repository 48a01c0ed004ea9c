"""Telling followers of changed reasons to wait, as a task beside the API."""

import asyncio
from collections.abc import Awaitable, Callable

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError

PERIOD_S = 5.0


async def push_reasons_for_ever(
    push: Callable[[], Awaitable[int]],
    *,
    any_open: Callable[[], bool],
    period_s: float = PERIOD_S,
) -> None:
    """Call ``push`` each ``period_s`` while a socket is open, until canceled."""
    while True:
        await asyncio.sleep(period_s)
        if not any_open():
            continue
        try:
            await push()
        except DomainError as away:
            log.warning("reasons_untold", reason=str(away))

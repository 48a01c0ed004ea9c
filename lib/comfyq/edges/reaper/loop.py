"""The reaper as a task beside the API; several processes may each run one."""

import asyncio
import random

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.services.operations.reaper import Reaper

QUIET = {"early", "gone", "held"}


async def reap_for_ever(reaper: Reaper, *, period_s: float) -> None:
    """Run the reaper every ``period_s``, with jitter against other processes, until canceled."""
    while True:
        try:
            done = await reaper.reap()
        except DomainError as away:
            log.warning("reap_failed", reason=str(away))
        else:
            counts = {what: count for what, count in done.items() if what not in QUIET}
            if counts:
                log.info("reaped", **counts)
        await asyncio.sleep(period_s * random.uniform(0.8, 1.2))

"""The reaper as a task beside the API; several processes may each run one."""

import asyncio
import random
import time

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.services.operations.reaper import HORIZON, Reaper

QUIET = {"early", "gone", "held"}


async def reap_for_ever(reaper: Reaper, *, period_s: float, lease_s: float) -> None:
    """Run the reaper whenever a job is due, at most every ``period_s``, until canceled.

    Without a known deadline it looks after HORIZON or a lease, for what other processes have
    stored. The period has jitter against other processes.
    """
    longest_s = min(HORIZON.total_seconds(), lease_s)
    while True:
        ends_s = time.monotonic() + period_s / 2  # the event loop is the API's as well
        try:
            done = await reaper.reap(lambda: time.monotonic() < ends_s)  # noqa: B023
        except DomainError as away:
            log.warning("reap_failed", reason=str(away))
        else:
            counts = {what: count for what, count in done.items() if what not in QUIET}
            if counts:
                log.info("reaped", **counts)
        pause_s = period_s * random.uniform(0.8, 1.2)
        await asyncio.sleep(pause_s)
        await reaper.deadlines.wait(most_s=longest_s - pause_s)

"""The reaper as a task beside the API; several processes may each run one."""

import asyncio
import random

import structlog

from comfyq.domain.errors import DomainError
from comfyq.services.operations.reaper import Reaper

log = structlog.get_logger()

QUIET = {"early", "gone", "held"}


async def reap_for_ever(reaper: Reaper, *, period_s: float) -> None:
    """Look every ``period_s``, a little apart from other processes, until cancelled."""
    while True:
        try:
            done = await reaper.reap()
        except DomainError as away:
            log.warning("reap_failed", reason=str(away))
        else:
            told = {what: count for what, count in done.items() if what not in QUIET}
            if told:
                log.info("reaped", **told)
        await asyncio.sleep(period_s * random.uniform(0.8, 1.2))

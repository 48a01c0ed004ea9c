"""Pauses of background tasks that end together, so that an idle process wakes seldom."""

import asyncio
import random
import time

PHASE_S = random.uniform(0, 3_600)  # processes that share a machine do not wake at once
SLACK = 0.02  # of a period: a timer that fired early is not followed by another at once


async def beat(period_s: float) -> None:
    """Sleep until the next beat: beats of this process are ``period_s`` apart, and those of a
    period that is a multiple coincide with them."""
    await asyncio.sleep(until_beat_s(period_s))


def until_beat_s(period_s: float) -> float:
    """Return the time until the next beat, at most ``period_s`` and a little."""
    if period_s <= 0:
        return 0.0
    left_s = period_s - (time.monotonic() + PHASE_S) % period_s
    return left_s + period_s if left_s < SLACK * period_s else left_s

"""Protecting a worker that holds jobs from being stopped by its pool's scaling."""

import asyncio
from collections.abc import Callable
from time import monotonic

from comfyq.aio.logs import log
from comfyq.ports.protection import Protection, ProtectionUnavailable

LOOK_S = 0.5
PROTECTED_S = 3_600.0  # one request's duration: a worker that hangs can be stopped after it
RENEW_S = 900.0
RETRY_S = 5.0


class StopProtection:
    """Protect the worker while ``busy`` returns true, checked twice a second.

    A stop in the half second before protection begins is an ordinary drain: jobs that have not
    ended are given back, uncounted.
    """

    def __init__(
        self, protection: Protection, *, busy: Callable[[], bool], look_s: float = LOOK_S
    ) -> None:
        self._protection = protection
        self._busy = busy
        self._look_s = look_s
        self._protected_at: float | None = None

    async def run(self) -> None:
        """Renew or end the protection until canceled; then it ends with the task."""
        while True:
            try:
                await self._follow()
            except ProtectionUnavailable as away:
                log.warning("protection_unavailable", reason=str(away))
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(self._look_s)

    async def _follow(self) -> None:
        if self._busy():
            if self._protected_at is None or monotonic() - self._protected_at > RENEW_S:
                await self._protection.protect(for_s=PROTECTED_S)
                self._protected_at = monotonic()
        elif self._protected_at is not None:
            await self._protection.release()
            self._protected_at = None

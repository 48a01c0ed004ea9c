"""Watching free disk space; nothing is claimed while there is too little for another job."""

import asyncio
from collections.abc import Callable

from comfyq.aio.logs import log
from comfyq.aio.rhythm import beat
from comfyq.ports.space import Space

PERIOD_S = 5.0


class SpaceWatch:
    def __init__(self, space: Space, *, period_s: float = PERIOD_S) -> None:
        self._space = space
        self._period_s = period_s
        self._room = asyncio.Event()
        self._room.set()
        self.on_change: Callable[[], None] = lambda: None
        self.reason: str | None = None  # why nothing is claimed

    @property
    def ok(self) -> bool:
        return self._room.is_set()

    async def wait_ok(self) -> None:
        await self._room.wait()

    async def run(self) -> None:
        while True:
            await self.look()
            await beat(self._period_s)

    async def look(self) -> None:
        reason = await asyncio.to_thread(self._space.shortage)
        if reason is not None and self.ok:
            log.warning("disk_low", reason=reason)
            self._room.clear()
        elif reason is None and not self.ok:
            log.info("disk_has_room")
            self._room.set()
        self.reason = reason
        self.on_change()

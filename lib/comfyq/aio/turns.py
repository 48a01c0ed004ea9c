"""Turns of the event loop, given to others by work that takes long."""

import asyncio

TURN_S = 0.02


class Turns:
    """Let the event loop serve others whenever its caller has had it for 20 ms."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._since_s = self._loop.time()

    async def give(self) -> None:
        """Serve others if it is time; call it between pieces of work."""
        if self._loop.time() - self._since_s >= TURN_S:
            await asyncio.sleep(0)
            self._since_s = self._loop.time()

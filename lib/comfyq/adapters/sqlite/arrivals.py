import asyncio
import random


class Arrivals:
    """Wakes receivers of this process for messages that it has sent itself.

    Each message wakes one of them, whichever: they may be workers of different ComfyUIs. Messages
    of other processes wake nobody here, so no receiver waits without looking for itself.
    """

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[bool]] = []

    def note(self) -> None:
        """A message was sent and is stored; may be called from any thread."""
        waiting = list(self._waiting)
        if waiting:
            future = random.choice(waiting)
            future.get_loop().call_soon_threadsafe(_settle, future, True)

    async def wait(self, timeout_s: float) -> bool:
        """Return True as soon as this waiter is woken, False when the time is over."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(timeout_s, _settle, future, False)
        self._waiting.append(future)
        try:
            return await future
        finally:
            timer.cancel()
            self._waiting.remove(future)


def _settle(future: asyncio.Future[bool], is_woken: bool) -> None:
    if not future.done():
        future.set_result(is_woken)

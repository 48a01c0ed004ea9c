import asyncio
import random


class Arrivals:
    """Wake receivers of this process for messages that this process has sent.

    Each message wakes one receiver, any of them: they may be workers of different ComfyUIs.
    Messages of other processes wake no receiver here, so receivers poll as well.
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

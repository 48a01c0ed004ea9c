import asyncio
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host; raises OSError where there are none, UnicodeError for what no name of
one can be."""

THREADS = 64  # that are started as they are needed
ZONE_SHARE = 4  # of them, for the names of one zone
SHORT_LABEL = 3  # characters, as of `co` in example.co.uk: such a zone is everybody's


class SystemLookUp:
    """Ask the system's resolver, in threads of this object's own.

    A thread waits for a silent name server for as long as the system does, whatever time the caller
    has: clients who name such hosts must not fill the threads that all the others use. So names of
    one zone have ZONE_SHARE of them, and the others wait for these.
    """

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._shares: dict[str, _Share] = defaultdict(_Share)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        zone = zone_of(host)
        share = self._shares[zone]
        share.users += 1
        try:
            await share.places.acquire()
        except BaseException:
            self._left(zone)
            raise
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        asked = self._threads.submit(ask)
        asked.add_done_callback(partial(self._ended, asyncio.get_running_loop(), zone))
        addresses = await asyncio.wrap_future(asked)
        return list(dict.fromkeys(str(address[0]) for *_, address in addresses))

    def _ended(self, loop: asyncio.AbstractEventLoop, zone: str, asked: Future[Any]) -> None:
        """Give the place back once the thread is free, which may be long after its caller left."""
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self._freed, zone)

    def _freed(self, zone: str) -> None:
        self._shares[zone].places.release()
        self._left(zone)

    def _left(self, zone: str) -> None:
        share = self._shares[zone]
        share.users -= 1
        if not share.users:
            del self._shares[zone]


class _Share:
    def __init__(self) -> None:
        self.places = asyncio.Semaphore(ZONE_SHARE)
        self.users = 0  # who have or wait for a place


def zone_of(host: str) -> str:
    """Return about the part of a name that somebody has registered."""
    labels = host.lower().rstrip(".").split(".")
    is_shared = len(labels) > 2 and len(labels[-2]) <= SHORT_LABEL
    return ".".join(labels[-3 if is_shared else -2 :])

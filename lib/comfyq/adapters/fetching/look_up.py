import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any

from comfyq.domain.caller import TenantId

LookUp = Callable[[TenantId, str, int], Awaitable[Sequence[str]]]
"""The addresses of a host that a tenant has named; raises OSError where there are none,
UnicodeError for what no name of one can be."""

THREADS = 64  # that are started as they are needed
ZONE_SHARE = 4  # of them, for the names of one zone
SHORT_LABEL = 3  # characters, as of `co` in example.co.uk: such a zone is everybody's


class SystemLookUp:
    """Ask the system's resolver, in threads of this object's own.

    A thread waits for a silent name server for as long as the system does, whatever time the caller
    has: clients who name such hosts must not fill the threads that all the others use. So names of
    one zone have ZONE_SHARE of them, and those of one tenant at most as many as are free: alone
    half of them. The others wait for these.
    """

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._counting = Lock()  # what follows is changed by these threads too
        self._of_zones: Counter[str] = Counter()
        self._of_tenants: Counter[TenantId] = Counter()
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came

    async def __call__(self, tenant: TenantId, host: str, port: int) -> Sequence[str]:
        zone = zone_of(host)
        while (waiter := self._placed(tenant, zone)) is not None:
            try:
                await waiter
            finally:
                with self._counting:
                    self._waiting.pop(waiter, None)
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        asked = self._threads.submit(ask)
        asked.add_done_callback(partial(self._ended, tenant, zone))
        addresses = await asyncio.wrap_future(asked)
        return list(dict.fromkeys(str(address[0]) for *_, address in addresses))

    def _placed(self, tenant: TenantId, zone: str) -> asyncio.Future[None] | None:
        """Take a place, or return what is done once one is free, whosever it is."""
        with self._counting:
            free = THREADS - self._of_tenants.total()
            if self._of_zones[zone] < ZONE_SHARE and self._of_tenants[tenant] < free:
                self._of_zones[zone] += 1
                self._of_tenants[tenant] += 1
                return None
            waiter = asyncio.get_running_loop().create_future()
            self._waiting[waiter] = None
            return waiter

    def _ended(self, tenant: TenantId, zone: str, _: Future[Any]) -> None:
        """Give the place back once the thread is free, which may be long after its caller left."""
        with self._counting:
            self._of_zones[zone] -= 1
            self._of_tenants[tenant] -= 1
            self._of_zones += Counter()  # which leaves those out of which there is none
            self._of_tenants += Counter()
            waiting = list(self._waiting)
        for waiter in waiting:  # who has room now takes it, and the others wait on
            with suppress(RuntimeError):  # its loop has ended meanwhile
                waiter.get_loop().call_soon_threadsafe(_wake, waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def zone_of(host: str) -> str:
    """Return about the part of a name that somebody has registered."""
    labels = host.lower().rstrip(".").split(".")
    is_shared = len(labels) > 2 and len(labels[-2]) <= SHORT_LABEL
    return ".".join(labels[-3 if is_shared else -2 :])

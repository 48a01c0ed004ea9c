import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host; raises OSError where there are none, UnicodeError for what no name of
one can be."""

THREADS = 16


class SystemLookUp:
    """Ask the system's resolver, in threads of this object's own.

    A thread waits for a silent name server for as long as the system does, whatever time the caller
    has: clients who name such hosts must not fill the threads that all the others use.
    """

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        addresses = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return list(dict.fromkeys(str(address[0]) for *_, address in addresses))

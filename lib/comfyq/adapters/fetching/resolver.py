"""Names to addresses, checked at the one moment that counts.

The addresses that are checked are the ones that are connected to: between a check and a second
look-up, a name could come to mean something else (DNS rebinding).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

from comfyq.adapters.fetching.addresses import Allowed, literal
from comfyq.domain.errors import InputForbidden

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host; raises OSError where there are none."""


class GuardedResolver(AbstractResolver):
    """Raises InputForbidden where any address of a name is one that we do not connect to."""

    def __init__(self, *, allowed: Allowed, look_up: LookUp) -> None:
        self._allowed = allowed
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = await self._look_up(host, port)
        for address in addresses:
            check(self._allowed, host, address)
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """There is nothing to close."""


def check(allowed: Allowed, host: str, address: str) -> None:
    found = literal(address)
    if found is None or not allowed.permits(host, found):
        # The address is not told: it would say what is in our network.
        raise InputForbidden(f"{host} is not in the public internet; nothing is fetched from there")


async def system_look_up(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _result(host: str, port: int, address: str) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST,
    )

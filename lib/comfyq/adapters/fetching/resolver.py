"""Resolving host names, with a check of the addresses.

The checked addresses are the ones connected to: with a second look-up after the check, a name could
resolve to another address (DNS rebinding).
"""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from comfyq.adapters.fetching.look_up import LookUp
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import InputForbidden
from comfyq.domain.files.fetch_exceptions import METADATA
from comfyq.domain.public_addresses import Allowed, literal, spelled_out


class GuardedResolver(AbstractResolver):
    """Resolve names that a tenant has named; raises InputForbidden if any address of one is
    forbidden."""

    def __init__(
        self, *, tenant: TenantId, allowed: Allowed, setting: str, look_up: LookUp
    ) -> None:
        """``setting`` is the variable that names what is ``allowed``, for refusals."""
        self._tenant = tenant
        self._allowed = allowed
        self._setting = setting
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = await self._look_up(self._tenant, host, port)
        for address in addresses:
            check(self._allowed, host, address, setting=self._setting)
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """There is nothing to close."""


def check(allowed: Allowed, host: str, address: str, *, setting: str) -> None:
    """Raise InputForbidden for an address that nothing is fetched from."""
    parsed = literal(address)
    if parsed is not None and allowed.permits(host, parsed):
        return
    if not METADATA.isdisjoint(spelled_out(host)):
        raise InputForbidden(
            f"{host} is a cloud's metadata service, from which nothing is ever fetched"
        )
    raise not_public(host, setting=setting)


def not_public(host: str, *, setting: str) -> InputForbidden:
    """Return the refusal of a host that has no public address, in the same words for a name that
    has no address at all: two would tell which names there are in our network. So would the
    address."""
    or_none = "" if spelled_out(host) else ", or has no address"
    return InputForbidden(
        f"{host} is not in the public internet{or_none}; nothing is fetched from there ({setting})"
    )


def _result(host: str, port: int, address: str) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST,
    )

"""Addresses that workers do not fetch from, and configured exceptions.

These are private networks, this machine and clouds' metadata services: a client that could make a
worker fetch from them would read what only the worker may (server-side request forgery).
See https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Public by number, or to some versions of Python, yet served by the surrounding cloud:
METADATA: Sequence[Network] = (
    ip_network("168.63.129.16/32"),  # [1]
    ip_network("192.0.0.0/24"),  # RFC 6890; Oracle's is 192.0.0.192
)
# [1] https://learn.microsoft.com/en-us/azure/virtual-network/what-is-ip-address-168-63-129-16
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: leads to the IPv4 address in its last 32 bits
COMPATIBLE = IPv6Network("::/96")  # RFC 4291, long deprecated; some systems still route it


def is_public(address: Address) -> bool:
    """Return whether an address is one that anybody in the internet may reach."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return _is_public(address.ipv4_mapped)
    return all(_is_public(each) for each in (address, *_inner(address)))


def _is_public(address: Address) -> bool:
    if any(address.version == net.version and address in net for net in METADATA):
        return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special


def _inner(address: Address) -> Sequence[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address embeds, by any tunnelling scheme."""
    if isinstance(address, IPv4Address):
        return ()
    inner = [*(address.teredo or ())]
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address in NAT64 or address in COMPATIBLE:
        inner.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return inner


def literal(host: str) -> Address | None:
    """Return the address that a URL's host spells out; None if the host is a name."""
    try:
        return ip_address(host.strip("[]").split("%", 1)[0])
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Allowed:
    """Hosts and networks that may be fetched from although they are not public."""

    hosts: frozenset[str] = frozenset()
    networks: Sequence[Network] = field(default=())

    @classmethod
    def of(cls, entries: Sequence[str]) -> "Allowed":
        """Parse names, addresses and networks in CIDR notation."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in filter(None, (each.strip().lower() for each in entries)):
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                hosts.add(entry)
        return cls(frozenset(hosts), tuple(networks))

    def permits(self, host: str, address: Address) -> bool:
        """Return whether a worker may connect to ``address``, to which ``host`` resolved."""
        if host.lower().rstrip(".") in self.hosts or is_public(address):
            return True
        return any(address.version == net.version and address in net for net in self.networks)

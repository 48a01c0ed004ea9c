"""Addresses that nothing is fetched from or posted to, and configured exceptions.

These are private networks, this machine and clouds' metadata services: a client that could make a
worker or server connect to them would reach what only these may (server-side request forgery).
See https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import re
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

from comfyq.domain.files.fetch_exceptions import METADATA

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Public to some versions of Python, or by number:
SPECIAL: Sequence[Network] = (
    ip_network("192.0.0.0/24"),  # RFC 6890
    ip_network("64:ff9b:1::/48"),  # RFC 8215: NAT64 of a network's own
    ip_network("2001:db8::/32"),  # RFC 3849: documentation
    ip_network("3fff::/20"),  # RFC 9637: documentation
    ip_network("5f00::/16"),  # RFC 9602: segment routing
    ip_network("fec0::/10"),  # RFC 3879: site-local, deprecated; some systems still route it
)
ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: before the IPv4 address in the last 32 bits
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: leads to the IPv4 address in its last 32 bits
COMPATIBLE = IPv6Network("::/96")  # RFC 4291, long deprecated; some systems still route it

LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
LOCAL = ".localhost"  # RFC 6761: whatever ends so is this machine
LOOPBACK: Sequence[Address] = (ip_address("127.0.0.1"), ip_address("::1"))
NUMBER = re.compile(r"(?P<hex>0x[0-9a-f]+)|(?P<octal>0[0-7]*)|(?P<decimal>[1-9][0-9]*)")


def is_public(address: Address) -> bool:
    """Return whether an address is one that anybody in the internet may reach."""
    return all(_is_public(each) for each in _meant(address))


def _meant(address: Address) -> Sequence[Address]:
    """Return the addresses that packets to this one may reach."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    return [address, *_inner(address)]


def _is_public(address: Address) -> bool:
    if address in METADATA or _is_in(address, SPECIAL):
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
    is_isatap = (int(address) >> 32) & 0xFFFF_FFFF in ISATAP
    if address in NAT64 or address in COMPATIBLE or is_isatap:
        inner.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return inner


def literal(host: str) -> Address | None:
    """Return the address that a URL's host spells out; None if the host is a name."""
    try:
        return ip_address(host.strip("[]").split("%", 1)[0])
    except ValueError:
        return None


def spelled_out(host: str) -> Sequence[Address]:
    """Return the addresses that a URL's host means without a look-up; none of other names."""
    name = host.lower().rstrip(".")
    if name in LOCAL_NAMES or name.endswith(LOCAL):
        return LOOPBACK
    address = literal(name) or _of_numbers(name)
    return [] if address is None else [address]


def _of_numbers(host: str) -> IPv4Address | None:
    """Read what resolvers take for an IPv4 address beside four decimal numbers, as `2130706433`,
    `0x7f.1` or `0177.0.0.1` (``inet_aton``)."""
    parts = [NUMBER.fullmatch(part) for part in host.split(".")]
    numbers = [int(part[0], _base(part)) for part in parts if part is not None]
    if len(numbers) < len(parts) or len(parts) > 4:
        return None
    *first, last = numbers
    if any(number > 0xFF for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return IPv4Address(sum(number << (24 - 8 * n) for n, number in enumerate(first)) + last)


def _base(number: re.Match[str]) -> int:
    return {"hex": 16, "octal": 8}.get(number.lastgroup or "", 10)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Hosts and networks that may be connected to although they are not public."""

    hosts: frozenset[str] = frozenset()
    networks: Sequence[Network] = field(default=())

    @classmethod
    def of(cls, entries: Sequence[str]) -> "Allowed":
        """Parse names, addresses and networks in CIDR notation."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                hosts.add(entry)
        return cls(frozenset(hosts), tuple(networks))

    def permits(self, host: str, address: Address) -> bool:
        """Return whether we may connect to ``address``, to which ``host`` resolved."""
        if not METADATA.isdisjoint(_meant(address)):
            return False
        if host.lower().rstrip(".") in self.hosts or is_public(address):
            return True
        return _is_in(address, self.networks)

    def may_permit(self, host: str) -> bool:
        """Return whether connecting to ``host`` is not refused for certain: what a name leads to
        is seen when it is looked up."""
        addresses = spelled_out(host)
        return not addresses or any(self.permits(host, each) for each in addresses)


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == net.version and address in net for net in networks)

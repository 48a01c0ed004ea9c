"""Entries of the setting that lets input files be fetched from addresses that are not public."""

import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*"
)

# The services by which clouds give machines their credentials, whatever network they are in:
METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google and most others
            "169.254.169.123",  # AWS's clock
            "169.254.169.253",  # AWS's name server
            "169.254.170.2",  # ECS
            "169.254.170.23",  # EKS
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",  # Google
            "fe80::a9fe:a9fe",  # OpenStack
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle
        ),
    )
)


def allowed_entries(text: str) -> Sequence[str]:
    """Split the setting into hosts, addresses and networks.

    Raises:
        ValueError: an entry has no meaning, or names a metadata service.
    """
    if not text.strip():
        return []
    return [_checked(each.strip().lower()) for each in text.split(",")]


def _checked(entry: str) -> str:
    if not entry:
        raise ValueError("has an empty entry: two commas, or one at an end; remove it")
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        return _host(entry)
    if network.network_address != ip_address(entry.partition("/")[0]):
        raise ValueError(f"{entry} has bits behind its prefix; did you mean {network}?")
    if network.num_addresses == 1 and network.network_address in METADATA:
        raise ValueError(f"{entry} is a cloud's metadata service, which is never fetched from")
    return entry


def _host(entry: str) -> str:
    if not HOST.fullmatch(entry.rstrip(".")) or entry.rpartition(".")[2].isdigit():
        raise ValueError(
            f"{entry!r} is no host, address or network; write names in full, without scheme, port, "
            "path or wildcard: files.lan, 192.168.1.7, 10.0.0.0/8"
        )
    return entry.rstrip(".")

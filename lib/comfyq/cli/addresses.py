"""The addresses at which other machines reach this one."""

import socket
from collections.abc import Sequence

import psutil

from comfyq.domain.loopback import is_loopback

EVERY_ONE = ("", "0.0.0.0", "::")  # hosts to listen on that mean all addresses  # noqa: S104


def open_urls(host: str, port: int) -> Sequence[str]:
    """Return the URLs at which a server that listens on ``host`` serves other machines."""
    if host in EVERY_ONE:
        return [_url(each, port) for each in _own(ipv6=host == "::")]
    return [] if is_loopback(host) else [_url(host, port)]


def _own(*, ipv6: bool) -> list[str]:
    """Return the addresses of this machine's interfaces, without those that need a scope."""
    families = {socket.AF_INET, socket.AF_INET6} if ipv6 else {socket.AF_INET}
    return [
        each.address
        for interface in psutil.net_if_addrs().values()
        for each in interface
        if each.family in families and not is_loopback(each.address) and "%" not in each.address
    ]


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""Addresses that are not public, in every way of writing and embedding them."""

import socket
from ipaddress import ip_address

import pytest

from comfyq.domain.public_addresses import Allowed, is_public, spelled_out


@pytest.mark.parametrize(
    "address",
    [
        "fec0::1",
        "feff::1",
        "3fff::1",
        "2001:db8::1",
        "5f00::1",
        "64:ff9b:1::808:808",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "2002:a00:1::",
        "2002:7f00:1::1",
        "2001:0:a00:1::",
        "2001:0:808:808:0:0:f5ff:fffe",
        "2606:4700::5efe:10.0.0.1",
        "2606:4700::200:5efe:192.168.0.1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "168.63.129.16",
        "192.0.0.192",
    ],
)
def test_it_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not Allowed().permits("h", ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "2606:4700::5efe:8.8.8.8"])
def test_it_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "100.100.100.200",
    ],
)
def test_metadata_services_stay_closed_whatever_is_allowed(address: str) -> None:
    allowed = Allowed.of(["metadata.lan", "100.64.0.0/10", "fc00::/7", "::/0", "0.0.0.0/0"])
    assert not allowed.permits("metadata.lan", ip_address(address))
    assert allowed.permits("metadata.lan", ip_address("169.254.1.1"))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "0177.0.0.01",
        "017700000001",
        "0x7f.0.0.0x1",
    ],
)
def test_what_resolvers_take_for_an_address_is_one(host: str) -> None:
    """The system's own resolver, which needs no network for these, says the same."""
    assert spelled_out(host) == [ip_address("127.0.0.1")]
    assert not Allowed().may_permit(host)
    assert Allowed.of(["127.0.0.0/8"]).may_permit(host)
    if not host.endswith("."):
        assert socket.inet_aton(host) == ip_address("127.0.0.1").packed


@pytest.mark.parametrize(
    "host", ["receiver.example", "127.example", "1.2.3.4.5", "256.1", "08.1", "0x", "4294967296"]
)
def test_names_spell_no_address_out(host: str) -> None:
    assert spelled_out(host) == []
    assert Allowed().may_permit(host), "a look-up tells"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "ip6-localhost"])
def test_names_of_this_machine(host: str) -> None:
    assert not Allowed().may_permit(host)
    assert not Allowed.of(["10.0.0.0/8", "localhost.example"]).may_permit(host)
    assert Allowed.of(["127.0.0.1"]).may_permit(host)
    assert Allowed.of([host.lower().rstrip(".")]).may_permit(host)

"""Networks in Sendmail's words take the addresses of a network, and no other."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from roles.mta.networks import access_keys, expression
from roles.mta.rules import Network

BASES = ("192.0.2.77", "10.255.0.9", "2001:db8:90a:bc0:5678::1", "2001:0:a::ffff", "::1", "ffff:ffff::")


def written(address: IPv4Address | IPv6Address) -> str:
    """Return an address as ${client_addr} has it: IPv6 with all its groups, none led by zeros."""
    if isinstance(address, IPv4Address):
        return str(address)
    return "IPv6:" + ":".join(f"{int(group, 16):x}" for group in address.exploded.split(":"))


def networks() -> Iterator[Network]:
    for base in BASES:
        for length in range(ip_address(base).max_prefixlen + 1):
            yield ip_network(f"{base}/{length}", strict=False)


def around(network: Network) -> Iterator[IPv4Address | IPv6Address]:
    """Give addresses on both sides of a network's two borders, some within, and each with one bit changed."""
    first, last = int(network.network_address), int(network.broadcast_address)
    for each in (first, last, first + (last - first) // 3):
        for number in (each - 1, each, each + 1, *(each ^ 1 << bit for bit in range(network.max_prefixlen))):
            if 0 <= number < 1 << network.max_prefixlen:
                yield (IPv4Address if network.version == 4 else IPv6Address)(number)


def test_an_expression_takes_a_networks_addresses_and_no_other() -> None:
    for network in networks():
        pattern = re.compile(expression(network))
        for address in around(network):
            assert bool(pattern.search(written(address))) == (address in network), (network, address)


@pytest.mark.parametrize("text", ["192.0.2.7/32", "192.0.2.0/24", "2001:db8::/32"])
def test_an_expression_takes_nothing_but_a_whole_address(text: str) -> None:
    network = ip_network(text)
    address = written(network.network_address)
    for other in (
        f"{address}0.0",
        f"1{address}",
        f"{address} ",
        f"x.{address}",
        address.upper() + ".example",
    ):
        assert not re.search(expression(network), other)


def found(address: IPv4Address | IPv6Address, keys: set[str]) -> bool:
    """Look an address up as Sendmail does (cf/README, access_db): the whole, then without its last octet or group, and on."""
    text = written(address)
    sign = "." if address.version == 4 else ":"
    parts = text.removeprefix("IPv6:").split(sign)
    head = "IPv6:" if address.version == 6 else ""
    return any(head + sign.join(parts[:number]) in keys for number in range(1, len(parts) + 1))


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.7/32",
        "192.0.2.64/27",
        "192.0.2.0/24",
        "192.0.0.0/20",
        "10.0.0.0/8",
        "8.0.0.0/5",
        "2001:db8::/32",
        "2001:db8:f0::/44",
        "2001:db8::1/128",
        "2001:db8::fff0/124",
        "2000::/3",
    ],
)
def test_the_access_database_finds_a_networks_addresses_and_no_other(text: str) -> None:
    network = ip_network(text)
    keys = list(access_keys(network))
    assert len(keys) == len(set(keys))
    for address in around(network):
        assert found(address, set(keys)) == (address in network), (network, address)


def test_a_network_at_a_border_is_one_key() -> None:
    assert list(access_keys(ip_network("192.0.2.0/24"))) == ["192.0.2"]
    assert list(access_keys(ip_network("192.0.2.7"))) == ["192.0.2.7"]
    assert list(access_keys(ip_network("2001:db8::/32"))) == ["IPv6:2001:db8"]
    assert list(access_keys(ip_network("192.0.2.4/31"))) == ["192.0.2.4", "192.0.2.5"]

"""The ruleset of whatever settings an administrator may give."""

import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from roles.firewall.defences import FAMILIES
from roles.firewall.defences import FILTERING as DEFENCES
from roles.firewall.ruleset import ruleset
from tests.unit.roles.examples import gateway
from tests.unit.roles.test_ruleset import accepted, rules


def networks(version: int) -> st.SearchStrategy[str]:
    """Return networks as an administrator writes them, in the address space that hosts have (RFC 4291 2.5.4)."""
    if version == 4:
        return st.builds(
            lambda address, length: str(IPv4Network((address, length), strict=False)),
            st.ip_addresses(v=4),
            st.integers(8, 32),
        )
    return st.builds(
        lambda address, length: str(IPv6Network((address, length), strict=False)),
        st.ip_addresses(v=6, network="2000::/3"),
        st.integers(16, 128),
    )


RESOLVERS = st.lists(st.ip_addresses(v=4) | st.ip_addresses(v=6, network="2000::/3"), max_size=4, unique=True)
PORT = st.integers(1, 65535)
CHOSEN: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "admin_networks": st.lists(networks(4) | networks(6), min_size=1, max_size=5, unique=True),
        "resolvers": RESOLVERS.map(lambda addresses: [str(address) for address in addresses]),
        "relay_domains": st.dictionaries(
            st.integers(0, 9).map(lambda number: f"d{number}.example"),
            PORT.map(lambda port: f"[192.0.2.1]:{port}"),
            min_size=1,
            max_size=4,
        ),
        "sshd_port": PORT.filter(lambda port: port != 25),
    }
)


def as_the_kernel_prints(text: str) -> str:
    """Return an address or network in the kernel's own spelling."""
    network = ip_network(text)
    address = network.network_address
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    return f"{socket.inet_ntop(family, address.packed)}/{network.prefixlen}"


@settings(deadline=None)
@given(CHOSEN)
def test_any_settings_give_well_formed_rules_in_the_kernels_spelling(chosen: dict[str, Any]) -> None:
    made = gateway(**chosen)
    for family in FAMILIES:
        found = rules(ruleset(DEFENCES, made, family))
        for rule in found:
            for address in re.findall(r"-[sd] (\S+)", rule["match"]):
                assert address == as_the_kernel_prints(address)
                assert isinstance(
                    ip_network(address).network_address, IPv4Address if family == 4 else IPv6Address
                )
            for port in re.findall(r"--dport (\S+)", rule["match"]):
                assert 1 <= int(port) <= 65535


@settings(deadline=None)
@given(CHOSEN)
def test_each_administrators_network_and_nobody_else_reaches_sshd(chosen: dict[str, Any]) -> None:
    made = gateway(**chosen)
    reached = [
        source
        for family in FAMILIES
        for match in accepted("INPUT", "firewall.ssh", family, made)
        for source in re.findall(r"^-s (\S+)", match)
    ]
    assert sorted(reached) == sorted(chosen["admin_networks"])

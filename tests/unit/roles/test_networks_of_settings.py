"""Networks: each setting that takes some refuses what any of its readers would skip, cut or read in another way."""

from typing import Any

import pytest

from roles.errors import SettingError
from roles.forms import network_problem
from tests.unit.roles.examples import gateway

# Each setting that takes networks, as it is given one.
SETTINGS: dict[str, Any] = {
    "admin_networks": lambda text: {"admin_networks": [text]},
    "dnsbl_allow": lambda text: {"dnsbl_allow": [text]},
    "internal_networks": lambda text: {"internal_networks": [text]},
    "relay_networks": lambda text: {"relay_networks": [{"network": text}]},
    "mta_limits.exempt": lambda text: {"mta_limits": {"exempt": [text]}},
    "firewall.bogons_in_use": lambda text: {"firewall": {"bogons_in_use": [text]}},
    "firewall.mirrors": lambda text: {"firewall": {"mirrors": [text]}},
    "firewall.never_banned": lambda text: {"firewall": {"never_banned": [text]}},
    "firewall.zones": lambda text: {
        "firewall": {
            "zones": {
                "outside": {"interface": "eth0", "services": ["smtp", "ssh"]},
                "inside": {"interface": "eth1", "networks": [text], "services": ["smtp", "ssh"]},
            }
        }
    },
    "mta_rules.client": lambda text: {
        "mta_rules": {"client": [{"id": "one", "match": text, "verb": "reject", "reason": "a test"}]}
    },
}
BAD = {
    "192.0.2.1/24": "not a network|no address or network",
    "192.0.2.0/255.255.255.0": "write '192.0.2.0/24'",
    "192.0.2.0/0.0.0.255": "write '192.0.2.0/24'",
    "192.0.2.0/024": "write '192.0.2.0/24'",
    "2001:db8::1/48": "not a network|no address or network",
    "2001:db8::/048": "write '2001:db8::/48'",
    "fe80::%1/64": "scope",
    "::ffff:192.0.2.0/120": "IPv4's",
    "192.0.2.0/24 ": "not a network|no address or network",
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("text", BAD)
def test_b9_no_setting_takes_a_network_that_one_of_its_readers_would_skip(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=BAD[text]) as raised:
        gateway(**SETTINGS[name](text))
    assert f"`{name}" in str(raised.value)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "text", ["192.0.2.0/24", "192.0.2.7", "2001:db8::/48", "2001:DB8:0::/48", "2001:db8::7"]
)
def test_every_setting_takes_networks_and_addresses_of_both_families(name: str, text: str) -> None:
    assert network_problem(text) == ""
    gateway(**SETTINGS[name](text))


def listed(name: str, texts: list[str]) -> dict[str, Any]:
    """Return a setting that takes networks with several of them."""
    if name == "relay_networks":
        return {name: [{"network": each, "reason": "x"} for each in texts]}
    layer, dot, rest = name.partition(".")
    return {layer: {rest: texts}} if dot else {name: texts}


@pytest.mark.parametrize(
    "name", ["relay_networks", "internal_networks", "dnsbl_allow", "firewall.never_banned"]
)
@pytest.mark.parametrize(
    "texts",
    [
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["128.0.0.0/1"],
        ["0.0.0.0/2", "128.0.0.0/2"],
        [f"{first}.0.0.0/8" for first in range(64, 192)],
        ["::/1"],
        ["8000::/1"],
        ["2000::/3"],
        ["2000::/4"],
        ["2000::/5", "3000::/5"],
        ["0.0.0.0/0"],
        ["::/0"],
    ],
    ids=lambda texts: texts[0],
)
def test_13_no_setting_takes_half_the_internet_in_one_or_in_parts(name: str, texts: list[str]) -> None:
    with pytest.raises(SettingError, match=r"half the internet or more|the whole internet") as raised:
        gateway(**listed(name, texts))
    assert f"`{name}" in str(raised.value)


def test_13_what_is_outbound_is_looked_at_together() -> None:
    with pytest.raises(SettingError, match="`internal_networks`"):
        gateway(**listed("relay_networks", ["0.0.0.0/2"]), **listed("internal_networks", ["64.0.0.0/2"]))


def test_13_large_networks_that_are_somebodys_are_taken() -> None:
    own = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "2001:db8::/32", "0.0.0.0/2"]
    assert gateway(**listed("relay_networks", own), **listed("dnsbl_allow", own))

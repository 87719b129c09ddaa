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

"""A zone on an interface that the host does not have is seen before anything changes."""

from typing import Any

import pytest

from roles.firewall.beginning import absent
from tests.unit.roles.examples import SETTINGS, gateway
from tests.unit.roles.plans import Case, plans
from tests.unit.roles.test_layers import BARE

THERE = ["lo", "ens18", "ens19"]


def zones(**interfaces: str) -> dict[str, Any]:
    # Where administrators and mail come in, and what else there is.
    return {
        "zones": {
            name: {
                "interface": each,
                **({"services": ["smtp", "ssh"]} if name == "wan" else {"networks": ["10.9.0.0/16"]}),
            }
            for name, each in interfaces.items()
        }
    }


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        ({"wan": "ens18"}, ""),
        ({"wan": "ens18", "vpn": "wg+"}, ""),
        ({"wan": "eth0"}, "'eth0' of `firewall.zones.wan`"),
        ({"wan": "ens18", "lan": "ens1"}, "'ens1' of `firewall.zones.lan`"),
    ],
)
def test_an_interface_that_is_not_there_is_named_with_those_that_are(
    names: dict[str, str], lacking: str
) -> None:
    said = absent(gateway(firewall=zones(**names)).firewall, THERE)
    assert lacking in said
    assert bool(said) is bool(lacking)
    assert not said or "it has ens18, ens19: " in said


def test_a_deploy_to_an_interface_that_is_not_there_changes_nothing() -> None:
    found = plans(
        {
            name: Case(
                target="deploy.py",
                data={**SETTINGS, "firewall": zones(wan=name)},
                responses={**BARE, "/sys/class/net": THERE},
            )
            for name in ("eth0", "ens18")
        }
    )
    assert "it has no interface 'eth0'" in found["eth0"].error
    assert found["eth0"].commands == []
    assert found["ens18"].error == ""

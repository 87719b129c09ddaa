"""The Vagrantfile says what lab/plan.py says: the same networks, addresses and names."""

import re
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from lab import plan

FOLDER = Path(__file__).parents[3] / "vagrant"
TEXT = (FOLDER / "Vagrantfile").read_text()
LAB = plan.plan_lab(name="unit", index=0, gateways=1, directory=Path("/nowhere"))
HOST_OF = {"gateway": "gw1", "mailhost": "mailhost"}


def prefix(network: str) -> tuple[str, str]:
    found = re.search(rf'"{network}" => \["([^"]+)", "([^"]+)"\]', TEXT)
    assert found is not None
    return found[1], found[2]


def legs(machine: str) -> dict[str, list[int]]:
    found = re.search(rf'"{machine}" => \{{.*legs: \{{ (.*?) \}} \}}', TEXT)
    assert found is not None
    return {
        network: [int(number) for number in numbers.split(",")]
        for network, numbers in re.findall(r'"(\w+)" => \[([\d, ]+)\]', found[1])
    }


def addresses(machine: str, network: str) -> list[tuple[str, str]]:
    v4, v6 = prefix(network)
    return [
        (f"{v4}.{number}", str(IPv6Address(f"{v6}:{number}"))) for number in legs(machine).get(network, [])
    ]


@pytest.mark.parametrize("machine", HOST_OF)
def test_hosts_have_the_lab_s_addresses_and_names(machine: str) -> None:
    host = LAB.hosts[HOST_OF[machine]]
    wanted = {
        "wan": [(host.wan4, host.wan6)] if host.wan4 else [],
        "lan": [(host.lan4, host.lan6)] if host.lan4 else [],
    }
    assert {network: addresses(machine, network) for network in wanted} == wanted
    assert f'"{machine}" => {{ name: "{host.fqdn}"' in TEXT


def test_attacker_has_the_vantages_of_wan() -> None:
    assert tuple(legs("attacker")["wan"]) == plan.WAN_VANTAGES
    assert addresses("attacker", "lan") == []
    for v4, v6 in addresses("attacker", "wan"):
        number = int(v4.rpartition(".")[2])
        assert (v4, v6) == (str(plan.WAN4[number]), plan.v6(plan.WAN6, number))


def test_mailhost_gets_the_lab_s_own_sink() -> None:
    assert 'source: "../lab/sink.py"' in TEXT
    assert (FOLDER.parent / "lab" / "sink.py").is_file()

"""The address plan: distinct, inside its networks, and impossible labs refused."""

from ipaddress import ip_address
from itertools import chain
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.plan import (
    CONTAINER,
    LAN4,
    LAN6,
    MOST_GATEWAYS,
    MOST_LABS,
    VM,
    WAN4,
    WAN6,
    LabState,
    mgmt_network,
    plan_lab,
    v6,
)
from lab.platforms import DEBIAN12, DEBIAN13, EL

LONGEST_INTERFACE_NAME = 15  # IFNAMSIZ without its final zero


def lab(*, gateways: int = 1, index: int = 0, name: str = "lab") -> LabState:
    return plan_lab(name=name, index=index, gateways=gateways, directory=Path("/state", name))


def test_one_gateway_has_the_addresses_of_the_contract() -> None:
    planned = lab(index=3)
    assert list(planned.hosts) == ["gw1", "world", "mailhost"]
    gateway = planned.hosts["gw1"]
    assert (gateway.fqdn, gateway.short) == ("mx1.bastide.example", "mx1")
    assert (gateway.wan4, gateway.wan6) == ("198.51.100.21", "2001:db8:51::21")
    assert (gateway.lan4, gateway.lan6) == ("198.18.0.21", "2001:db8:18::21")
    assert (gateway.ssh_host, gateway.ssh_port, gateway.ssh_user) == ("198.18.103.21", 22, "root")
    world, mailhost = planned.hosts["world"], planned.hosts["mailhost"]
    assert (world.wan4, world.wan6, world.lan4, world.lan6) == (
        "198.51.100.53",
        "2001:db8:51::53",
        None,
        None,
    )
    assert (mailhost.wan4, mailhost.lan4, mailhost.lan6) == (None, "198.18.0.25", "2001:db8:18::25")
    assert planned.netns == {"wan": "bastide-lab-wan", "lan": "bastide-lab-lan"}


def test_the_largest_lab_has_no_address_twice_and_none_outside_its_network() -> None:
    planned = lab(gateways=MOST_GATEWAYS, index=MOST_LABS - 1)
    hosts = planned.hosts.values()
    assert len(planned.gateways) == MOST_GATEWAYS
    for network, addresses in (
        (WAN4, [host.wan4 for host in hosts]),
        (WAN6, [host.wan6 for host in hosts]),
        (LAN4, [host.lan4 for host in hosts]),
        (LAN6, [host.lan6 for host in hosts]),
        (planned.mgmt, [host.ssh_host for host in hosts]),
    ):
        given = [address for address in addresses if address is not None]
        assert len(set(given)) == len(given) > 0
        assert all(ip_address(address) in network for address in given)


def test_four_gateways_have_the_addresses_of_the_contract() -> None:
    assert [host.wan4 for host in lab(gateways=5).gateways] == [
        "198.51.100.21",
        "198.51.100.22",
        "198.51.100.23",
        "198.51.100.24",
        "198.51.100.105",
    ]


def test_interface_names_fit_and_differ_between_labs() -> None:
    labs = [lab(gateways=MOST_GATEWAYS, index=index) for index in (0, 9, 99)]
    links = list(chain.from_iterable([one.bridge, *map(one.veth, one.hosts.values())] for one in labs))
    assert len(set(links)) == len(links)
    assert max(map(len, links)) <= LONGEST_INTERFACE_NAME


def test_mgmt_networks_of_labs_do_not_overlap() -> None:
    networks = [mgmt_network(index) for index in range(MOST_LABS)]
    assert len(set(networks)) == MOST_LABS
    assert not any(network.overlaps(LAN4) for network in networks)


def test_v6_reads_like_the_decimal_number() -> None:
    assert v6(WAN6, 53) == "2001:db8:51::53"


@pytest.mark.parametrize("name", ["", "Lab", "a-b", "../up", "1a", "a" * 17, "a b", "a\n"])
def test_a_name_that_cannot_be_part_of_file_names_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="cannot be used"):
        lab(name=name)


@pytest.mark.parametrize("gateways", [0, -1, MOST_GATEWAYS + 1])
def test_an_impossible_number_of_gateways_is_refused(gateways: int) -> None:
    with pytest.raises(LabError, match="--gateways"):
        lab(gateways=gateways)


@pytest.mark.parametrize("index", [-1, MOST_LABS])
def test_an_index_outside_the_address_plan_is_refused(index: int) -> None:
    with pytest.raises(LabError, match="out of range"):
        lab(index=index)


def test_only_gateways_are_virtual_machines() -> None:
    planned = plan_lab(name="lab", index=0, gateways=2, directory=Path("/state/lab"), kind=VM)
    assert planned.kind == VM
    assert {host.name: host.kind for host in planned.hosts.values()} == {
        "gw1": VM,
        "gw2": VM,
        "world": CONTAINER,
        "mailhost": CONTAINER,
    }
    assert lab().kind == CONTAINER


def test_only_gateways_run_the_platform() -> None:
    planned = plan_lab(name="lab", index=0, gateways=2, directory=Path("/state/lab"), platform=DEBIAN13)
    assert planned.platform == DEBIAN13
    assert {host.name: host.platform for host in planned.hosts.values()} == {
        "gw1": DEBIAN13,
        "gw2": DEBIAN13,
        "world": DEBIAN12,
        "mailhost": DEBIAN12,
    }
    assert lab().platform == DEBIAN12


@pytest.mark.parametrize(
    ("platform", "kind", "said"),
    [
        ("debian11", CONTAINER, "no platform 'debian11': give --platform one of debian12, debian13, el"),
        (DEBIAN13, VM, "no virtual machine of debian13: leave out --kind vm"),
        (EL, VM, "no virtual machine of el: leave out --kind vm"),
    ],
)
def test_a_platform_that_the_lab_has_not_is_refused(platform: str, kind: str, said: str) -> None:
    with pytest.raises(LabError, match=said):
        plan_lab(name="lab", index=0, gateways=1, directory=Path("/state/lab"), kind=kind, platform=platform)


def test_hardware_addresses_differ_and_are_locally_administered_ones_of_one_host() -> None:
    macs = [host.mac(leg) for host in lab(gateways=MOST_GATEWAYS).gateways for leg in host.legs]
    assert len(set(macs)) == 3 * MOST_GATEWAYS
    assert all(int(mac[:2], 16) & 0b11 == 0b10 for mac in macs)

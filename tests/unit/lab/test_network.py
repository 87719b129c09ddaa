"""The commands that make the networks: each leg in its namespace, no way from one network to another."""

from pathlib import Path

from lab.network import _host_batch, _root_batch, _sysctl_script, _vantage_batch, namespaces
from lab.plan import VM, plan_lab

LAB = plan_lab(name="u1", index=7, gateways=2, directory=Path("/state/u1"))


def test_every_network_and_host_has_a_namespace_of_this_lab() -> None:
    assert len(set(namespaces(LAB))) == 6
    assert all(netns.startswith("bastide-u1-") for netns in namespaces(LAB))


def test_only_mgmt_ends_in_this_machines_own_namespace() -> None:
    lines = _root_batch(LAB).splitlines()
    here = [line for line in lines if line.startswith("link add") and "netns" not in line.split("type")[0]]
    assert len(here) == 1 + len(LAB.hosts)
    assert "address add 198.18.107.1/24 dev bl7" in lines


def test_each_host_has_the_legs_of_its_role() -> None:
    text = _root_batch(LAB)
    assert "link add wan0 netns bastide-u1-gw2 type veth peer name gw2 netns bastide-u1-wan" in text
    assert "link add lan0 netns bastide-u1-mailhost type veth peer name mailhost netns bastide-u1-lan" in text
    assert "wan0 netns bastide-u1-mailhost" not in text
    assert "lan0 netns bastide-u1-world" not in text


def test_wan_carries_the_addresses_that_probes_send_from() -> None:
    lines = _vantage_batch(LAB, "wan").splitlines()
    for address in ("198.51.100.10/24", "198.51.100.11/24", "198.51.100.66/24", "2001:db8:51::10/64"):
        assert any(line.startswith(f"address add {address} dev wan0") for line in lines)
    assert "link set mailhost master wan0 up" not in lines


def test_gateways_alone_have_a_default_route_and_it_is_the_wan() -> None:
    gateway = _host_batch(LAB, LAB.hosts["gw1"])
    assert "route add default via 198.51.100.10" in gateway
    assert "route add ::/0 via 2001:db8:51::10" in gateway
    assert "route add" not in _host_batch(LAB, LAB.hosts["world"])
    assert "route add" not in _host_batch(LAB, LAB.hosts["mailhost"])


def test_no_namespace_forwards() -> None:
    assert "echo 0 > ipv4/ip_forward" in _sysctl_script()
    assert "echo 0 > ipv6/conf/all/forwarding" in _sysctl_script()


def test_a_virtual_machine_has_no_leg_made_for_it_but_the_containers_beside_it_have() -> None:
    lab = plan_lab(name="u1", index=7, gateways=1, directory=Path("/state/u1"), kind=VM)
    text = "\n".join([_root_batch(lab), *(_vantage_batch(lab, network) for network in lab.netns)])
    assert "gw1" not in text
    assert "peer name mgmt0 netns bastide-u1-world" in text
    assert "link set mailhost master lan0 up" in text
    # It has a namespace all the same, for its process.
    assert "bastide-u1-gw1" in namespaces(lab)

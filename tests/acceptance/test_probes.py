"""The packet scans, in two network namespaces of their own: at a host without a filter, and at one with a good one.

Needs root and iproute2 and iptables.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from audit.place import Place
from audit.probes import Observation
from audit.vantage import Worker, entered
from roles.claims import Answers, Scan, Scanner
from tests.acceptance.lacking import lacks

# program: Debian package that has it
TOOLS = {"ip": "iproute2", "iptables-restore": "iptables", "ip6tables-restore": "iptables"}
ODD_PORTS = (1, 31337, 65535)
DECLARED = 25
WHISPER = 40123
REFUTED = Answers(answered=frozenset({22}), declared=frozenset({DECLARED}))
SCANNERS: tuple[Scanner, ...] = ("syn", "null", "fin", "xmas", "ack", "udp", "fragments")
SOURCE = {4: "198.18.77.1", 6: "2001:db8:77::1"}
TARGET = {4: "198.18.77.2", 6: "2001:db8:77::2"}
LISTEN = f"""
import select, socket, sys
ears = [socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) for port in {(DECLARED, *ODD_PORTS)}]
print("listening", flush=True)
while True:
    for ear in select.select(ears, [], [])[0]:
        ear.accept()[0].close()
"""
# What the firewall layer does for the scans, in its shortest form.
FILTER = """*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP
{neighbours}
-A INPUT -p tcp -m multiport --dports {ports} -j ACCEPT
COMMIT
"""
NEIGHBOURS = "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT\n-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT"


def _run(*command: str, stdin: str = "") -> None:
    subprocess.run(command, input=stdin, text=True, check=True, capture_output=True)


def _filtered(namespace: str, *ports: int) -> None:
    """Load a good filter that lets these TCP ports in."""
    listed = ",".join(map(str, ports))
    for tool, neighbours in (("iptables-restore", ""), ("ip6tables-restore", NEIGHBOURS)):
        ruleset = FILTER.format(neighbours=neighbours, ports=listed)
        _run("ip", "netns", "exec", namespace, tool, stdin=ruleset)


def _unfiltered(namespace: str) -> None:
    for tool in ("iptables", "ip6tables"):
        for rule in (["-P", "INPUT", "ACCEPT"], ["-F"]):
            _run("ip", "netns", "exec", namespace, tool, *rule)


@contextlib.contextmanager
def _pair() -> Iterator[tuple[str, str]]:
    """Make two namespaces joined by a veth pair, with addresses of both families."""
    tag = secrets.token_hex(3)
    names = (f"ta-{tag}-a", f"ta-{tag}-b")
    try:
        for name in names:
            _run("ip", "netns", "add", name)
        _run(
            "ip",
            "link",
            "add",
            "v0",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            "v0",
            "netns",
            names[1],
        )
        for name, addresses in zip(names, (SOURCE, TARGET), strict=True):
            inside = ("ip", "-n", name)
            if addresses is SOURCE:
                # Addresses that the kernel prefers (first of all; RFC 6724 5 rule 8): answers to the declared ones
                # must be heard all the same.
                _run(*inside, "addr", "add", "198.18.77.3/24", "dev", "v0")
                _run(*inside, "addr", "add", "2001:db8:77::3/64", "dev", "v0", "nodad")
            _run(*inside, "addr", "add", f"{addresses[4]}/24", "dev", "v0")
            _run(*inside, "addr", "add", f"{addresses[6]}/64", "dev", "v0", "nodad")
            for device in ("lo", "v0"):
                _run(*inside, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def networks() -> Iterator[tuple[Worker, str]]:
    """Give a worker in one namespace, and the name of the other, where a few odd ports listen."""
    if os.geteuid() != 0:
        lacks("packet scans need root: run the tests again with sudo")
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            lacks(f"this machine lacks {tool}: get it with 'apt-get install {package}'")
    with _pair() as (ours, theirs):
        command = ["ip", "netns", "exec", theirs, sys.executable, "-c", LISTEN]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as listener:
            assert listener.stdout is not None
            listener.stdout.readline()
            worker = entered(f"netns:{ours}")
            try:
                yield worker, theirs
            finally:
                worker.close()
                listener.kill()


def _place(*declared: int, thorough: bool = True) -> Place:
    return Place(
        vantage="wan",
        hostname="mx1.bastide.example",
        domain="bastide.example",
        size_limit=1,
        addresses=TARGET,
        sources=SOURCE,
        declared=dict.fromkeys((4, 6), declared),
        recipient="x@bastide.example",
        helo="x.example",
        thorough=thorough,
    )


def _scan(scanner: Scanner, family: int) -> Scan:
    expects = "declared" if scanner in {"syn", "fragments"} else "none"
    return Scan(scanner=scanner, family=family, expects=expects, refuted_by=REFUTED)  # type: ignore[arg-type]  # ids of parameters


def _looked(worker: Worker, scan: Scan, place: Place) -> Observation:
    return worker.ask(scan, place).result(60)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("scanner", SCANNERS)
def test_scan_breaks_without_filter(networks: tuple[Worker, str], scanner: Scanner, family: int) -> None:
    worker, theirs = networks
    _unfiltered(theirs)
    observation = _looked(worker, _scan(scanner, family), _place(DECLARED, thorough=False))
    assert observation.state == "broken", observation
    assert "answered: 1" in observation.seen or "answered: 2" in observation.seen, observation


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("scanner", SCANNERS)
def test_scan_holds_behind_filter(networks: tuple[Worker, str], scanner: Scanner, family: int) -> None:
    worker, theirs = networks
    _filtered(theirs, DECLARED)
    observation = _looked(worker, _scan(scanner, family), _place(DECLARED))
    assert observation.state == "held", observation


@pytest.mark.parametrize("family", [4, 6])
def test_odd_open_ports_are_found_behind_a_filter(networks: tuple[Worker, str], family: int) -> None:
    worker, theirs = networks
    _filtered(theirs, DECLARED, *ODD_PORTS)
    observation = _looked(worker, _scan("syn", family), _place(DECLARED))
    assert observation.seen == "answered: 1, 25, 31337, 65535; declared: 25 (all ports asked)"
    assert _looked(worker, _scan("syn", family), _place(DECLARED, *ODD_PORTS)).state == "held"


@pytest.mark.parametrize("family", [4, 6])
def test_all_closed_ports_of_an_open_host_are_heard(networks: tuple[Worker, str], family: int) -> None:
    worker, theirs = networks
    _unfiltered(theirs)
    observation = _looked(worker, _scan("syn", family), _place(DECLARED))
    assert "and 65523 more" in observation.seen


@pytest.mark.parametrize("family", [4, 6])
def test_silence_of_a_dead_host_proves_nothing(networks: tuple[Worker, str], family: int) -> None:
    worker, theirs = networks
    _filtered(theirs, WHISPER)
    observation = _looked(worker, _scan("fin", family), _place(DECLARED))
    assert observation.state == "broken"
    assert "silence to fin says nothing" in observation.seen

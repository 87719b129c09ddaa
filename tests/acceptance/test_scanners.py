"""What scanners of others say of a deployed gateway, of those that take a minute at most; docs/scanners.md has the rest."""

import subprocess
import sys

import pytest

from audit.scanners import exposure, ssh_audit, testssl
from audit.scanners.figures import Figure
from audit.scanners.host import FOLDER, Scanned
from audit.scanners.shim import shown
from audit.target import Target
from lab.plan import LabState
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.lacking import OF_APT

pytestmark = OF_APT

# Asks, as a neighbour on the link, who has an address, and prints the answers' own hardware addresses.
_ASK = """
import sys
from scapy.all import ARP, Ether, conf, srp
conf.verb = 0
answered, _ = srp(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst=sys.argv[1]), iface=sys.argv[2], timeout=1)
print(*(reply.hwsrc for _, reply in answered))
"""


def test_ssh_audit_finds_nothing_without_a_reason(target: Target) -> None:
    _good(list(ssh_audit.scanned(target)))


def test_testssl_finds_nothing_critical_high_or_medium(target: Target) -> None:
    _good(list(testssl.scanned(target)))


def test_systemd_calls_no_daemon_with_a_network_exposed(target: Target) -> None:
    _good(list(exposure.scanned(Scanned(target))))


def _good(figures: list[Figure]) -> None:
    assert figures
    assert [each for each in figures if each.judged != "good"] == []


def test_a_scan_leaves_nothing_on_the_host(target: Target, gateway: GatewayHost) -> None:
    installed = "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' | sort"
    before = gateway.run(installed)
    host = Scanned(target)
    with host.packages(["linux-base"]):
        host.brought("file", b"content")
        assert "linux-base installed" in gateway.run(installed)
    assert gateway.run(installed) == before
    assert gateway.run(f"ls -d {FOLDER} 2>/dev/null; true") == ""


def test_what_a_killed_scan_left_the_next_one_takes_away(target: Target, gateway: GatewayHost) -> None:
    host = Scanned(target)
    killed = host.packages(["linux-base"])
    killed.__enter__()  # a block that never comes to its end
    host.cleared()
    assert gateway.run("dpkg-query -W linux-base 2>/dev/null; true") == ""


def test_only_the_scanner_sees_copies_of_kernel_parameters(target: Target) -> None:
    """In a container the file's values stand in copies, which nobody else on the host meets."""
    host = Scanned(target)
    asked = "cat /proc/sys/kernel/kptr_restrict /proc/sys/vm/mmap_min_addr"
    real = host.run(asked)
    assert host.run(shown(asked)).split() == ["2", "65536"]
    assert host.run(asked) == real
    assert (
        host.run("findmnt --noheadings --list --output TARGET | grep -c '^/proc/sys/kernel$'; true") == "0\n"
    )


@pytest.mark.parametrize(("asked", "answers"), [("wan4", True), ("lan4", False)])
def test_a_neighbour_on_wan_learns_no_address_of_other_sides(
    lab: LabState,
    asked: str,
    answers: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """hardening.arp: by default every interface answers for all addresses of the host."""
    netns = lab.netns["wan"]
    links = ["ip", "-n", netns, "-o", "-4", "address", "show", "to", "198.51.100.0/24"]
    interface = subprocess.run(links, capture_output=True, text=True, check=True).stdout.split()[1]
    done = subprocess.run(
        [
            *("ip", "netns", "exec", netns, sys.executable, "-c", _ASK),
            getattr(lab.hosts["gw1"], asked),
            interface,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert bool(done.stdout.strip()) is answers

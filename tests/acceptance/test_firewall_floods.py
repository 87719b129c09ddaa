"""Floods, scans and forged packets, in the lab: what the packet filter makes of them while mail goes on."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from audit.samples import Letter, build
from lab.plan import WAN4
from tests.acceptance.flood import ROOT, command, done_in
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.letters import mark
from tests.acceptance.outside import Outside

# Neither has any privilege: the sender may send for sender.example, the other one is a stranger.
# Each is counted for a minute and more, so that each is used for one thing.
SENDER, STRANGER, THIRD, PATIENT, SCANNER, LOUD = (
    f"198.51.100.{number}" for number in (11, 73, 72, 71, 68, 69)
)
DELIVERED_SECONDS = 5.0
# Closed everywhere, and never the same twice in a row.
CLOSED = list(range(3000, 3060))


@pytest.fixture
def sender(wan: Outside, gateway: GatewayHost) -> Outside:
    """Return a sender that the MTA knows: a stranger is made to wait once a day, flood or not."""
    known = replace(wan, source=SENDER)
    delivered(known, gateway)
    return known


@pytest.fixture(autouse=True)
def _nobody_banned(gateway: GatewayHost) -> Iterator[None]:
    yield
    for family in (4, 6):
        gateway.run(f"ipset flush bastide-banned{family}; ipset flush bastide-probed{family}")


def delivered(outside: Outside, gateway: GatewayHost) -> float:
    """Send a clean message, see it arrive, and return how long the dialogue took, in seconds."""
    unique = mark()
    letter = Letter(
        unique=unique, sender="alice@sender.example", recipient="bob@bastide.example", size_limit=1_000_000
    )
    started = time.monotonic()
    assert outside.sent(build("clean", letter)).startswith("250 ")
    took = time.monotonic() - started
    gateway.awaited(unique)
    return took


@contextmanager
def under_way(netns: str, deed: str, **arguments: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command(netns, deed, **arguments), cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def banned(gateway: GatewayHost, address: str) -> bool:
    name = "bastide-banned6" if ":" in address else "bastide-banned4"
    return gateway.run(f"ipset test {name} {address} 2>/dev/null && echo yes || echo no").strip() == "yes"


def count(gateway: GatewayHost, tool: str, chain: str, target: str) -> int:
    """Return how many packets have met a chain's rules with a target."""
    rows = [line.split() for line in gateway.run(f"{tool} -nvxL {chain}").splitlines()]
    return sum(int(row[0]) for row in rows if len(row) > 2 and row[2] == target)


def test_mail_is_delivered_during_a_flood_of_forged_syns(
    sender: Outside, wan: Outside, gateway: GatewayHost
) -> None:
    # Every address of the network takes part, the sender's own and the gateway's too: 40,000 packets.
    sources = [str(address) for address in WAN4.hosts()]
    before = time.monotonic()
    with under_way(
        wan.netns, "syns", sources=sources, target=wan.address, ports=[25], count=40_000, rate=4000
    ) as flood:
        time.sleep(2)
        took = [delivered(sender, gateway) for _ in range(2)]
        assert flood.poll() is None, "the flood was over before the mail was sent"
        said, _ = flood.communicate(timeout=60)
    assert json.loads(said)["sent"] == 40_000
    assert time.monotonic() - before >= 8
    assert max(took) < DELIVERED_SECONDS, took


def test_one_source_with_500_connections_starves_nobody(
    sender: Outside, wan: Outside, gateway: GatewayHost
) -> None:
    with under_way(wan.netns, "held", source=STRANGER, target=wan.address, count=500) as holding:
        assert holding.stdout is not None
        seen = json.loads(holding.stdout.readline())
        # The burst of 100, and ten for each second that it took.
        assert 0 < seen["open"] <= 160
        assert delivered(sender, gateway) < DELIVERED_SECONDS
        limited = count(gateway, "iptables", "limited", "REJECT")
    assert limited >= 300


def test_syns_of_one_address_are_answered_up_to_a_bound(wan: Outside) -> None:
    # H04. 2,000 at once: the burst of 400, and what a second or two more lets in.
    seen = done_in(wan.netns, "answered", source=THIRD, target=wan.address, count=2000)
    assert 100 <= seen["heard"] <= 1200
    # It was that address's bound, and nobody else's.
    assert done_in(wan.netns, "answered", source=STRANGER, target=wan.address, count=50)["heard"] == 50


def test_who_scans_is_banned_and_what_stands_goes_on(wan: Outside, gateway: GatewayHost) -> None:
    assert done_in(wan.netns, "reached", source=SCANNER, target=wan.address, port=25) == {"open": True}
    with under_way(wan.netns, "held", source=SCANNER, target=wan.address, count=1) as holding:
        assert holding.stdout is not None
        assert json.loads(holding.stdout.readline()) == {"open": True}
        done_in(wan.netns, "syns", sources=[SCANNER], target=wan.address, ports=CLOSED, count=60, rate=100)
        assert banned(gateway, SCANNER)
        assert done_in(wan.netns, "reached", source=SCANNER, target=wan.address, port=25) == {"open": False}
        assert holding.stdin is not None
        holding.stdin.write("?\n")
        holding.stdin.flush()
        assert json.loads(holding.stdout.readline()) == {"answered": 1}
    # It ends by itself, and it says when.
    assert (
        0
        < int(
            gateway.run("ipset list bastide-banned4 | sed -n 's/.*timeout \\([0-9]*\\)$/\\1/p' | tail -n 1")
        )
        <= 600
    )
    assert not banned(gateway, SENDER)


def test_a_flood_of_many_forged_sources_hides_no_scanner_and_stops_no_mail(
    sender: Outside, wan: Outside, gateway: GatewayHost
) -> None:
    # H04. More sources than a rule's table of clients holds by default, to a closed port and to SMTP; their answers stay in the lab.
    forged = {"sources": ["11.0.0.0/15"], "target": wan.address, "rate": 10_000}
    with (
        under_way(wan.netns, "syns", ports=[3000], count=90_000, **forged) as closed,
        under_way(wan.netns, "syns", ports=[25], count=90_000, **forged) as smtp,
    ):
        for flood in (closed, smtp):
            flood.communicate(timeout=120)
    done_in(wan.netns, "syns", sources=[LOUD], target=wan.address, ports=CLOSED, count=60, rate=100)
    assert banned(gateway, LOUD)
    assert done_in(wan.netns, "reached", source=STRANGER, target=wan.address, port=25) == {"open": True}
    assert delivered(sender, gateway) < DELIVERED_SECONDS


def test_one_port_tried_often_is_no_scan(wan: Outside, gateway: GatewayHost) -> None:
    done_in(wan.netns, "syns", sources=[PATIENT], target=wan.address, ports=[3000, 3001], count=200, rate=200)
    assert not banned(gateway, PATIENT)


def test_administrators_and_the_audit_scan_unharmed(wan: Outside, gateway: GatewayHost) -> None:
    admin = str(gateway.lab.mgmt[1])
    done_in("", "syns", sources=[admin], target=gateway.host.ssh_host, ports=CLOSED, count=60, rate=100)
    done_in(wan.netns, "syns", sources=[wan.source], target=wan.address, ports=CLOSED, count=60, rate=100)
    assert not banned(gateway, admin)
    assert not banned(gateway, wan.source)
    assert done_in("", "reached", source=admin, target=gateway.host.ssh_host, port=22) == {"open": True}
    # Not even who bans the administrators' network by hand keeps them out.
    with gateway.altered(f"ipset add bastide-banned4 {admin}", f"ipset del bastide-banned4 {admin}"):
        assert done_in("", "reached", source=admin, target=gateway.host.ssh_host, port=22) == {"open": True}


def test_an_ipv6_scanner_is_banned_with_its_whole_network(wan: Outside, gateway: GatewayHost) -> None:
    # Each packet of the scan comes from another address of one /64, which is no bogon.
    sources = [f"2a0f:52::{number:x}" for number in range(1, 61)]
    done_in(wan.netns, "syns", sources=sources, target=gateway.host.wan6, ports=CLOSED, count=60, rate=100)
    assert banned(gateway, "2a0f:52::ffff")
    assert not banned(gateway, "2a0f:53::1")


@pytest.mark.parametrize(
    ("tool", "source"),
    [
        ("iptables", "10.1.2.3"),
        ("iptables", "172.16.9.9"),
        ("ip6tables", "3fff::9"),
        ("ip6tables", "fc00::9"),
        # At home behind lan0, and the gateway's own.
        ("ip6tables", "2001:db8:18::10"),
        ("ip6tables", "2001:db8:51::21"),
    ],
)
def test_forged_sources_are_dropped(tool: str, source: str, wan: Outside, gateway: GatewayHost) -> None:
    # H05. IPv4 packets from a network behind another interface do not come so far: hardening.rp-filter.
    target = gateway.host.wan6 if ":" in source else wan.address
    before = count(gateway, tool, "spoofed", "DROP")
    done_in(wan.netns, "syns", sources=[source], target=target, ports=[25], count=20, rate=100)
    assert count(gateway, tool, "spoofed", "DROP") - before >= 20


def test_drops_are_logged_less_often_than_they_come(wan: Outside, gateway: GatewayHost) -> None:
    # H04. The kernel writes no log for a container (net.netfilter.nf_log_all_netns); its rules' counters say what it would.
    before = count(gateway, "iptables", "scanned", "LOG")
    done_in(wan.netns, "syns", sources=[THIRD], target=wan.address, ports=[3000], count=500, rate=1000)
    assert 1 <= count(gateway, "iptables", "scanned", "LOG") - before <= 10

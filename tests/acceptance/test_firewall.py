"""The packet filter of a live gateway: what nmap sees, who gets out, what ICMP is answered, what the audit names."""

import re
import shutil
import subprocess
import sys

import pytest

from lab.plan import LabState
from roles.firewall.owners import MTA_USERS
from roles.platforms import row
from tests.acceptance.flood import done_in
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.lacking import lacks
from tests.acceptance.outside import Outside
from tests.acceptance.test_breakage import FINDINGS, audited

# From where, of which family, and what is open there.
SEEN = [("wan", 4, {25}), ("wan", 6, {25}), ("lan", 4, {25}), ("lan", 6, {25}), ("mgmt", 4, {22, 25})]


@pytest.mark.parametrize(("side", "family", "ports"), SEEN)
def test_nmap_sees_the_declared_ports_and_no_other(
    side: str, family: int, ports: set[int], lab: LabState, gateway: GatewayHost
) -> None:
    # H03
    if not shutil.which("nmap"):
        lacks("nmap is not installed: apt install nmap")
    host = gateway.host
    address = {
        "wan": (host.wan4, host.wan6),
        "lan": (host.lan4, host.lan6),
        "mgmt": (host.ssh_host, None),
    }[side][family == 6]
    entry = [] if side == "mgmt" else ["ip", "netns", "exec", lab.netns[side]]
    source = {"wan": "2001:db8:51::10", "lan": "2001:db8:18::10"}.get(side, "")
    # Of its many IPv6 addresses the side scans from the audit's own, which is not banned for it.
    options = ["-6", "-S", source, "-e", f"{side}0"] if family == 6 else []
    done = subprocess.run(
        [
            *entry,
            "nmap",
            "-Pn",
            "-n",
            "-sS",
            "-p-",
            "--max-retries",
            "1",
            "--min-rate",
            "4000",
            "-oG",
            "-",
            *options,
            str(address),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found = {int(port) for port in re.findall(r"(\d+)/open/", done.stdout)}
    assert found == ports, done.stdout
    # Neither closed ports: nothing answers at all there.
    assert not re.search(r"\d+/closed/|Ignored State: closed", done.stdout), done.stdout


WORLD, MAIL = "198.51.100.53", "198.18.0.25"
YES, NO = "reached", "kept in"
MTA = MTA_USERS[SETTINGS.mta]
_OUT = [
    ("_apt", WORLD, 80, YES),
    ("clamav", WORLD, 80, YES),
    ("_mta-sts", WORLD, 443, YES),
    ("unbound", WORLD, 53, YES),
    (MTA, MAIL, 25, YES),
    # By the setting `firewall.egress`, which says no more than that.
    ("daemon", WORLD, 80, YES),
    ("daemon", WORLD, 443, NO),
    ("daemon", MAIL, 25, NO),
    ("root", WORLD, 80, NO),
    ("root", WORLD, 53, NO),
    ("root", MAIL, 25, NO),
    ("nobody", WORLD, 443, NO),
    ("filterd", MAIL, 25, NO),
    ("clamav", MAIL, 25, NO),
    ("clamav", WORLD, 53, NO),
    (MTA, WORLD, 80, NO),
    ("unbound", WORLD, 80, NO),
    ("_mta-sts", WORLD, 80, NO),
    ("_apt", WORLD, 22, NO),
]
HERE = row(SETTINGS)
# Where root fetches packages it gets out as who does so elsewhere.
OUT = [
    (HERE.user("freshclam" if user == "clamav" else user), *way)
    for user, *way in _OUT
    if (user != "root" or HERE.user("_apt") != "root" or way[1] == 25)
    and (user != "_mta-sts" or SETTINGS.tls.mta_sts)
]


def gets_out(gateway: GatewayHost, user: str, address: str, port: int) -> bool:
    script = f"exec 3<>/dev/tcp/{address}/{port}"
    as_user = f"setpriv --reuid={user} --clear-groups --inh-caps=-all"
    return (
        gateway.run(f"timeout 2 {as_user} bash -c '{script}' 2>/dev/null && echo yes || echo no").strip()
        == "yes"
    )


@pytest.mark.parametrize(("user", "heard"), [("root", "yes"), ("nobody", "no"), ("filterd", "no")])
def test_an_echo_is_roots_to_send(user: str, heard: str, gateway: GatewayHost) -> None:
    # H03: systemd lets every user send one (net.ipv4.ping_group_range), with whatever content.
    script = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(2); "
        f"s.sendto(bytes((8, 0, 0, 0, 0, 0, 0, 1)) + bytes(1000), ('{WORLD}', 0)); s.recv(2000)"
    )
    with gateway.altered(
        "sysctl -qw net.ipv4.ping_group_range='0 2147483647'",
        f"sysctl -qw net.ipv4.ping_group_range='{_pingers(gateway)}'",
    ):
        as_user = f"setpriv --reuid={user} --clear-groups --inh-caps=-all"
        said = gateway.run(f'{as_user} python3 -c "{script}" 2>/dev/null && echo yes || echo no').strip()
    assert said == heard


def _pingers(gateway: GatewayHost) -> str:
    return " ".join(gateway.run("sysctl -n net.ipv4.ping_group_range").split())


@pytest.mark.parametrize(("user", "address", "port", "expected"), OUT)
def test_each_user_gets_out_where_it_needs_to(
    user: str, address: str, port: int, expected: str, gateway: GatewayHost
) -> None:
    # H03
    assert gets_out(gateway, user, address, port) is (expected == YES)
    if expected == NO and port != 22:
        # It was the filter: with a rule for it the same user gets there.
        rule = f"OUTPUT -d {address} -p tcp --dport {port} -j ACCEPT"
        with gateway.altered(f"iptables -I {rule}", f"iptables -D {rule}"):
            assert gets_out(gateway, user, address, port)


# Sent by scapy from the wan side: what it is, and whether an answer comes.
ICMP = {
    "echo": ('IP(dst="198.51.100.21")/ICMP()', True),
    "timestamp": ('IP(dst="198.51.100.21")/ICMP(type=13)', False),
    "echo-ipv6": ('IPv6(src="2001:db8:51::10", dst="2001:db8:51::21")/ICMPv6EchoRequest()', True),
    "neighbour": (
        'IPv6(src="2001:db8:51::10", dst="2001:db8:51::21", hlim=255)/ICMPv6ND_NS(tgt="2001:db8:51::21")',
        True,
    ),
    "node-information": ('IPv6(src="2001:db8:51::10", dst="2001:db8:51::21")/ICMPv6NIQueryName()', False),
}


def answered(wan: Outside, packet: str) -> bool:
    program = (
        f"from scapy.all import *; conf.verb = 0; print(sr1({packet}, timeout=2, iface='wan0') is not None)"
    )
    done = subprocess.run(
        ["ip", "netns", "exec", wan.netns, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip() == "True"


@pytest.mark.parametrize("kind", list(ICMP))
def test_icmp_is_answered_as_rfc_4890_asks(kind: str, wan: Outside) -> None:
    packet, expected = ICMP[kind]
    assert answered(wan, packet) is expected


def test_a_timestamp_would_be_answered_but_for_the_filter(wan: Outside, gateway: GatewayHost) -> None:
    rules = [f"{chain} -p icmp -j ACCEPT" for chain in ("INPUT", "OUTPUT")]
    with gateway.altered(
        "; ".join(f"iptables -I {rule}" for rule in rules), "; ".join(f"iptables -D {rule}" for rule in rules)
    ):
        assert answered(wan, ICMP["timestamp"][0])


def test_a_flood_of_echo_requests_is_answered_in_part(wan: Outside) -> None:
    heard = done_in(wan.netns, "echoes", source=wan.source, target=wan.address, count=200)["heard"]
    assert 15 <= heard <= 60


STANDS = f'import socket, time; s = socket.create_connection(("{MAIL}", 25)); time.sleep(60)'
# What is done by hand, how it is undone, the defence, and the check that must name it.
BROKEN = {
    "listener": (
        "systemd-run --quiet --unit=by-hand python3 -m http.server 8099; sleep 1",
        "systemctl stop by-hand",
        "firewall.agreement",
        "firewall.agreement:ports that something listens on",
    ),
    # It stands since before there was a filter: by no rule would it come up again.
    "standing": (
        "\n".join(
            (
                f"iptables -I OUTPUT -d {MAIL} -p tcp --dport 25 -j ACCEPT",
                f"systemd-run --quiet --uid=games --unit=by-hand python3 -c '{STANDS}'",
                f"sleep 2; iptables -D OUTPUT -d {MAIL} -p tcp --dport 25 -j ACCEPT",
            )
        ),
        "systemctl stop by-hand",
        "firewall.agreement",
        "firewall.agreement:connections outwards that no way would let out anew",
    ),
    "opened": (
        "iptables -I INPUT -p udp --dport 161 -j ACCEPT",
        "iptables -D INPUT -p udp --dport 161 -j ACCEPT",
        "firewall.agreement",
        "firewall.agreement:IPv4 ports that rules open",
    ),
    "all-opened": (
        "ip6tables -I INPUT -s 2001:db8:66::/64 -j ACCEPT",
        "ip6tables -D INPUT -s 2001:db8:66::/64 -j ACCEPT",
        "firewall.agreement",
        "firewall.agreement:IPv6 ports that rules open",
    ),
    "owner": (
        "iptables -I OUTPUT -p tcp --dport 25 -j ACCEPT",
        "iptables -D OUTPUT -p tcp --dport 25 -j ACCEPT",
        "firewall.nothing-else",
        "firewall.nothing-else:IPv4 filter table",
    ),
    "bogon": (
        "iptables -D bogons -s 10.0.0.0/8 -m comment --comment firewall.bogons -j spoofed",
        "iptables-restore /etc/iptables/rules.v4",
        "firewall.bogons",
        "firewall.bogons:IPv4 bogons",
    ),
    "closed": (
        "sed -i 's/^:INPUT DROP/:INPUT ACCEPT/' /etc/iptables/closed.v6",
        "sed -i 's/^:INPUT ACCEPT/:INPUT DROP/' /etc/iptables/closed.v6",
        "firewall.closed-first",
        "firewall.closed-first:the shorter IPv6 rules",
    ),
    "backlog": (
        "sysctl -qw net.ipv4.tcp_max_syn_backlog=64",
        "sysctl -qw net.ipv4.tcp_max_syn_backlog=4096",
        "firewall.backlog",
        "firewall.backlog:net.ipv4.tcp_max_syn_backlog",
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_what_is_broken_by_hand_is_named(name: str, lab: LabState, gateway: GatewayHost) -> None:
    change, undo, only, named = BROKEN[name]
    with gateway.altered(change, undo):
        found = audited(lab, only)
        assert found.returncode == FINDINGS, found.stdout + found.stderr
        broken = [line for line in found.stdout.splitlines() if line.strip().startswith("broken")]
        assert any(named in line for line in broken), found.stdout
    healed = audited(lab, only)
    assert healed.returncode == 0, healed.stdout + healed.stderr

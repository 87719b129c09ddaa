"""Things broken by hand are seen: the audit names the defence and exits 2."""

import os
import subprocess
import sys

import pytest

from lab.plan import LabState
from tests.acceptance.gateway import ROOT, GatewayHost

FINDINGS = 2


def audited(lab: LabState, only: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audit", "inventory/lab.py", "--only", only],
        cwd=ROOT,
        env={**os.environ, "BASTIDE_LAB": lab.name},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


# What is done by hand, how it is undone, and the check that must name it.
BROKEN = {
    "banner": (
        "postconf -e 'smtpd_banner=$myhostname ESMTP Postfix (Debian/GNU)'; postfix reload",
        "postconf -e 'smtpd_banner=$myhostname ESMTP'; postfix reload",
        "mta.banner",
        ("mta.banner:smtpd_banner", "mta.banner:greeting-25-wan"),
    ),
    "port": (
        "systemd-run --quiet --unit=by-hand python3 -m http.server 8099; iptables -I INPUT -p tcp --dport 8099 -j ACCEPT; sleep 1",
        "systemctl stop by-hand; iptables -D INPUT -p tcp --dport 8099 -j ACCEPT",
        "firewall.default-drop",
        ("firewall.default-drop:syn-ipv4-wan",),
    ),
    "secret": (
        "chmod 666 /etc/filterd/filterd.toml",
        "chmod 640 /etc/filterd/filterd.toml",
        "filterd.private-files",
        ("filterd.private-files:/etc/filterd/filterd.toml",),
    ),
    "passwords": (
        "chmod 666 /etc/shadow",
        "chmod 640 /etc/shadow",
        "hardening.secret-files",
        ("hardening.secret-files:/etc/shadow",),
    ),
    "sysctl": (
        "sysctl -qw net.ipv4.conf.all.accept_redirects=1",
        "sysctl -qw net.ipv4.conf.all.accept_redirects=0",
        "hardening.no-redirects",
        ("hardening.no-redirects:net.ipv4.conf.all.accept_redirects",),
    ),
    "relay": (
        "postconf -e 'mynetworks=198.51.100.0/24'; postfix reload",
        "postconf -e 'mynetworks=127.0.0.0/8 [::1]/128'; postfix reload",
        "mta.no-open-relay",
        ("mta.no-open-relay:mynetworks", "mta.no-open-relay:relay-plain"),
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_found(name: str, lab: LabState, gateway: GatewayHost) -> None:
    change, undo, only, named = BROKEN[name]
    with gateway.altered(change, undo):
        found = audited(lab, only)
        assert found.returncode == FINDINGS, found.stdout + found.stderr
        broken = [line for line in found.stdout.splitlines() if line.strip().startswith("broken")]
        for item in named:
            assert any(item in line for line in broken), found.stdout
    healed = audited(lab, only)
    assert healed.returncode == 0, healed.stdout + healed.stderr


def test_unreachable_host_is_not_a_finding(lab: LabState, gateway: GatewayHost) -> None:
    rule = "INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -j DROP"
    # The way back must not need ssh: the host undoes it by itself.
    undo = f"systemd-run --quiet --on-active=20 --timer-property=AccuracySec=1s iptables -D {rule}"
    gateway.run(f"{undo}; iptables -I {rule}")
    said = audited(lab, "hardening.syncookies")
    assert said.returncode == 3, said.stdout + said.stderr
    subprocess.run(["sleep", "22"], check=True)
    assert audited(lab, "hardening.syncookies").returncode == 0

"""Kernel parameters: none that the kernel does not have is a difference, and no other file has the last word on an interface."""

import subprocess
from pathlib import Path

import pytest

from audit.judging import judged
from audit.probes.host import Answer
from roles.firewall.deploy import SYSCTL_FILE
from roles.hardening import paths
from roles.kinds import NO_PARAMETER, InterfaceSysctl, Sysctl
from roles.parameters import OTHERS, _different, overridden
from tests.unit.roles.examples import gateway

GATEWAY = gateway()
PATTERNS = {"net.ipv4.conf.*.rp_filter": "1", "net.ipv6.conf.*.accept_ra": "0"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("net.ipv4.conf.eth0.rp_filter = 0", ["net/ipv4/conf/eth0/rp_filter = 1"]),
        ("net.ipv4.conf.eth0/100.rp_filter=2", ["net/ipv4/conf/eth0.100/rp_filter = 1"]),
        ("net/ipv6/conf/eth0.100/accept_ra = 1", ["net/ipv6/conf/eth0.100/accept_ra = 0"]),
        # Taken out of what a pattern sets.
        ("  -net.ipv4.conf.eth0.rp_filter", ["net/ipv4/conf/eth0/rp_filter = 1"]),
        # As we have it, of all, by a pattern (the last one counts there), of a parameter that is not ours.
        ("net.ipv4.conf.eth0.rp_filter = 1", []),
        ("net.ipv4.conf.all.rp_filter = 0", []),
        ("net.ipv4.conf.eth*.rp_filter = 0", []),
        ("net.ipv4.conf.eth0.arp_notify = 1", []),
        ("net.ipv4.ip_forward = 1", []),
        ("", []),
    ],
)
def test_what_another_file_says_of_one_interface_is_taken_back(line: str, said: list[str]) -> None:
    assert overridden(PATTERNS, [line]) == said


def test_ours_are_the_last_files_and_are_not_asked_about_themselves() -> None:
    for path in (SYSCTL_FILE, paths.SYSCTL):
        name = Path(path).name
        assert name > "99-sysctl.conf"
        assert name.startswith("zz-bastide")
    assert "*/zz-bastide*) ;;" in OTHERS


def told(*settings: Sysctl | InterfaceSysctl) -> list[str]:
    done = subprocess.run(
        ["sh", "-c", _different(settings, GATEWAY)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_parameter_that_the_kernel_does_not_have_is_no_difference() -> None:
    # Of a Debian patch, and of a family that is switched off.
    absent = (Sysctl("kernel.no_such_parameter", "0"), InterfaceSysctl("net.ipv9.conf.*.accept_ra", "0"))
    here = Path("/proc/sys/kernel/ostype").read_text().strip()
    assert told(*absent, Sysctl("kernel.ostype", here), Sysctl("kernel.ostype", "other")) == ["kernel.ostype"]


@pytest.mark.parametrize(
    "setting", [Sysctl("kernel.no_such_parameter", "0"), InterfaceSysctl("net.ipv9.conf.*.accept_ra", "0")]
)
def test_the_audit_says_that_there_is_none(setting: Sysctl | InterfaceSysctl) -> None:
    done = subprocess.run(
        ["sh", "-c", setting.question(GATEWAY)], capture_output=True, text=True, check=False
    )
    answer = Answer(code=done.returncode, output=done.stdout, errors=done.stderr)
    seen = judged(setting, answer, GATEWAY, contained=False)
    assert (seen.state, seen.why) == ("not available", f"{NO_PARAMETER} as {setting.key}")


def test_what_comes_with_a_module_must_be_there() -> None:
    # Without the module it is not limited at all.
    question = Sysctl("net.netfilter.nf_conntrack_max", "262144").question(GATEWAY)
    assert NO_PARAMETER not in question

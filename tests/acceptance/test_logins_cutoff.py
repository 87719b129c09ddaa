"""Parameters of the network, and a configuration of sshd, that shut the administrator out: each goes back by itself (issue 6)."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from lab.access import ssh_argv
from lab.plan import LabState
from roles.hardening.paths import SSHD
from tests.acceptance.gateway import ROOT, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged

SECONDS: Final = 15
BACK_SECONDS: Final = 60
# The very operations that every deploy runs, with what no administrator gets past.
PARAMETERS = f"""
from roles.parameters import network_set

network_set(
    name="Believe no way but the one back",
    keys=["net.ipv4.conf.*.rp_filter"],
    question="grep -Lx 1 /proc/sys/net/ipv4/conf/*/rp_filter",
    values="net.ipv4.conf.all.rp_filter = 1\\nnet.ipv4.conf.default.rp_filter = 1\\nnet.ipv4.conf.*.rp_filter = 1",
    confirm_seconds={SECONDS},
)
"""
SSH = f"""
from roles.logins import logins_confirmed
from roles.rendering import OwnedFile

logins_confirmed(
    name="Listen where nobody is",
    files=[OwnedFile(path="{SSHD}", content="ListenAddress 127.0.0.1\\n", mode="600")],
    check="sshd -t -f $stage{SSHD}",
    daemon="ssh.service",
    guarding=["{SSHD}"],
    seconds={SECONDS},
)
"""


def says(gateway: GatewayHost, command: str) -> str:
    """Return what a new session hears; nothing where none comes about within two seconds."""
    argv = ssh_argv(gateway.host, options=["-o", "ConnectTimeout=2", "-o", "BatchMode=yes"])
    try:
        done = subprocess.run([*argv, command], capture_output=True, text=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


@contextmanager
def loading(lab: LabState, program: str, directory: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a deploy's file for the length of a block."""
    path = directory / "cut_off.py"
    path.write_text(program)
    run = [str(Path(sys.executable).with_name("pyinfra")), INVENTORY, str(path), "-y"]
    with subprocess.Popen(
        run,
        cwd=ROOT,
        env={**os.environ, "BASTIDE_LAB": lab.name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def answered_by_another_way(gateway: GatewayHost) -> Iterator[None]:
    """Have the gateway answer the administrator by the interface that he comes by, and believe that he lives behind another."""
    gateway.run(
        "set -- $SSH_CONNECTION; in=$(ip -o route get $1 | sed 's/.* dev \\([^ ]*\\) .*/\\1/'); "
        "other=$(ls /sys/class/net | grep -v -e '^lo$' -e \"^$in\\$\" | head -n 1)\n"
        'echo "$1 $in" >/root/by.kept\n'
        "sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.$in.rp_filter=0\n"
        "ip route add $1/32 dev $in table 100; ip rule add fwmark 9 table 100\n"
        "iptables -t mangle -A OUTPUT -d $1 -j MARK --set-mark 9\n"
        "ip route add $1/32 dev $other"
    )
    try:
        yield
    finally:
        gateway.run(
            "read -r from in </root/by.kept; rm -f /root/by.kept; ip route del $from/32; iptables -t mangle -F OUTPUT; "
            "ip rule del fwmark 9 table 100; ip route flush table 100"
        )


def came_back(gateway: GatewayHost, question: str, wanted: str) -> None:
    """Return when a new session hears what is wanted; it heard nothing before."""
    begun = time.monotonic()
    while says(gateway, "echo in"):
        assert time.monotonic() < begun + BACK_SECONDS, "nobody was ever shut out"
        time.sleep(0.5)
    shut_out = time.monotonic()
    while says(gateway, question) != wanted:
        assert time.monotonic() < shut_out + BACK_SECONDS
        time.sleep(1)


@pytest.fixture(scope="module")
def as_deployed(lab: LabState) -> Iterator[None]:
    """Leave the gateway as a deploy leaves it, and see that there was nothing to mend but what a test altered."""
    yield
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    unchanged(deploy("apply", INVENTORY, lab=lab.name))


@pytest.mark.usefixtures("as_deployed")
def test_a_strict_filter_of_ways_that_shuts_the_administrator_out_is_taken_back(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    asked = "cat /proc/sys/net/ipv4/conf/all/rp_filter"
    with answered_by_another_way(gateway), loading(lab, PARAMETERS, tmp_path) as process:
        came_back(gateway, asked, "0\n")
        process.kill()
        # And whoever has another way in can have it: the operation, confirmed, stays.
    with loading(lab, PARAMETERS, tmp_path) as process:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    time.sleep(SECONDS + 2)
    assert says(gateway, asked) == "1\n"


@pytest.mark.usefixtures("as_deployed")
def test_a_configuration_of_sshd_that_lets_nobody_in_is_taken_back(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    before = gateway.run(f"cat {SSHD}; stat -c %a {SSHD}")
    with loading(lab, SSH, tmp_path) as process:
        came_back(gateway, f"cat {SSHD}; stat -c %a {SSHD}", before)
        said, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "does not let this session in" in said
    assert f"comes back within {SECONDS} seconds" in said


# The same operation's way, up to the moment in which the host goes down: nobody has confirmed what is live.
UNCONFIRMED = f"""
from pyinfra.api import operation
from roles.confirming import armed
from roles.logins import _UNIT, _brought_back, _kept
from roles.operations import shell

@operation()
def died():
    own = (["{SSHD}", "/etc/pam.d/later"], "ssh.service")
    yield shell(armed(_UNIT, _kept(*own), _brought_back(*own), 600))
    yield shell("echo 'ListenAddress 127.0.0.1' >{SSHD}; touch /etc/pam.d/later")

died(name="Go down before anybody has confirmed")
"""


@pytest.mark.usefixtures("as_deployed")
def test_a_boot_brings_back_what_nobody_has_confirmed_before_sshd_starts(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    seen = f"cat {SSHD}; stat -c '%a %U' {SSHD}; ls /etc/pam.d/later 2>/dev/null; systemctl is-active bastide-logins-rollback.timer; true"
    before = gateway.run(seen)
    with loading(lab, UNCONFIRMED, tmp_path) as process:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    # What a boot does: it knows no timer of the one before, reads the units on disk, and runs what sysinit.target wants first.
    unit = "bastide-logins-back.service"
    gateway.run("systemctl stop bastide-logins-rollback.timer; systemctl daemon-reload")
    assert "later" in gateway.run(seen)
    assert unit in gateway.run("systemctl show --property Wants --value sysinit.target").split()
    ahead = gateway.run(f"systemctl show --property Before --value {unit}").split()
    assert {"sysinit.target", "ssh.service", "systemd-user-sessions.service"} <= set(ahead)
    assert gateway.run(f"systemd-analyze verify {unit} 2>&1") == ""
    gateway.run(f"systemctl start {unit}")
    assert gateway.run(seen) == before
    # And no boot after that does.
    assert (
        gateway.run(f"find /etc/systemd /var/lib/bastide -name '{unit}' -o -name 'logins-unconfirmed*'") == ""
    )
    gateway.run("systemctl daemon-reload")

"""A gateway with a kernel of its own: what a container cannot show is seen, before a reboot and after it.

Only `make accept KIND=vm` runs these, in their order.
"""

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from audit import engine
from audit.samples import EICAR
from audit.target import Target
from lab import lifecycle
from lab.hosts import processes
from lab.plan import LabState
from roles.registry import DEFENCES
from tests.acceptance.gateway import ROOT, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, traces, unchanged
from tests.acceptance.lacking import lacks
from tests.acceptance.letters import attachment, letter, mark, send
from tests.acceptance.outside import Outside
from tests.acceptance.test_deploy import varied

pytestmark = pytest.mark.vm

# Without hardware to help, on a machine that does other work too.
REBOOT_SECONDS = 600.0
OTHER = f"accept{os.getpid()}b"


def audited(target: Target) -> list[str]:
    """Return a line for each check that does not hold, or that was not looked at."""
    items = engine.items(DEFENCES, target.gateway)
    with engine.Session(target, DEFENCES) as session:
        results = session.run(items, lambda _result: None)
    assert len(results) == len(items)
    return [
        f"{result.item}: {result.state}; wanted: {result.wanted}; seen: {result.seen}{result.why}"
        for result in results
        if result.state not in ("held", "not available")
    ]


def denials(gateway: GatewayHost) -> list[str]:
    """Return what AppArmor has refused since the machine started, as the kernel told it."""
    said = gateway.run(
        "journalctl --boot --no-pager --output=cat --grep 'apparmor=.(DENIED|ALLOWED)'", check=False
    )
    return said.splitlines()


def mail_flows(gateway: GatewayHost, wan: Outside) -> None:
    """Fail unless a clean letter arrives and a virus is refused."""
    unique = mark()
    assert send(wan, letter(unique, b"Content-Type: text/plain\r\n\r\ntext")).startswith("250 ")
    gateway.awaited(unique)
    assert send(wan, letter(mark(), attachment(EICAR, "x.txt"))).startswith("550 ")


def rebooted(gateway: GatewayHost) -> None:
    """Reboot the machine and return when it runs again and has started all that it starts."""
    identity = "cat /proc/sys/kernel/random/boot_id"
    before = gateway.run(identity)
    gateway.run("systemctl reboot", check=False)
    _await(lambda: gateway.run(identity, check=False) not in ("", before), "the machine is back")
    state_of = "timeout 120 systemctl is-system-running --wait"
    _await(lambda: gateway.run(state_of, check=False).strip() in ("running", "degraded"), "it has started")
    assert gateway.run("systemctl --failed --plain --no-legend") == ""


def test_it_boots_its_own_kernel_by_its_own_boot_loader(gateway: GatewayHost) -> None:
    assert gateway.run("systemd-detect-virt --container", check=False) == "none\n"
    assert gateway.run("uname -r").strip() != platform.release()
    # GRUB says where it found the kernel; a kernel that qemu was handed has none to say.
    assert gateway.run("cat /proc/cmdline").startswith("BOOT_IMAGE=")
    assert gateway.run("systemctl --failed --plain --no-legend") == ""


def test_it_stands_where_a_container_would(lab: LabState, gateway: GatewayHost, wan: Outside) -> None:
    host = lab.hosts["gw1"]
    addresses = gateway.run("ip -brief address")
    assert all(f"{own}/" in addresses for own in (host.wan4, host.wan6, host.lan4, host.lan6, host.ssh_host))
    assert wan.netns == lab.netns["wan"]
    mail_flows(gateway, wan)


def test_its_own_file_systems_are_mounted(gateway: GatewayHost) -> None:
    mounted = gateway.run("findmnt --noheadings --list --types ext4 --output TARGET").split()
    assert {"/", "/home", "/var", "/var/log", "/var/log/audit", "/var/tmp"} <= set(mounted)  # noqa: S108 - a mount
    assert gateway.run("stat -c %a /var/tmp") == "1777\n"


def test_a_second_deploy_changes_nothing(lab: LabState) -> None:
    done = deploy("apply", INVENTORY, lab=lab.name)
    assert done.returncode == 0, done.stderr
    unchanged(done)


def test_every_defence_is_seen_and_holds(target: Target, gateway: GatewayHost) -> None:
    assert audited(target) == []
    assert denials(gateway) == []


def test_every_defence_is_seen_and_holds_after_a_reboot(
    lab: LabState, target: Target, gateway: GatewayHost, wan: Outside
) -> None:
    rebooted(gateway)
    mail_flows(gateway, wan)
    assert audited(target) == []
    assert denials(gateway) == []
    assert deploy("drift", INVENTORY, lab=lab.name).returncode == 0


def test_a_pinned_kernel_in_the_submenu_starts_without_the_password(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    """hardening.grub-password: the menu is protected and nobody has to stand at the console for a reboot."""
    hashed = f"grub.pbkdf2.sha512.10000.{'A' * 128}.{'B' * 128}"
    inventory = varied(
        tmp_path, f'data["hardening"] = {{**data.get("hardening", {{}}), "grub_password": {hashed!r}}}'
    )
    done = deploy("apply", inventory, lab=lab.name)
    assert done.returncode == 0, done.stderr[-4000:]
    unchanged(deploy("apply", inventory, lab=lab.name))
    menu = gateway.run("cat /boot/grub/grub.cfg")
    assert "password_pbkdf2 root" in menu
    pinned = "/etc/default/grub.d/zz-by-hand.cfg"
    with gateway.altered(
        f"echo 'GRUB_DEFAULT=\"1>0\"' >{pinned}; update-grub 2>&1", f"rm {pinned}; update-grub 2>&1"
    ):
        assert 'set default="1>0"' in gateway.run("cat /boot/grub/grub.cfg")
        rebooted(gateway)
    revert = "dpkg-statoverride --remove /etc/grub.d/10_linux; chmod 755 /etc/grub.d/10_linux; rm /etc/grub.d/*_bastide; update-grub 2>&1"
    gateway.run(revert)
    unchanged(deploy("apply", INVENTORY, lab=lab.name))


def test_the_packet_filter_stands_before_the_network(gateway: GatewayHost) -> None:
    """What counts is when the machine started, so this comes after the reboot."""
    ended = _microseconds(gateway, "netfilter-persistent.service", "ActiveEnterTimestampMonotonic")
    woken = _microseconds(gateway, "systemd-networkd.service", "ExecMainStartTimestampMonotonic")
    assert 0 < ended < woken


def test_a_machine_that_died_is_noticed(lab: LabState) -> None:
    if os.environ.get("BASTIDE_ACCEPT_LAB"):
        lacks("a given lab is left alone: unset BASTIDE_ACCEPT_LAB")
    assert lifecycle.healthy(lab)
    (qemu,) = processes(lab.hosts["gw1"].machine)
    os.kill(qemu, signal.SIGKILL)
    assert not lifecycle.healthy(lab)


def test_down_leaves_nothing(lab: LabState) -> None:
    if os.environ.get("BASTIDE_ACCEPT_LAB"):
        lacks("a given lab is left alone: unset BASTIDE_ACCEPT_LAB")
    assert traces(lab.name) != []
    lifecycle.down(lab.name)
    assert traces(lab.name) == []


@pytest.mark.parametrize("deed", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told"])
def test_an_up_that_ends_early_leaves_nothing_that_down_cannot_clear(deed: signal.Signals) -> None:
    with _up_until_a_machine_runs() as victim:
        victim.send_signal(deed)
        victim.wait(timeout=2 * lifecycle.LONGEST_BOOT_SECONDS["vm"])
        if deed == signal.SIGKILL:
            assert processes(f"bastide-{OTHER}-gw1")
            lifecycle.down(OTHER)
        assert traces(OTHER) == []


@contextmanager
def _up_until_a_machine_runs() -> Iterator["subprocess.Popen[bytes]"]:
    words = [sys.executable, "-m", "lab", "up", "--name", OTHER, "--kind", "vm"]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL) as victim:
        try:
            _await(lambda: bool(processes(f"bastide-{OTHER}-gw1")), "qemu runs")
            yield victim
        finally:
            victim.kill()
            victim.wait()
            lifecycle.down(OTHER)


def _microseconds(gateway: GatewayHost, unit: str, moment: str) -> int:
    """Return when something happened to a unit, since the kernel's start (org.freedesktop.systemd1(5))."""
    return int(gateway.run(f"systemctl show --value --property={moment} {unit}"))


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + REBOOT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {REBOOT_SECONDS:.0f} s: {what}"
        time.sleep(0.5)

"""A login that becomes root by a password: it deploys, asks and is asked for by nobody who reads the list of processes."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from lab.access import ssh_argv
from lab.plan import LabState
from roles.hardening.paths import SSHD
from roles.platforms import row
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, audited, deploy, unchanged

pytestmark = pytest.mark.usefixtures("accepted")

LOGIN: Final = "keeper"
# What a shell, sudo or a careless quoting would take for its own.
TYPED: Final = r"""correct 'horse' "$HOME" \n `id` 100% """
# As fast as one core goes: every command that any process of the host has, by whoever may read them all.
SAMPLER: Final = (
    "import glob\n"
    "print('begun')\n"
    "while True:\n"
    "    for path in glob.glob('/proc/[0-9]*/cmdline'):\n"
    "        try:\n"
    "            words = open(path, 'rb').read()\n"
    "        except OSError:\n"
    "            continue\n"
    "        if b'horse' in words and b'glob' not in words:\n"
    "            print(words)\n"
)


@pytest.fixture(scope="module")
def inventory(
    lab: LabState, gateway: GatewayHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Give an inventory whose login is an administrator with a password, which sudo wants."""
    # What tests before these have put back by hand, daemons are told of here.
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    group = row(SETTINGS).groups.get("sudo", "sudo")
    gateway.run(
        f"set -e; useradd --create-home --groups {group} --shell /bin/sh {LOGIN}; umask 077; "
        f"install -d -o {LOGIN} -m 700 ~{LOGIN}/.ssh; "
        f"install -o {LOGIN} -m 600 ~/.ssh/authorized_keys ~{LOGIN}/.ssh/authorized_keys; "
        f"printf '%s:%s\\n' {LOGIN} {shlex.quote(TYPED)} | chpasswd"
    )
    path = tmp_path_factory.mktemp("keeper") / "inventory.py"
    path.write_text(
        "from inventory.lab import gateways as _all\n"
        f"gateways = [(_name, {{**_data, 'ssh_user': {LOGIN!r}, '_sudo': True, '_sudo_password': {TYPED!r}}}) "
        "for _name, _data in _all]\n"
    )
    yield path
    gateway.run(f"userdel --remove {LOGIN} 2>/dev/null || true")


@contextmanager
def sampled(gateway: GatewayHost) -> Iterator[list[str]]:
    """Give the commands of the host's processes that hold a part of the password; they are there behind the block."""
    found: list[str] = []
    argv = [
        *ssh_argv(gateway.host, options=["-o", "BatchMode=yes"]),
        f"exec python3 -uc {shlex.quote(SAMPLER)}",
    ]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as sampler:
        assert sampler.stdout is not None
        try:
            assert sampler.stdout.readline() == "begun\n"
            yield found
        finally:
            sampler.terminate()
        found += set(sampler.stdout.read().splitlines())


def test_its_password_is_in_no_processs_command(lab: LabState, gateway: GatewayHost, inventory: Path) -> None:
    with sampled(gateway) as seen:
        # What the sampler is there to find, it finds.
        gateway.run("sh -c 'sleep 1; :' horse")
        unchanged(deploy("apply", str(inventory), lab=lab.name))
        assert deploy("drift", str(inventory), lab=lab.name).returncode == 0
        # It looked, and found the login itself, which no deploy has made.
        looked = deploy("integrity", str(inventory), lab=lab.name)
        assert looked.returncode == 2, looked.stderr
        assert "changed /etc/passwd" in looked.stdout
    bait = [words for words in seen if "sleep 1; :" in words]
    assert bait
    assert seen == bait


def test_a_change_is_made_and_confirmed_by_it(lab: LabState, gateway: GatewayHost, inventory: Path) -> None:
    """The way back of what could shut the administrator out is stopped by a new login, which becomes root as the first one did."""
    gateway.run(f"rm {SSHD}")
    done = deploy("apply", str(inventory), lab=lab.name)
    assert done.returncode == 0, done.stderr
    unchanged(deploy("apply", str(inventory), lab=lab.name))


def test_an_audit_asks_by_it(lab: LabState, inventory: Path, tmp_path: Path) -> None:
    only = ("--strict", "--fast", "--only", "hardening.sudo")
    with_it = audited(str(inventory), *only, lab=lab.name)
    assert with_it.returncode == 0, with_it.stdout + with_it.stderr
    other = tmp_path / "inventory.py"
    other.write_text(inventory.read_text().replace("'_sudo_password'", "'_forgotten'"))
    without = audited(str(other), *only, lab=lab.name)
    assert without.returncode != 0
    assert "the inventory's `_sudo_password` is empty" in without.stdout + without.stderr

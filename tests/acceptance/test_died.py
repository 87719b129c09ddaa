"""A deploy that died, and what an administrator does before the next one: it is his, and no revert takes it (issue 6)."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lab.plan import LabState
from tests.acceptance.gateway import ROOT, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, pyinfra
from tests.acceptance.test_deploy import varied

HISTORY: Final = "/var/lib/bastide-history"
OURS: Final = "/etc/bastide-died"
KEY: Final = "/root/.ssh/late_keys"
THEIRS: Final = "/etc/theirs"
# A deploy's file that changes the host and then waits for its end.
DYING: Final = f"""
from pyinfra.api import operation
from roles.operations import files_owned, shell
from roles.rendering import OwnedFile

@operation()
def waits():
    yield shell("{{end}}")

files_owned(name="Write a file", files=[OwnedFile(path="{OURS}", content="ours\\n", mode="600")])
waits(name="Wait")
"""
MANUAL: Final = f"useradd --create-home --shell /bin/bash late; install -d -m 700 /root/.ssh; echo key >{KEY}; echo theirs >{THEIRS}"
GONE: Final = f"userdel --remove late 2>/dev/null; rm -f {KEY} {THEIRS} {OURS}; true"


@pytest.fixture
def used(lab: LabState, gateway: GatewayHost) -> Iterator[GatewayHost]:
    gateway.run(GONE)
    # What another test did by hand is no deploy's.
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    yield gateway
    gateway.run(GONE)


def theirs(gateway: GatewayHost) -> None:
    """Assert that what an administrator did is in no record of what deploys did, and that what the deploy did is."""
    changed = gateway.run(f"cut -f1 {HISTORY}/changed/files")
    assert OURS in changed.split()
    assert not {KEY, THEIRS} & set(changed.split())
    assert gateway.run(f"grep ^late: {HISTORY}/ours/etc/passwd || echo nobody") == "nobody\n"
    assert gateway.run(f"[ -d {HISTORY}/begin ] && echo open || echo closed") == "closed\n"


def test_one_whose_session_died_is_filed_by_the_next_without_what_came_since(
    lab: LabState, used: GatewayHost, tmp_path: Path
) -> None:
    (tmp_path / "dying.py").write_text(DYING.format(end="sleep 3"))
    argv = [str(Path(sys.executable).with_name("pyinfra")), INVENTORY, str(tmp_path / "dying.py"), "-y"]
    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**os.environ, "BASTIDE_LAB": lab.name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as run:
        used.run(f"for _ in $(seq 100); do [ ! -e {OURS} ] || break; sleep 0.1; done; [ -e {OURS} ]; sleep 1")
        run.kill()
    time.sleep(5)
    used.run(MANUAL)
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    theirs(used)


def test_one_that_failed_is_filed_at_once(lab: LabState, used: GatewayHost, tmp_path: Path) -> None:
    (tmp_path / "dying.py").write_text(DYING.format(end="true"))
    pyinfra(str(tmp_path / "dying.py"), lab=lab.name)
    assert used.run(f"[ -d {HISTORY}/begin ] && echo open") == "open\n"
    # A login of a group that nobody has: refused on the host, at the check of sshd's options.
    bad = varied(tmp_path, 'data.update(hardening={"ssh_groups": ["nobodys"]})')
    assert deploy("apply", bad, lab=lab.name).returncode == 1
    assert used.run(f"[ -d {HISTORY}/begin ] || echo closed") == "closed\n"
    used.run(MANUAL)
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    theirs(used)

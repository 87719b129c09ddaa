"""Two runs on one host: the second is told of the first, before it has changed anything, and never for ever."""

import subprocess
import time

from lab.access import ssh_argv
from lab.plan import LabState
from roles.locking import LOCK, holding
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged


def test_a_second_run_is_refused_until_the_first_ones_session_is_gone(
    lab: LabState, gateway: GatewayHost
) -> None:
    holder = [*ssh_argv(gateway.host, options=["-o", "BatchMode=yes"]), holding("another desk")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == "held\n"
            began = time.monotonic()
            second = deploy("apply", INVENTORY, lab=lab.name)
            assert second.returncode == 1
            assert "another run is at work there: a deploy by another desk, since " in second.stderr
            assert time.monotonic() - began < 30
            # One that only looks is no run, and a revert is one.
            assert deploy("drift", INVENTORY, lab=lab.name).returncode == 0
            reverted = deploy("revert", INVENTORY, "--host", gateway.host.name, "--yes", lab=lab.name)
            assert reverted.returncode == 1
            assert "another run is at work here" in reverted.stdout
        finally:
            # Its control host is gone, without a word.
            first.kill()
    deadline = time.monotonic() + 20
    while gateway.run(f"flock -n {LOCK} true && echo free || echo held") != "free\n":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    unchanged(deploy("apply", INVENTORY, lab=lab.name))

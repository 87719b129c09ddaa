"""The tests' own policy blocks: one run at a time, and a run that dies leaves nothing behind for good."""

import os
import subprocess
import sys

import pytest

from tests.acceptance.gateway import ROOT, GatewayHost
from tests.acceptance.policy import CONFIG, alone, policy, restored

# A run of its own that dies, or is asked for the lock, in the midst of a block.
DIES = (
    "import os; from lab import state; from tests.acceptance.gateway import GatewayHost; "
    "from tests.acceptance.policy import policy; lab = state.load({lab!r}); "
    "block = policy(GatewayHost(lab=lab, host=lab.hosts['gw1']), {{'banned': ('discard',)}}); "
    "block.__enter__(); os._exit(7)"
)


def test_block_of_a_run_that_died_is_undone(gateway: GatewayHost) -> None:
    before = gateway.run(f"cat {CONFIG}")
    words = [sys.executable, "-c", DIES.format(lab=gateway.lab.name)]
    assert subprocess.run(words, cwd=ROOT, env={**os.environ}, check=False, timeout=120).returncode == 7
    assert gateway.run(f"cat {CONFIG}") != before
    restored(gateway)
    assert gateway.run(f"cat {CONFIG}") == before
    assert gateway.run(f"ls {CONFIG}.kept {CONFIG}.tried 2>/dev/null", check=False) == ""
    assert gateway.run("systemctl is-active filterd").strip() == "active"


def test_what_was_deployed_within_a_block_stays(gateway: GatewayHost) -> None:
    before = gateway.run(f"cat {CONFIG}")
    with policy(gateway, {"banned": ("discard",)}):
        gateway.run(f"cat {CONFIG}.kept > {CONFIG}; echo '# deployed' >> {CONFIG}")
    assert gateway.run(f"tail -1 {CONFIG}") == "# deployed\n"
    gateway.run(f"sed -i '$d' {CONFIG}; systemctl restart filterd")
    assert gateway.run(f"cat {CONFIG}") == before


def test_blocks_of_two_runs_do_not_meet(gateway: GatewayHost) -> None:
    with (
        alone(gateway),
        pytest.raises(AssertionError, match="another run changes the policy"),
        alone(gateway, seconds=0.5),
    ):
        pass

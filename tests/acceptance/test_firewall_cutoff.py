"""A ruleset that cuts the administrator off, and one that cannot be loaded at boot: neither needs anybody's help."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from lab.access import ssh_argv
from lab.plan import LabState
from tests.acceptance.gateway import ROOT, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged

BACK_SECONDS = 60

# The very operation that loads every ruleset, given one in which nothing passes, not even what is open already.
CUT_OFF = """
from roles.firewall.loading import ruleset_loaded

NOTHING = "*filter\\n:INPUT DROP [0:0]\\n:FORWARD DROP [0:0]\\n:OUTPUT DROP [0:0]\\nCOMMIT\\n"
ruleset_loaded(name="Load rulesets that let nobody in", v4=NOTHING, v6=NOTHING, confirm_seconds=20)
"""


def heard(witness: "subprocess.Popen[str]", seconds: float) -> bool:
    """Say whether a session's next line comes within so many seconds."""
    assert witness.stdout is not None
    waited = subprocess.run(
        ["timeout", str(seconds), "head", "-c", "1"], stdin=witness.stdout, capture_output=True, check=False
    )
    return waited.stdout != b""


def rules(gateway: GatewayHost) -> str:
    # ssh must not wait for ever where nothing answers.
    argv = [*ssh_argv(gateway.host, options=["-o", "ConnectTimeout=2", "-o", "BatchMode=yes"])]
    done = subprocess.run(
        [*argv, "for t in iptables ip6tables; do $t-save -t filter; done | sed -e '/^#/d' -e 's/ \\[.*//'"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout


def test_a_ruleset_that_blocks_the_administrator_is_gone_within_a_minute(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    # Whatever tests before have left: it is what the deploy below must have nothing of to mend.
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    before = rules(gateway)
    assert "firewall.ssh" in before
    bad = tmp_path / "cut_off.py"
    bad.write_text(CUT_OFF)
    beats = [*ssh_argv(gateway.host, options=["-o", "BatchMode=yes"]), "while sleep 0.2; do echo beat; done"]
    run = [str(Path(sys.executable).with_name("pyinfra")), INVENTORY, str(bad), "-y"]
    with (
        subprocess.Popen(beats, stdout=subprocess.PIPE, text=True) as witness,
        subprocess.Popen(
            run, cwd=ROOT, env=_environment(lab), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as loading,
    ):
        try:
            _silent(witness)
            cut_off = time.monotonic()
            assert not rules(gateway), "a new session got in"
            # The administrator's own program dies with its session: nothing on this side can help any more.
            loading.kill()
            while rules(gateway) != before:
                assert time.monotonic() - cut_off < BACK_SECONDS
                time.sleep(1)
        finally:
            witness.kill()
            loading.kill()
    assert time.monotonic() - cut_off < BACK_SECONDS
    # What was never confirmed is not what the next boot loads, and the next deploy has nothing to mend.
    assert "firewall.ssh" in gateway.run("cat /etc/iptables/rules.v4")
    unchanged(deploy("apply", INVENTORY, lab=lab.name))


def _silent(witness: "subprocess.Popen[str]") -> None:
    """Return when the session's beats have stopped."""
    deadline = time.monotonic() + 60
    while heard(witness, 3):
        assert time.monotonic() < deadline, "the session was never cut off"


def _environment(lab: LabState) -> dict[str, str]:
    return {**os.environ, "BASTIDE_LAB": lab.name}


def test_a_ruleset_that_cannot_be_loaded_at_boot_leaves_the_host_closed(
    lab: LabState, gateway: GatewayHost
) -> None:
    # As after a restart: no rules, and a file that names a user who is gone.
    broken = "sed -i 's/--uid-owner unbound/--uid-owner nobody-of-that-name/' /etc/iptables/rules.v4"
    forget = "; ".join(
        [f"iptables -P {chain} ACCEPT" for chain in ("INPUT", "OUTPUT", "FORWARD")]
        + ["iptables -F", "iptables -X"]
    )
    gateway.run(f"{broken}; {forget}; systemctl restart netfilter-persistent.service || true")
    policies = gateway.run("iptables -S | grep '^-P'").split("\n")
    assert policies[:3] == ["-P INPUT DROP", "-P FORWARD DROP", "-P OUTPUT DROP"]
    assert not re.search(r"dport 25", gateway.run("iptables -S INPUT"))
    done = deploy("apply", INVENTORY, lab=lab.name)
    assert done.returncode == 0, done.stderr
    assert "--dport 25" in gateway.run("iptables -S INPUT")


def test_all_that_boots_before_the_network_has_the_rules(gateway: GatewayHost) -> None:
    # What a restart does, in its order: the sets, then the rules that name them, of both families.
    forget = "; ".join(
        f"{tool} -P {chain} ACCEPT; {tool} -F; {tool} -X"
        for tool in ("iptables", "ip6tables")
        for chain in ("INPUT", "OUTPUT", "FORWARD")
    )
    before = rules(gateway)
    gateway.run(f"{forget}; ipset destroy; systemctl restart netfilter-persistent.service")
    assert rules(gateway) == before
    order = gateway.run("systemctl show -p Before,After --value netfilter-persistent.service")
    assert "network-pre.target" in order.splitlines()[0]

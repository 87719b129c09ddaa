"""Deploys: the second changes nothing, drift is seen and undone, nobody is locked out."""

import time
from pathlib import Path

import pytest

from lab.plan import LabState
from roles.settings import Mta
from tests.acceptance.gateway import ROOT, SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, pyinfra, unchanged


def varied(tmp_path: Path, change: str) -> str:
    """Return an inventory like the lab's, changed by a line of Python that sees ``data``."""
    file = tmp_path / "varied.py"
    text = (ROOT / INVENTORY).read_text()
    file.write_text(f"{text}\nfor _name, data in gateways:\n    {change}\n")
    return str(file)


def test_second_deploy_changes_nothing(lab: LabState) -> None:
    # The first one undoes what other tests did by hand.
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    done = deploy("apply", INVENTORY, lab=lab.name)
    assert done.returncode == 0, done.stderr
    unchanged(done)
    assert deploy("drift", INVENTORY, lab=lab.name).returncode == 0


def test_pyinfra_itself_deploys(lab: LabState) -> None:
    done = pyinfra("deploy.py", lab=lab.name)
    assert done.returncode == 0, done.stderr


def test_drift_is_named_and_undone(lab: LabState, gateway: GatewayHost) -> None:
    gateway.run(f"echo '# by hand' >>{gateway.mta.owned}; iptables -A INPUT -p tcp --dport 8080 -j ACCEPT")
    seen = deploy("drift", INVENTORY, lab=lab.name)
    assert seen.returncode == 2
    assert gateway.mta.operation in seen.stdout
    assert "Load the rulesets" in seen.stdout
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    assert deploy("drift", INVENTORY, lab=lab.name).returncode == 0
    assert "8080" not in gateway.run("iptables-save")


def test_a_ruleset_that_locks_out_undoes_itself(lab: LabState, gateway: GatewayHost, tmp_path: Path) -> None:
    before = gateway.run("iptables-save -t filter | grep -v '^#' | sed 's/ \\[.*//'")
    # Somebody else of the administrators' zone: another zone has no ssh, and the setting would be refused.
    other = lab.hosts["gw1"].ssh_host.rpartition(".")[0] + ".200"
    inventory = varied(tmp_path, f'data.update(admin_networks=["{other}"], firewall_confirm_seconds=15)')
    started = time.monotonic()
    done = deploy("apply", inventory, lab=lab.name)
    assert done.returncode == 1
    assert "does not let this session in" in done.stderr
    left = max(0.0, started + 60 - time.monotonic())
    after, deadline = "", time.monotonic() + left
    while after != before and time.monotonic() < deadline:
        time.sleep(1)
        after = gateway.run("iptables-save -t filter | grep -v '^#' | sed 's/ \\[.*//'", check=False)
    assert after == before
    assert other not in gateway.run("cat /etc/iptables/rules.v4")
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0


def test_unusable_settings_change_nothing(lab: LabState, tmp_path: Path) -> None:
    for change, said in (
        ('data.update(hostnmae="x")', "hostnmae"),
        ('data.update(admin_networks=["0.0.0.0/0"])', "admin_networks"),
        ("data.update(relay_domains={})", "relay_domains"),
    ):
        done = deploy("apply", varied(tmp_path, change), lab=lab.name)
        assert done.returncode == 2, change
        assert said in done.stderr, change
    assert deploy("drift", INVENTORY, lab=lab.name).returncode == 0


# How each MTA's files are checked.
CHECKED: dict[Mta, str] = {
    "postfix": "check=checking.CONFIGURATION",
    "sendmail": "check=sendmail.CHECK, built=sendmail.BUILT",
}
# What no daemon takes, by the file that it stands in, and what is said of it.
BAD: dict[Mta, dict[str, tuple[str, str]]] = {
    "postfix": {
        "/etc/postfix/main.cf": ("no_such_option = 1\n", "no_such_option"),
        "/etc/postfix/transport": ("lonely\n", "expected format"),
        "/etc/postfix/postscreen_access": ("192.0.2.1/24 permit\n", "non-null host address bits"),
    },
    "sendmail": {"/etc/mail/gateway.mc": ("LOCAL_CONFIG\nO no_such_option=1\n", "no_such_option")},
}
BAD_DEPLOY = """
from dataclasses import replace

from pyinfra import host
from roles.mta import MTA, checking
from roles.operations import files_owned
from roles.session import prepared

gateway, _ = prepared(host)
files_owned(
    name="Write a bad configuration",
    files=[replace(each, content=each.content + BAD) if each.path == OWNED else each for each in MTA._files(gateway)],
    CHECKED,
)
"""


@pytest.mark.parametrize("path", BAD[SETTINGS.mta])
def test_a_bad_configuration_never_reaches_the_live_directory(
    lab: LabState, gateway: GatewayHost, tmp_path: Path, path: str
) -> None:
    line, said = BAD[SETTINGS.mta][path]
    live = gateway.run(gateway.mta.live)
    text = BAD_DEPLOY.replace("MTA", SETTINGS.mta).replace("CHECKED", CHECKED[SETTINGS.mta])
    bad = tmp_path / "bad.py"
    bad.write_text(f"BAD = {line!r}\nOWNED = {path!r}\n{text}")
    done = pyinfra(str(bad), lab=lab.name)
    assert done.returncode == 1, done.stdout
    assert said in done.stdout + done.stderr
    assert gateway.run(gateway.mta.live) == live
    assert deploy("drift", INVENTORY, lab=lab.name).returncode == 0


def test_a_reload_that_a_dead_run_missed_is_made_up_for(lab: LabState, gateway: GatewayHost) -> None:
    # As if the run had died between writing the file and telling the daemon: new content, no stamp for it.
    gateway.run("touch /etc/clamav/clamd.conf; rm -f /run/bastide/clamav-daemon.service.stamp")
    done = deploy("apply", INVENTORY, lab=lab.name)
    assert done.returncode == 0, done.stderr
    assert "1 operations changed something" in done.stdout
    unchanged(deploy("apply", INVENTORY, lab=lab.name))


def test_the_gateway_survives_a_restart(lab: LabState, gateway: GatewayHost) -> None:
    # The packet filter comes back before the network does, and the deploy has nothing to do.
    gateway.run(
        f"systemctl restart netfilter-persistent.service {' '.join(gateway.mta.agent.units)} clamav-daemon.service spamd.service filterd"
    )
    assert "-P INPUT DROP" in gateway.run("iptables -S INPUT")
    unchanged(deploy("apply", INVENTORY, lab=lab.name))

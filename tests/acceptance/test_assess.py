"""`python -m audit assess` of a deployed gateway, of one with something broken, and of a host that nobody ever deployed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab.plan import LabState
from roles.tasks import TASKS
from tests.acceptance.gateway import ROOT, SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY
from tests.acceptance.lacking import OF_APT

pytestmark = [OF_APT, pytest.mark.usefixtures("accepted")]

RAN, BELOW = 0, 2
SECONDS = 300
# What of a host an assessment could leave traces in: every file but those that daemons and logins write all the time, with its
# mode, owner, size and times (caches too: a deploy that met a fresh one of apt's fetched no lists); packages, units, mounts,
# the network's parameters (a container's others are the machine's), and the packet filter without counters.
STATE = r"""
find / -xdev -mindepth 2 '(' -path /run -o -path /var/log -o -path /var/spool -o -path /var/lib/systemd \
  -o -path /var/lib/filterd -o -path /var/lib/mta-sts -o -path /var/lib/postfix -o -path /var/lib/unbound ')' -prune -o \
  -printf 'file %p %y %m %U %G %s %T@ %C@\n' 2>/dev/null
dpkg-query --show --showformat='package ${Package} ${Version} ${db:Status-Abbrev}\n'
systemctl list-unit-files --no-legend --plain | sed 's/^/unit file /'
systemctl list-units --all --no-legend --plain --type=service,socket,timer,mount | \
  awk '{ print "unit", $1, $2, $3, $4 }' | grep -v '^unit session'
findmnt --noheadings --list --output TARGET,SOURCE,OPTIONS | sed 's/^/mount /'
find /proc/sys/net -type f -perm /200 -exec grep -s '' /dev/null {} + | sed 's/^/parameter /'
{ iptables-save; ip6tables-save; nft list ruleset; } 2>/dev/null | \
  sed -E 's/counter packets [0-9]+ bytes [0-9]+//; s/\[[0-9]+:[0-9]+\]//; /^#/d; /expires/d' | sed 's/^/filter /'
"""


class Left(NamedTuple):
    """Something that a deploy does not touch: how it comes and goes, the task that it is, and the name that it is told by."""

    change: str
    undo: str
    task: str
    said: str


LEFT = (
    Left(
        change='useradd --no-create-home --password "$(openssl passwd -6 words)" olduser',
        undo="userdel olduser",
        task="machine.passwords",
        said="olduser",
    ),
    Left(
        change="systemd-run --quiet --unit=by-hand python3 -m http.server 8081; for i in 1 2 3 4 5 6 7 8; do "
        "ss -Hltn | grep -q :8081 && break; sleep 1; done",
        undo="systemctl stop by-hand",
        task="machine.listeners",
        said="tcp/8081(python3)",
    ),
    # Beside what a deploy, and what each of its packages needs, has brought.
    Left(
        change="umask 022; d=$(mktemp -d); mkdir $d/DEBIAN; printf 'Package: odd-tool\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: nobody\\nDescription: one\\n' >$d/DEBIAN/control; dpkg-deb -b $d $d.deb; dpkg -i $d.deb; rm -r $d $d.deb",
        undo="dpkg --purge odd-tool",
        task="machine.packages",
        said="odd-tool",
    ),
    Left(
        change="printf '[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n' "
        ">/etc/systemd/system/odd.service; systemctl --quiet enable odd.service",
        undo="systemctl --quiet disable odd.service; rm /etc/systemd/system/odd.service; systemctl daemon-reload",
        task="machine.units",
        said="odd.service",
    ),
)


def assess(lab: LabState, inventory: str, tmp_path: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code, and what it says of the one host."""
    report = tmp_path / "assessment.json"
    command = [sys.executable, "-m", "audit", "assess", inventory, "--json", str(report), *words]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "BASTIDE_LAB": lab.name},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode in (RAN, BELOW), done.stderr
    (host,) = json.loads(report.read_bytes())["hosts"]
    return done.returncode, host


def undeployed(lab: LabState, tmp_path: Path) -> str:
    """Return an inventory that declares the lab's mail server, which Bastide has never touched, as its gateway."""
    host = lab.hosts["mailhost"]
    reach = {
        "ssh_hostname": host.ssh_host,
        "ssh_port": host.ssh_port,
        "ssh_key": str(host.ssh_key),
        "ssh_known_hosts_file": str(host.known_hosts),
    }
    file = tmp_path / "undeployed.py"
    text = (ROOT / INVENTORY).read_text()
    file.write_text(f"{text}\ngateways = [('mailhost', {{**data, **{reach!r}}}) for _, data in gateways]\n")
    return str(file)


def by_id(host: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in host["items"]}


def state(host: GatewayHost) -> list[str]:
    return sorted(host.run(STATE).splitlines())


def test_a_deployed_gateway_matches_its_level_and_none_above(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    page = tmp_path / "assessment.html"
    before = state(gateway)
    code, host = assess(lab, INVENTORY, tmp_path, "--html", str(page))
    after = state(gateway)
    assert code == RAN
    assert sorted(set(before) ^ set(after)) == [], "an assessment changes nothing"
    levels = {each["level"]: each for each in host["levels"]}
    own = levels[SETTINGS.hardening_level]
    assert own["lacking"] == []
    assert own["score"]["percent"] == 100
    assert host["declared"] == SETTINGS.hardening_level
    if SETTINGS.hardening_level != "paranoid":
        assert host["matches"] == SETTINGS.hardening_level
    # The whole of what a container cannot show is beside the score, not in it.
    assert host["contained"]
    assert 0 < host["score"]["seen"] < host["score"]["weight"]
    assert host["score"]["at_least"] < host["score"]["percent"] <= host["score"]["at_most"]
    html = page.read_text()
    assert "mta.no-open-relay" in html
    assert "<script" not in html


def test_one_setting_that_is_broken_by_hand_is_named_and_lowers_the_score(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    _, whole = assess(lab, INVENTORY, tmp_path, "--layer", "hardening")
    with gateway.altered("sysctl -qw net.ipv4.tcp_syncookies=0", "sysctl -qw net.ipv4.tcp_syncookies=1"):
        _, broken = assess(lab, INVENTORY, tmp_path, "--layer", "hardening")
        bound = str(whole["score"]["percent"])
        assert assess(lab, INVENTORY, tmp_path, "--layer", "hardening", "--at-least", bound)[0] == BELOW
    item = by_id(broken)["hardening.syncookies"]
    assert item["state"] == "no"
    assert [(each["wanted"], each["seen"]) for each in item["settings"]] == [("1", "0")]
    assert broken["score"]["percent"] < whole["score"]["percent"]
    assert broken["matches"] is None
    assert broken["levels"][0]["lacking"] == ["hardening.syncookies"]
    code, mended = assess(lab, INVENTORY, tmp_path, "--layer", "hardening", "--at-least", bound)
    assert (code, mended["score"]) == (RAN, whole["score"])


def test_a_host_that_nobody_deployed_has_little_and_is_left_as_it_is(lab: LabState, tmp_path: Path) -> None:
    bare = GatewayHost(lab=lab, host=lab.hosts["mailhost"])
    inventory = undeployed(lab, tmp_path)
    before = state(bare)
    code, host = assess(lab, inventory, tmp_path)
    after = state(bare)
    assert code == RAN
    assert sorted(set(before) ^ set(after)) == []
    assert host["matches"] is None
    assert host["score"]["percent"] < 30
    items = by_id(host)
    assert items["mta.no-open-relay"]["state"] == "no"
    assert items["firewall.default-drop"]["state"] == "no"
    # What is true of any Debian is true of this one.
    assert items["hardening.one-root"]["state"] == "yes"
    assert {each["state"] for each in items.values()} == {
        *("yes", "partly", "no", "not seen", "not declared"),
        *(["not applicable"] if SETTINGS.mta == "sendmail" else []),
    }
    assert assess(lab, inventory, tmp_path, "--at-least", "50")[0] == BELOW


@pytest.mark.parametrize("left", LEFT, ids=lambda left: left.task)
def test_what_was_not_touched_is_left_to_the_administrator_by_name(
    left: Left, lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    if left.task not in {task.id for task in TASKS if task.stands(SETTINGS)}:
        pytest.skip("this platform has no such task")

    def told() -> tuple[str, str]:
        _, host = assess(lab, INVENTORY, tmp_path, "--layer", "dns", "--todo")
        (found,) = [each for each in host["todo"] if each["id"] == left.task]
        return found["state"], found["seen"]

    assert told()[0] == "done"
    with gateway.altered(left.change, left.undo):
        now, seen = told()
    assert now == "open"
    assert left.said in seen
    assert told()[0] == "done"

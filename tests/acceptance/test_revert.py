"""A bare host and one that was in use are hardened as far as it goes, worked on by hand, and reverted: they are what they were."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import lifecycle, state
from lab.access import ssh_argv
from lab.errors import LabError
from lab.tools import TO_BUILD, TO_RUN, require
from roles.confirming import armed
from roles.firewall.loading import _brought_back, _save
from roles.hardening import paths
from tests.acceptance import dirty
from tests.acceptance.gateway import ROOT, SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, swept, unchanged
from tests.acceptance.lacking import OF_APT, lacks
from tests.acceptance.whole import unlike, whole

pytestmark = OF_APT

HISTORY = "/var/lib/bastide-history"
# What people did between the deploy and its revert: to files of ours, and of their own.
BY_HAND = {
    paths.SYSCTL: "# by hand\n",
    "/etc/motd": "mended by hand\n",
}
# What a server that was in use has otherwise than a bare one.
CHALLENGED = (
    *(
        "hardening.ssh-keys-only",
        "hardening.system-accounts",
        "hardening.one-root",
        "hardening.homes",
        "hardening.sticky",
    ),
    *(
        "hardening.jobs-by-root",
        "hardening.modes",
        "firewall.agreement",
        "firewall.nothing-else",
        "mta.no-open-relay",
    ),
)
SENDMAIL = SETTINGS.mta == "sendmail"
# A directory of the MTA's, which goes with it unless somebody's own file stands there.
SHARED = "/etc/mail" if SENDMAIL else "/etc/postfix"
THEIRS = {"/etc/own.conf": "theirs\n", f"{SHARED}/theirs": "theirs\n", "/usr/local/bin/theirs": "theirs\n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Two gateways of a lab and what each was like before it was deployed."""

    bare: GatewayHost
    used: GatewayHost
    before: dict[str, set[str]]

    @property
    def lab(self) -> str:
        return self.bare.lab.name

    def reverted(self, gateway: GatewayHost, *words: str) -> subprocess.CompletedProcess[str]:
        return deploy("revert", INVENTORY, "--host", gateway.host.name, *words, lab=self.lab)

    def unlike(self, gateway: GatewayHost) -> list[str]:
        return unlike(self.before[gateway.host.name], whole(gateway))


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """Give two hosts of a lab of their own, the second in use already, deployed at the highest level."""
    given = os.environ.get("BASTIDE_ACCEPT_LAB")
    name = given or f"accept{os.getpid()}r"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BASTIDE_LEVEL", "paranoid")
        try:
            if not given:
                try:
                    require({**TO_RUN, **TO_BUILD})
                except LabError as error:
                    lacks(str(error))
                swept("accept")
                lifecycle.up(name, gateways=2)
            lab = state.load(name)
            bare, used = (GatewayHost(lab=lab, host=lab.hosts[each]) for each in ("gw1", "gw2"))
            used.run(dirty.MADE if SENDMAIL else dirty.MADE + dirty.HELD)
            before = {each.host.name: whole(each) for each in (bare, used)}
            done = deploy("apply", INVENTORY, lab=name)
            assert done.returncode == 0, done.stderr[-4000:]
            yield Hosts(bare=bare, used=used, before=before)
        finally:
            if not given:
                lifecycle.down(name)


def test_a_deploy_that_changes_nothing_records_nothing(hosts: Hosts) -> None:
    runs = hosts.bare.run(f"ls {HISTORY}/runs")
    assert len(runs.split()) == 1
    unchanged(deploy("apply", INVENTORY, lab=hosts.lab))
    assert hosts.bare.run(f"ls {HISTORY}/runs") == runs
    assert hosts.bare.run(f"stat -c '%a %U' {HISTORY}") == "700 root\n"


def test_what_was_there_is_found_in_the_record_or_where_it_was(hosts: Hosts) -> None:
    for path, text in dirty.OWN.items():
        assert text in hosts.used.run(f"cat {path}; cat {HISTORY}/originals{path} 2>/dev/null || true"), path
    # Another MTA's deploy takes the package away and leaves its configuration where it is.
    where = "/etc/postfix" if SENDMAIL else f"{HISTORY}/originals/etc/postfix"
    old = hosts.used.run(f"cat {where}/main.cf {HISTORY}/originals/firewall4")
    assert f"relayhost = [{dirty.NOWHERE}]" in old
    assert "MASQUERADE" in old
    assert "postmaster: odd" in hosts.used.run("cat /etc/aliases")
    queue = "/var/spool/mqueue -name 'qf*'" if SENDMAIL else "/var/spool/postfix/hold"
    assert hosts.used.run(f"find {queue} -type f").count("\n") == 2


def test_another_packet_filter_is_ended_and_ours_stays(hosts: Hosts) -> None:
    # H03: its unit's own stop is `nft flush ruleset`.
    assert "inet" not in hosts.used.run("nft list tables")
    assert hosts.used.run("systemctl is-enabled nftables; systemctl is-active nftables || true").split() == [
        "disabled",
        "inactive",
    ]
    assert hosts.used.run("iptables -S INPUT | head -n 1") == "-P INPUT DROP\n"
    kept = hosts.used.run("cat /var/lib/bastide/nft-before")
    assert "tcp dport 2525 drop" in kept
    assert "policy drop" in kept
    assert "chain input" not in hosts.used.run("nft list ruleset 2>/dev/null")


def test_rules_of_nft_come_back_when_ours_are_not_confirmed(hosts: Hosts) -> None:
    """The former state is what nft says: iptables would have all packets pass, and call that the former rules."""
    kept = f"{HISTORY}/originals/firewall4.nft"
    assert "policy drop" in hosts.used.run(f"cat {kept}")
    script = (
        (
            f"{{ echo add table ip filter; echo delete table ip filter; cat {kept}; }} | nft -f - && "
            f"{armed('acceptance-back', _save(), _brought_back(), 600)}\n"
            "iptables-restore -w 10 /etc/iptables/rules.v4\nsystemctl stop acceptance-back.timer\n"
            f"{_brought_back()}\nnft -s list table ip filter >/run/back\n"
            f"iptables-restore -w 10 /etc/iptables/rules.v4; diff {kept} /run/back && echo same; rm /run/back"
        )
        .replace("/etc/iptables/rules.v4.", "/run/rules.v4.")
        .replace("/etc/iptables/rules.v6.", "/run/rules.v6.")
    )
    assert hosts.used.run(script).splitlines()[-1] == "same"
    assert "-P INPUT DROP" in hosts.used.run("iptables -S INPUT")


def test_what_stays_for_the_administrator_is_said_and_nothing_else(hosts: Hosts, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [
        sys.executable,
        "-m",
        "audit",
        INVENTORY,
        "--host",
        hosts.used.host.name,
        "--json",
        str(report),
    ]
    subprocess.run(
        [*command, "--only", *CHALLENGED],
        cwd=ROOT,
        env={**os.environ, "BASTIDE_LAB": hosts.lab},
        capture_output=True,
        check=False,
        timeout=300,
    )
    results = json.loads(report.read_text())["results"]
    assert len(results) >= len(CHALLENGED)
    # A directory that all may write, a program that listens, and rules that change addresses are not a deploy's to remove.
    assert {each["defence_id"] for each in results if each["state"] == "broken"} == {
        "hardening.sticky",
        "firewall.agreement",
        "firewall.nothing-else",
    }


def test_lists_of_a_server_that_was_in_use_are_part_of_its_state(hosts: Hosts) -> None:
    """What is compared below holds something: with none of these in it a revert that forgot them would pass."""
    before = hosts.before[hosts.used.host.name]
    for path in dirty.LISTED:
        assert any(line.startswith(f"beyond {path} system.posix_acl_access ") for line in before), path
    assert hosts.used.run(f"cat {HISTORY}/changed/acls").count("user:odd:r--,group::---,mask::rw-") >= 1


def test_a_revert_says_first_what_it_would_do(hosts: Hosts) -> None:
    hosts.bare.run("\n".join(f"echo '{text.strip()}' >>{path}" for path, text in (BY_HAND | THEIRS).items()))
    before = hosts.bare.run(f"iptables-save | grep -c bastide; ls {HISTORY}")
    done = hosts.reverted(hosts.bare)
    assert done.returncode == 0, done.stderr
    for word in (
        "/etc/ssh/sshd_config.d/00-bastide.conf",
        "filterd.service",
        "/etc/motd",
        "nothing was done",
    ):
        assert word in done.stdout
    assert hosts.bare.run(f"iptables-save | grep -c bastide; ls {HISTORY}") == before


def test_mail_stands_in_the_way_until_it_is_told_otherwise(hosts: Hosts) -> None:
    done = hosts.reverted(hosts.used, "--yes")
    assert done.returncode == 1
    assert ("/var/spool/mqueue" if SENDMAIL else "/var/spool/postfix/hold") in done.stdout
    assert "--even-with-mail" in done.stdout
    assert hosts.used.run("systemctl is-active filterd") == "active\n"


def test_one_that_is_killed_goes_on_and_the_host_is_what_it_was(hosts: Hosts) -> None:
    beats = [
        *ssh_argv(hosts.bare.host, options=["-o", "BatchMode=yes"]),
        "while sleep 0.5; do echo beat; done",
    ]
    with subprocess.Popen(beats, stdout=subprocess.PIPE, text=True) as witness:
        try:
            hosts.bare.run(f"sh {HISTORY}/revert --start")
            deadline = time.monotonic() + 60
            # Among the packages is where most of it is open.
            while "removing" not in (said := hosts.bare.run(f"cat {HISTORY}/revert.log")):
                assert time.monotonic() < deadline, said
                time.sleep(0.2)
            hosts.bare.run("systemctl kill --signal=KILL bastide-revert")
            done = hosts.reverted(hosts.bare, "--yes")
            assert done.returncode == 0, done.stdout + done.stderr
            assert witness.poll() is None, "the session of an administrator was ended"
        finally:
            witness.kill()
    assert "going on with the revert" in done.stdout
    left = [line for line in hosts.unlike(hosts.bare) if not any(path in line for path in THEIRS)]
    # What people put into a directory of ours keeps it.
    assert [line for line in left if line.split()[2:3] != [SHARED]] == []


def test_what_was_changed_by_hand_is_kept(hosts: Hosts) -> None:
    kept = hosts.bare.run(f"ls -d {HISTORY}/kept/*").strip()
    for path, text in BY_HAND.items():
        assert text in hosts.bare.run(f"tar -xOf {kept}/files.tar {path[1:]}")
    assert hosts.bare.run(f"test -d {kept}/removed/var/lib/filterd && echo there") == "there\n"
    for path, text in THEIRS.items():
        assert hosts.bare.run(f"cat {path}") == text


def test_a_host_that_was_in_use_is_what_it_was(hosts: Hosts) -> None:
    # Its former rules refuse: only a new login keeps them, which the control host makes.
    done = hosts.reverted(hosts.used, "--yes", "--even-with-mail")
    assert done.returncode == 0, done.stdout + done.stderr
    left = hosts.unlike(hosts.used)
    if SENDMAIL:
        # It has the mail that was carried to it; with its queue that is kept.
        kept = f"find {HISTORY}/kept/*/removed/var/spool/mqueue -name 'qf*' -type f"
        assert hosts.used.run(kept).count("\n") == 2
        left = [line for line in left if "/var/spool/postfix/deferred/" not in line]
    assert left == []


def test_there_is_nothing_to_revert_twice(hosts: Hosts) -> None:
    done = hosts.reverted(hosts.used, "--yes")
    assert done.returncode == 1
    assert "no deploy has changed anything here" in done.stdout


def test_it_can_be_deployed_again_and_a_baseline_tells_who_changed_what(hosts: Hosts, tmp_path: Path) -> None:
    one = tmp_path / "one.py"
    one.write_text((ROOT / INVENTORY).read_text() + "\ngateways = gateways[:1]\n")
    base = str(tmp_path / "base.json")
    done = deploy("apply", str(one), lab=hosts.lab)
    assert done.returncode == 0, done.stderr[-4000:]
    assert deploy("drift", str(one), lab=hosts.lab).returncode == 0
    assert deploy("drift", str(one), "--save-baseline", base, lab=hosts.lab).returncode == 0
    same = deploy("drift", str(one), "--from-baseline", base, lab=hosts.lab)
    assert same.returncode == 0, same.stdout + same.stderr
    hosts.bare.run("echo mine >/etc/mine; rm /etc/cron.allow")
    assert deploy("apply", str(one), lab=hosts.lab).returncode == 0
    hosts.bare.run("chmod 640 /etc/motd")
    told = deploy("drift", str(one), "--from-baseline", base, lab=hosts.lab)
    assert told.returncode == 2
    assert {line.split(": ")[1] for line in told.stdout.splitlines()[:-1]} == {
        "files /etc/mine",
        "files /etc/motd",
    }
    assert "2 by no deploy" in told.stdout

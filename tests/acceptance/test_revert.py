"""A bare host and one that was in use are hardened as far as it goes, worked on by hand, and reverted: they are what they were."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab import lifecycle, state
from lab.access import ssh_argv
from lab.errors import LabError
from lab.tools import TO_BUILD, TO_RUN, require
from tests.acceptance import dirty
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, swept
from tests.acceptance.lacking import lacks
from tests.acceptance.whole import unlike, whole

HISTORY = "/var/lib/bastide-history"
# What people did between the deploy and its revert: to files of ours, and of their own.
BY_HAND = {
    "/etc/sysctl.d/90-bastide.conf": "# by hand\n",
    "/etc/motd": "mended by hand\n",
}
THEIRS = {"/etc/own.conf": "theirs\n", "/etc/postfix/theirs": "theirs\n", "/usr/local/bin/theirs": "theirs\n"}


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
            used.run(dirty.MADE)
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
    done = deploy("apply", INVENTORY, lab=hosts.lab)
    assert "0 operations changed something" in done.stdout, done.stderr
    assert hosts.bare.run(f"ls {HISTORY}/runs") == runs
    assert hosts.bare.run(f"stat -c '%a %U' {HISTORY}") == "700 root\n"


def test_what_was_there_is_found_in_the_record_or_where_it_was(hosts: Hosts) -> None:
    for path, text in dirty.OWN.items():
        assert text in hosts.used.run(f"cat {path}; cat {HISTORY}/originals{path} 2>/dev/null || true"), path
    old = hosts.used.run(f"cat {HISTORY}/originals/etc/postfix/main.cf {HISTORY}/originals/firewall4")
    assert f"relayhost = [{dirty.NOWHERE}]" in old
    assert "MASQUERADE" in old
    assert "postmaster: odd" in hosts.used.run("cat /etc/aliases")
    assert (
        hosts.used.run("find /var/spool/postfix/deferred /var/spool/postfix/active -type f").count("\n") >= 2
    )


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
    assert "/var/spool/postfix/" in done.stdout
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
    theirs = [f"+ {kind} {path}" for path in THEIRS for kind in ("file", "content")]
    left = [line for line in hosts.unlike(hosts.bare) if not any(path in line for path in THEIRS)]
    # What people put into a directory of ours keeps it.
    assert [line for line in left if line.split()[2:3] != ["/etc/postfix"]] == [], theirs


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
    assert hosts.unlike(hosts.used) == []


def test_there_is_nothing_to_revert_twice(hosts: Hosts) -> None:
    done = hosts.reverted(hosts.used, "--yes")
    assert done.returncode == 1
    assert "no deploy has changed anything here" in done.stdout


def test_it_can_be_deployed_again(hosts: Hosts) -> None:
    done = deploy("apply", INVENTORY, lab=hosts.lab)
    assert done.returncode == 0, done.stderr[-4000:]
    assert deploy("drift", INVENTORY, lab=hosts.lab).returncode == 0

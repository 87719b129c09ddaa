"""Tampering is found and not explained away; upgrades, deploys and ordinary nights are explained; a forged baseline is noticed."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.state import directory_of
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged
from tests.acceptance.lacking import wants
from tests.acceptance.letters import mark, send
from tests.acceptance.outside import Outside
from tests.acceptance.test_reports import plain

pytestmark = wants("integrity.engine")

HOME = "/var/lib/aide"
DATABASE = f"{HOME}/aide.db.gz"
PROBE = "bastide-probe"
SENDMAIL = SETTINGS.mta == "sendmail"
PACKAGE = "sendmail-bin" if SENDMAIL else "postfix"
# What the MTA reads at its start, and a line that opens it.
OPENED = "O PrivacyOptions=public" if SENDMAIL else "mynetworks = 0.0.0.0/0"
MAIN = "/etc/mail/sendmail.cf" if SENDMAIL else "/etc/postfix/main.cf"
# Each: what is done, and the path that must be found.
TAMPERED = {
    "a changed program": ("printf x >>/usr/bin/env", "/usr/bin/env"),
    "a program of the filter": (
        "printf x >>/opt/filterd/current/bin/filterd",
        "/opt/filterd/RELEASE/bin/filterd",
    ),
    "a new SUID program": (
        "cp /usr/bin/true /usr/local/bin/helper; chmod 4755 /usr/local/bin/helper",
        "/usr/local/bin/helper",
    ),
    "one where nothing is watched": ("cp /usr/bin/true /srv/.x; chmod 4755 /srv/.x", "/srv/.x"),
    "rights of a program": ("chmod g+s /usr/bin/head", "/usr/bin/head"),
    "an edited configuration of the MTA": (f"echo '{OPENED}' >>{MAIN}", MAIN),
    "a key that logs in": (
        "echo 'ssh-ed25519 AAAA evil' >>/root/.ssh/authorized_keys",
        "/root/.ssh/authorized_keys",
    ),
    "a replaced unit": (
        "sed -i 's/^ExecStart=.*/ExecStart=\\/bin\\/sh/' /etc/systemd/system/filterd.service",
        "/etc/systemd/system/filterd.service",
    ),
    "a job": ("echo '* * * * * root sh' >/etc/cron.d/evil", "/etc/cron.d/evil"),
    "checksums of a package": (
        "printf x >>/var/lib/dpkg/info/coreutils.md5sums",
        "/var/lib/dpkg/info/coreutils.md5sums",
    ),
    "a module without a source": (
        "mkdir -p /usr/lib/python3/dist-packages/__pycache__; printf x >/usr/lib/python3/dist-packages/__pycache__/evil.cpython-311.pyc",
        "/usr/lib/python3/dist-packages/__pycache__/evil.cpython-311.pyc",
    ),
}
KEPT = (
    f"/usr/bin/env /usr/bin/head {MAIN} /root/.ssh/authorized_keys "
    "/etc/systemd/system/filterd.service /var/lib/dpkg/info/coreutils.md5sums"
)
CAME = "/usr/local/bin/helper /srv/.x /etc/cron.d/evil /usr/lib/python3/dist-packages/__pycache__/evil.cpython-311.pyc"
SAVE = f"mkdir -p /root/.cache/kept; tar -cpPf /root/.cache/kept/all.tar {KEPT} $(readlink -f /opt/filterd/current/bin/filterd)"
UNDO = (
    f"rm -f {CAME}; rmdir /usr/lib/python3/dist-packages/__pycache__ 2>/dev/null; "
    "tar -xpPf /root/.cache/kept/all.tar; rm -r /root/.cache/kept; true"
)


def look(gateway: GatewayHost) -> dict[str, Any]:
    """Have the host look now."""
    found: dict[str, Any] = json.loads(gateway.run("bastide-integrity check --json", check=False))
    return found


def unexplained(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["path"]: each for each in found["unexplained"]}


def explained(found: dict[str, Any]) -> dict[str, str]:
    return {each["path"]: each["by"] for each in found["explained"]}


def from_outside(gateway: GatewayHost, *words: str) -> subprocess.CompletedProcess[str]:
    return deploy("integrity", INVENTORY, "--json", *words, lab=gateway.lab.name)


def built(gateway: GatewayHost, version: str, *, old: bool) -> None:
    """Build a small package on the gateway and install it: a program, a library's link, a module, a configuration file."""
    more = f"echo old >$d/usr/lib/{PROBE}/old" if old else ""
    gateway.run(
        f"""set -e; umask 022
d=$(mktemp -d); cd $d
mkdir -p DEBIAN usr/bin usr/lib/{PROBE} etc
printf '#!/bin/sh\\necho {version}\\n' >usr/bin/{PROBE}; chmod 755 usr/bin/{PROBE}
echo 'VERSION = "{version}"' >usr/lib/{PROBE}/probe.py
echo {version} >usr/lib/{PROBE}/lib.so.{version}; ln -s lib.so.{version} usr/lib/{PROBE}/lib.so
echo version={version} >etc/{PROBE}.conf; echo /etc/{PROBE}.conf >DEBIAN/conffiles
{more}
printf 'Package: {PROBE}\\nVersion: {version}\\nArchitecture: all\\nMaintainer: test <t@example.org>\\nDescription: test\\n' >DEBIAN/control
printf '#!/bin/sh\\nset -e\\npython3 -m py_compile /usr/lib/{PROBE}/probe.py\\nldconfig\\n' >DEBIAN/postinst
printf '#!/bin/sh\\nrm -rf /usr/lib/{PROBE}/__pycache__\\n' >DEBIAN/prerm; chmod 755 DEBIAN/postinst DEBIAN/prerm
find usr etc -type f -exec md5sum {{}} + >DEBIAN/md5sums
chown -R root:root .; chmod 755 .; cd /; dpkg-deb --build $d $d.deb >/dev/null
dpkg -i $d.deb >/dev/null; rm -rf $d $d.deb"""
    )


@pytest.fixture(scope="module")
def quiet(gateway: GatewayHost) -> Iterator[GatewayHost]:
    """Return the gateway with nothing unexplained, and leave it so. What tests before these have left is accepted."""
    left = list(unexplained(look(gateway)))
    if left:
        gateway.run(f"bastide-integrity accept --reason 'tests before' {shlex.join(left)}")
        assert unexplained(look(gateway)) == {}
    yield gateway
    gateway.run(f"dpkg --purge {PROBE} >/dev/null 2>&1; bastide-integrity check >/dev/null 2>&1; true")


def test_a_deploy_leaves_a_baseline_and_a_signed_copy_and_a_second_one_does_not_look(
    quiet: GatewayHost,
) -> None:
    # The first mends whatever tests before have left by hand.
    assert deploy("apply", INVENTORY, lab=quiet.lab.name).returncode == 0
    chain = quiet.run(f"wc -l <{HOME}/chain")
    copy = directory_of(quiet.lab.name) / "integrity" / quiet.host.name
    assert (copy / "chain.sig").read_text().startswith("-----BEGIN SSH SIGNATURE-----")
    unchanged(deploy("apply", INVENTORY, lab=quiet.lab.name))
    assert quiet.run(f"wc -l <{HOME}/chain") == chain


def test_each_tampering_is_found_here_and_from_outside_and_none_is_explained(quiet: GatewayHost) -> None:
    release = quiet.run("basename $(readlink -f /opt/filterd/current)").strip()
    wanted = {path.replace("RELEASE", release) for _, path in TAMPERED.values()}
    with quiet.altered("; ".join((SAVE, *(deed for deed, _ in TAMPERED.values()))), UNDO):
        found = look(quiet)
        note = quiet.run("cat /run/bastide-notes/integrity")
        again = look(quiet)
        outside = json.loads(from_outside(quiet).stdout)
    assert wanted <= set(unexplained(found))
    assert not wanted & set(explained(found))
    main = unexplained(found)[MAIN]
    assert main["was"]["sha256"] != main["now"]["sha256"]
    assert main["changed"]
    assert f"{len(found['unexplained'])} changes of this host" in note
    # It is not taken over by having been seen.
    assert set(unexplained(again)) == set(unexplained(found))
    assert wanted <= set(unexplained(outside["hosts"][quiet.host.name]))
    assert not look(quiet)["unexplained"]
    assert quiet.run("test -e /run/bastide-notes/integrity || echo none") == "none\n"


def test_a_changed_database_is_noticed(quiet: GatewayHost) -> None:
    hidden = f"printf x >>/usr/bin/env; aide --config=/etc/aide/aide.conf --init >/dev/null; mv {HOME}/aide.db.new.gz {DATABASE}"
    with quiet.altered(
        f"{SAVE}; cp -a {HOME} /root/.cache/aide; {hidden}",
        f"rm -rf {HOME}; mv /root/.cache/aide {HOME}; {UNDO}",
    ):
        assert (
            quiet.run("bastide-integrity whole", check=False) == f"{DATABASE}: not what the last look left\n"
        )
        found = look(quiet)
        assert list(unexplained(found)) == [DATABASE]
        assert quiet.run("bastide-integrity check >/dev/null 2>&1; echo $?") == "2\n"
        outside = unexplained(json.loads(from_outside(quiet).stdout)["hosts"][quiet.host.name])
    assert {DATABASE, "/usr/bin/env"} <= set(outside)


def test_a_baseline_that_root_forged_whole_is_noticed_from_outside_alone(quiet: GatewayHost) -> None:
    forged = f"printf x >>/usr/bin/env; rm -rf {HOME}; mkdir -m 700 {HOME}; bastide-integrity check --deploy >/dev/null"
    with quiet.altered(
        f"{SAVE}; cp -a {HOME} /root/.cache/aide; {forged}",
        f"rm -rf {HOME}; mv /root/.cache/aide {HOME}; {UNDO}",
    ):
        assert not look(quiet)["unexplained"]
        done = from_outside(quiet)
    assert done.returncode == 2
    assert {"/usr/bin/env", DATABASE} <= set(unexplained(json.loads(done.stdout)["hosts"][quiet.host.name]))


def test_rules_that_nobody_explains_hide_nothing_and_an_audit_writes_nothing(quiet: GatewayHost) -> None:
    rules, evil = "/etc/aide/aide.conf", "/usr/local/bin/evil"
    kept = "/root/.cache/aide.conf"
    back = f"test ! -e {kept} || mv {kept} {rules}"
    deed = f"mkdir -p /root/.cache; cp -a {rules} {kept}; sed -i '1a !/usr/local' {rules}; cp /usr/bin/true {evil}"
    with quiet.altered(deed, f"{back}; rm -f {evil}"):
        state = f"cat {HOME}/chain {HOME}/findings.json | sha256sum; ls {HOME}"
        before = quiet.run(state)
        assert quiet.run("bastide-integrity check --dry >/dev/null; echo $?") == "2\n"
        assert quiet.run(state) == before
        assert set(unexplained(look(quiet))) == {rules, evil}
        quiet.run(back)
        assert list(unexplained(look(quiet))) == [evil]
    assert not look(quiet)["unexplained"]


def test_a_look_waits_for_an_update(quiet: GatewayHost) -> None:
    lock = "/run/bastide-update.lock"
    said = quiet.run(
        f"(flock 9; sleep 4; date +%s%N >/run/bastide-probe) 9>>{lock} & sleep 1; "
        "bastide-integrity check --dry 2>&1 >/dev/null; cat /run/bastide-probe; rm -f /run/bastide-probe"
    ).splitlines()
    assert said[0] == f"{lock}: an update is at work; waiting for its end"
    assert len(said) == 2


def test_a_package_and_its_upgrade_are_explained_and_a_program_changed_since_is_not(
    quiet: GatewayHost,
) -> None:
    for version, old in (("1.0", True), ("2.0", False)):
        built(quiet, version, old=old)
        found = look(quiet)
        assert not found["unexplained"]
        by = explained(found)
        paths = {
            f"/usr/bin/{PROBE}",
            f"/etc/{PROBE}.conf",
            f"/usr/lib/{PROBE}/lib.so",
            f"/usr/lib/{PROBE}/old",
        }
        assert paths <= set(by)
        assert all(f"package {PROBE} {version}" in by[path] for path in paths)
        assert any("compiled anew" in why for why in by.values())
    built(quiet, "3.0", old=False)
    quiet.run(f"echo evil >>/usr/bin/{PROBE}; chmod u+s /usr/lib/{PROBE}/lib.so.3.0")
    found = look(quiet)
    assert set(unexplained(found)) == {f"/usr/bin/{PROBE}", f"/usr/lib/{PROBE}/lib.so.3.0"}
    assert f"/usr/lib/{PROBE}/probe.py" in explained(found)
    quiet.run(f"bastide-integrity accept --reason 'a test' /usr/bin/{PROBE} /usr/lib/{PROBE}/lib.so.3.0")
    assert not look(quiet)["unexplained"]
    assert quiet.run(f"tail -n 2 {HOME}/accepted | grep -c 'a test'") == "2\n"
    assert quiet.run("bastide-integrity accept --reason none /etc/passwd >/dev/null 2>&1; echo $?") == "3\n"


def test_a_deploy_is_explained_and_takes_nothing_over_that_is_not_its_own(
    quiet: GatewayHost, tmp_path: Path
) -> None:
    late = tmp_path / "late.py"
    late.write_text(
        "from inventory.lab import gateways as _as_ever\n\n"
        'gateways = [(name, {**data, "reports": {"at": "01:23"}}) for name, data in _as_ever]\n'
    )
    with quiet.altered("echo evil >/etc/cron.d/evil", "rm -f /etc/cron.d/evil"):
        for inventory in (str(late), INVENTORY):
            done = deploy("apply", inventory, lab=quiet.lab.name)
            assert done.returncode == 0, done.stderr[-3000:]
            found = json.loads(quiet.run("bastide-integrity findings --json", check=False))
            assert list(unexplained(found)) == ["/etc/cron.d/evil"]
            assert "deploy of" in explained(found)["/etc/systemd/system/bastide-report.timer"]
    assert not look(quiet)["unexplained"]
    outside = from_outside(quiet, "--keep")
    assert outside.returncode == 0, outside.stdout[-2000:] + outside.stderr[-2000:]


NIGHTS = (
    "logrotate -f /etc/logrotate.conf",
    "systemctl start spamassassin-maintenance.service sa-update.service 2>/dev/null; freshclam --quiet --stdout; true",
    "systemctl try-restart postfix sendmail filterd clamav-daemon spamd unbound 2>/dev/null; true",
    f"apt-get -q update >/dev/null 2>&1; apt-get -q -y --reinstall install aide {PACKAGE} clamav-daemon unbound >/dev/null 2>&1",
    "systemctl start bastide-report.service bastide-waiting.service 2>/dev/null; true",
)


def test_ordinary_nights_are_quiet(quiet: GatewayHost, wan: Outside) -> None:
    for number, deed in enumerate(NIGHTS):
        quiet.run(deed)
        assert send(wan, plain(mark()), parameters="").startswith("250 ")
        built(quiet, f"4.{number}", old=bool(number % 2))
        quiet.run("systemctl start bastide-integrity.service")
        found = json.loads(quiet.run("bastide-integrity findings --json", check=False))
        assert not found["unexplained"], deed
        assert found["explained"]
    assert quiet.run("systemctl show -P Result bastide-integrity.service") == "success\n"

"""Questions to a host: none is answered well by a host that could not be asked, or that was looked at in part."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from roles.hardening.defences import DEFENCES as HARDENING
from roles.hardening.files import _INCLUDED
from roles.kinds import HostAnswer, HostState
from roles.kinds.questions import counted, everywhere
from roles.registry import DEFENCES
from tests.unit.roles.examples import gateway
from tests.unit.roles.hosts import FakeHost

GATEWAY = gateway(hardening_level="paranoid", hardening={"ssh_groups": ("root", "sudo", "operators")})


def question(subject: str) -> str:
    return next(
        each.question(GATEWAY)
        for defence in HARDENING
        for each in defence.sets
        if isinstance(each, HostAnswer | HostState) and each.subject == subject
    )


def asked(script: str, **moved: object) -> subprocess.CompletedProcess[str]:
    for path, place in moved.items():
        script = script.replace("/" + path.replace("_", "/"), str(place))
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("command", "code", "answer"),
    [
        ("true", 0, "0"),
        ("echo one", 0, "1"),
        ("printf 'one\\ntwo'", 0, "2"),
        ("echo one; false", 1, ""),
        ("cat /not/there", 1, ""),
        ("( echo one; exit 3 )", 1, ""),
    ],
)
def test_what_cannot_be_counted_is_no_number(command: str, code: int, answer: str) -> None:
    done = asked(counted(command))
    assert (done.returncode, done.stdout.strip()) == (code, answer)


def test_no_record_counts_the_lines_of_what_may_have_failed() -> None:
    asked_so = [
        defence.id
        for defence in DEFENCES
        for each in defence.sets
        if isinstance(each, HostAnswer | HostState) and each.question(GATEWAY).endswith("| wc -l")
    ]
    assert asked_so == []


def test_a_host_that_lost_shadow_is_not_one_without_empty_passwords(tmp_path: Path) -> None:
    script = question("accounts with an empty password")
    assert asked(script, etc_shadow=tmp_path / "none").returncode != 0
    (tmp_path / "shadow").write_text("root:*:1\nopen::1\n")
    assert asked(script, etc_shadow=tmp_path / "shadow").stdout == "1\n"


MOUNTS = """36 1 254:1 / {root} rw,relatime shared:1 - ext4 /dev/vda1 rw
37 36 254:2 / {root}/home rw,nosuid shared:2 master:1 - ext4 /dev/vda2 rw
38 36 0:44 / {root}/a\\040tmp rw - tmpfs tmpfs rw
39 36 0:50 / {root}/net rw - nfs4 server:/ rw
40 36 0:5 / /proc rw - proc proc rw
41 36 254:1 /tmp {root}/bound rw - ext4 /dev/vda1 rw
42 36 0:60 /@home {root}/sub rw - btrfs /dev/vdb rw
43 40 0:61 / /proc/hidden rw - tmpfs tmpfs rw
"""


def test_each_file_system_of_the_hosts_own_is_looked_at_once(tmp_path: Path, fake_host: FakeHost) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS.format(root=tmp_path))
    fake_host.program("find", f'for each; do echo "$each" >>{tmp_path}/seen; done')
    fake_host.run(everywhere("-perm /6000 -print").replace("/proc/self/mountinfo", str(table)))
    seen = (tmp_path / "seen").read_text().splitlines()
    roots = [f"{tmp_path}{each}" for each in ("", "/home", "/a tmp", "/sub")]
    assert seen == [*roots, "-ignore_readdir_race", "-xdev", "-perm", "/6000", "-print"]


def test_a_host_that_tells_of_no_file_system_was_not_looked_at(tmp_path: Path) -> None:
    assert asked(everywhere("-print"), proc_self_mountinfo=tmp_path / "none").returncode != 0


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="it mounts")
def test_a_privileged_program_on_a_file_system_of_its_own_is_found(tmp_path: Path) -> None:
    """The very thing that hid it: the search is held to one directory here, for the machine has others."""
    (tmp_path / "home").mkdir()
    script = (
        f"mount -t tmpfs own {tmp_path}/home && install -m 4755 /bin/true {tmp_path}/home/shell; "
        f"grep ' {tmp_path}/' /proc/self/mountinfo >{tmp_path}/mounts; "
    ) + question("programs that run as their owner and are on no list").replace(
        "/proc/self/mountinfo", f"{tmp_path}/mounts"
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [f"{tmp_path}/home/shell"]


ACCOUNTS = """root:x:0:0::/root:/bin/bash
daemon:x:1:1::/:/usr/sbin/nologin
deploy:x:998:998::/home/deploy:/bin/bash
oper:x:997:997::/home/oper:/bin/sh
sysodd:x:996:996::/:/bin/bash
amy:x:1000:1000::/home/amy:/bin/bash
"""


def test_the_login_that_deploys_and_members_of_its_groups_are_no_daemons(
    tmp_path: Path, fake_host: FakeHost
) -> None:
    (tmp_path / "passwd").write_text(ACCOUNTS)
    fake_host.program(
        "id", 'case "$*" in *oper) echo oper operators ;; *-un) echo root ;; *) echo "$3" ;; esac'
    )
    fake_host.program("passwd", 'case $2 in daemon) echo "$2 L" ;; *) echo "$2 P" ;; esac')
    for subject in ("system accounts with a shell", "system accounts with a password"):
        script = question(subject).replace("/etc/passwd", str(tmp_path / "passwd"))
        assert fake_host.run(f"SUDO_USER=deploy; {script}").split() == ["sysodd"]
        assert fake_host.run(f"unset SUDO_USER; {script}").split() == ["deploy", "sysodd"]
    lost = question("system accounts with a shell").replace("/etc/passwd", str(tmp_path / "none"))
    fake_host.run(lost, fails=True)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            "# su\nauth sufficient pam_rootok.so\nauth\trequired  pam_wheel.so use_uid group=sudo # yes\n",
            ["auth sufficient pam_rootok.so", "auth required pam_wheel.so use_uid group=sudo"],
        ),
        (
            "-auth sufficient pam_permit.so\nauth sufficient pam_rootok.so\nauth required pam_wheel.so\n",
            ["-auth sufficient pam_permit.so", "auth sufficient pam_rootok.so"],
        ),
        (
            "@include open\nauth sufficient pam_rootok.so\n",
            ["@include open", "auth sufficient pam_rootok.so"],
        ),
        (
            "auth \\\n sufficient pam_permit.so\nauth sufficient pam_rootok.so\n",
            ["auth sufficient pam_permit.so", "auth sufficient pam_rootok.so"],
        ),
    ],
)
def test_what_su_asks_first_is_all_that_it_asks_first(tmp_path: Path, text: str, answer: list[str]) -> None:
    (tmp_path / "su").write_text(text)
    script = question("what su asks first").replace("/etc/pam.d/su", str(tmp_path / "su"))
    assert asked(script).stdout.splitlines() == answer


def test_blocks_are_counted_in_every_file_that_sshd_reads(tmp_path: Path) -> None:
    script = question("Match blocks in sshd's files").replace("/etc/ssh", str(tmp_path))
    assert asked(script).returncode != 0
    (tmp_path / "sshd_config").write_text(
        f'Include {tmp_path}/sshd_config.d/*.conf\ninclude "more/*"\nPort 22\n'
    )
    (tmp_path / "more").mkdir()
    assert asked(script).stdout == "0\n"
    (tmp_path / "more/a").write_text("Include deep sshd_config\n")
    (tmp_path / "deep").write_text("  match User nobody\n")
    assert asked(script).stdout == "1\n"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Include /etc/ssh/sshd_config.d/*.conf\n", True),
        ("Port 22\n\tinclude=/etc/ssh/sshd_config.d/*.conf\n", True),
        ("Include sshd_config.d/*\n", True),
        ("# Include /etc/ssh/sshd_config.d/*.conf\n", False),
        ("Match User a\nInclude /etc/ssh/sshd_config.d/*.conf\n", False),
        ("Include /etc/ssh/sshd_config.d/50-*.conf\n", False),
        ("", False),
    ],
)
def test_options_that_sshd_would_not_read_are_not_written(tmp_path: Path, text: str, read: bool) -> None:  # noqa: FBT001 - a parameter of the test
    (tmp_path / "sshd_config").write_text(text)
    done = asked(_INCLUDED, etc_ssh=tmp_path)
    assert (done.returncode == 0) is read
    assert read or "as its first line" in done.stderr


KEYS = "authorizedkeysfile .ssh/authorized_keys %h/.ssh/more /etc/ssh/keys/%u\nauthorizedkeyscommand none\ntrustedusercakeys none\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (KEYS, ""),
        (KEYS.replace("%h/.ssh/more", "/tmp/keys"), "authorizedkeysfile"),  # noqa: S108 - what is to be found
        (KEYS.replace("/etc/ssh/keys", "/etc/ssh/../tmp"), "authorizedkeysfile"),
        (KEYS.replace("command none", "command /usr/bin/ask"), "authorizedkeyscommand"),
        (KEYS.replace("cakeys none", "cakeys /etc/ssh/ca.pub"), "trustedusercakeys"),
        (f"{KEYS}authorizedprincipalsfile /etc/ssh/who\n", "authorizedprincipalsfile"),
    ],
)
def test_keys_from_elsewhere_are_named(fake_host: FakeHost, text: str, answer: str) -> None:
    fake_host.program("sshd", f"cat <<'END'\n{text}END")
    assert fake_host.run(question("where else sshd takes keys from")).partition(" ")[0] == answer
    fake_host.program("sshd", "exit 255")
    fake_host.run(question("where else sshd takes keys from"), fails=True)

"""The operating system's defences, by what they do to somebody who is on the host or wants to be."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.access import ssh_argv
from lab.plan import Host, LabState
from lab.platforms import lab_platform
from roles.hardening import paths
from roles.hardening.defences import DEFENCES
from roles.kinds import HostState
from roles.platforms import row
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged
from tests.acceptance.lacking import needs
from tests.acceptance.test_deploy import varied

# Long, of three kinds and in no dictionary: what hardening.password-quality asks for.
GOOD, OTHER = "Quiet-Harbour-61-Lantern", "Seven-Kites-44-Over-Hedges"
pytestmark = pytest.mark.usefixtures("accepted")

PEOPLE = ("amy", "bea", "cid")
ADMINS = row(SETTINGS).group("sudo")
WRITABLE = [f"/{each}" for each in ("tmp", "var/tmp", "dev/shm")]


@pytest.fixture(scope="module")
def people(gateway: GatewayHost) -> Iterator[GatewayHost]:
    """Give a host with an administrator (amy), and two who are none (bea, cid); all have the same good password."""
    for user in PEOPLE:
        gateway.run(f"useradd --create-home --shell /bin/bash {user}")
        given(gateway, user)
    gateway.run(f"usermod --append --groups {ADMINS} amy")
    try:
        yield gateway
    finally:
        for user in PEOPLE:
            gateway.run(f"faillock --user {user} --reset; userdel --force --remove {user} 2>&1")
            gateway.run(f"sed -i /^{user}:/d /etc/security/opasswd")
        # What pam_pwhistory(8) keeps beside it; no deploy has changed either, so integrity would rightly ask who did.
        gateway.run("rm -f /etc/security/opasswd.old")


def given(host: GatewayHost, user: str) -> None:
    """Give a user the good password as if he had never had another: past what looks at new ones."""
    host.run(
        f'usermod --password "$(openssl passwd -6 {GOOD})" {user}; chage --mindays 0 {user}; faillock --user {user} --reset; '
        f"touch /etc/security/opasswd; sed -i /^{user}:/d /etc/security/opasswd"
    )


def said(host: GatewayHost, user: str, script: str) -> tuple[int, str]:
    """Run a script as a user of the host; return its exit code and all that it wrote."""
    quoted = script.replace("'", "'\\''")
    found = host.run(f"cd /; runuser -u {user} -- sh -c '{quoted}' 2>&1; echo \"code $?\"")
    text, _, code = found.rstrip("\n").rpartition("code ")
    return int(code), text


def becomes(host: GatewayHost, who: str, whom: str, password: str) -> bool:
    code, text = said(host, who, f"echo '{password}' | su {whom} -c 'echo; id -un'")
    # The question for the password stands before it.
    return code == 0 and text.splitlines()[-1:] == [whom]


@needs("hardening.su")
def test_only_an_administrator_becomes_another_by_su(people: GatewayHost) -> None:
    assert becomes(people, "amy", "cid", GOOD)
    assert not becomes(people, "bea", "cid", GOOD)


@pytest.fixture
def sudo_closed(gateway: GatewayHost) -> Iterator[str]:
    """Give the script by which a deploy at level paranoid closes sudo; in the end it is open as the package has it."""
    record = next(each for each in DEFENCES if each.id == "hardening.sudo-group")
    (state,) = record.sets
    assert isinstance(state, HostState)
    yield f"sh -e -c {shlex.quote(state.remedy_of(SETTINGS))} 2>&1"
    gateway.run(
        "dpkg-statoverride --remove /usr/bin/sudo 2>/dev/null; chown root:root /usr/bin/sudo; chmod 4755 /usr/bin/sudo"
    )


def test_only_an_administrator_can_start_sudo_at_all(people: GatewayHost, sudo_closed: str) -> None:
    """hardening.sudo-group: not even a flaw in it is met by others, whatever sudoers says of them."""
    people.run(sudo_closed)
    assert said(people, "amy", "sudo --version")[0] == 0
    with people.altered("echo 'bea ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/bea", "rm /etc/sudoers.d/bea"):
        code, text = said(people, "bea", "/usr/bin/sudo --version")
    assert (code, "ermission denied" in text) == (126, True)


def test_sudo_is_taken_from_nobody_who_was_given_it(people: GatewayHost, sudo_closed: str) -> None:
    with people.altered("echo 'bea ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/bea", "rm /etc/sudoers.d/bea"):
        text = people.run(sudo_closed, check=False)
        assert f"bea may use sudo and is not in group {ADMINS}" in text
        assert said(people, "bea", "sudo -n id -un") == (0, "root\n")
    people.run(sudo_closed)
    assert people.run("stat -c '%a %G' /usr/bin/sudo") == f"4110 {ADMINS}\n"


@needs("hardening.password-tries")
def test_five_wrong_passwords_lock_an_account_and_nobody_else(people: GatewayHost) -> None:
    for _ in range(5):
        assert not becomes(people, "amy", "cid", "wrong")
    assert not becomes(people, "amy", "cid", GOOD)
    assert becomes(people, "amy", "bea", GOOD)
    people.run("faillock --user cid --reset")
    assert becomes(people, "amy", "cid", GOOD)


@needs("hardening.password-tries")
def test_a_right_password_forgives_the_wrong_ones_before_it(people: GatewayHost) -> None:
    for password in ("wrong", "wrong", "wrong", "wrong", GOOD, "wrong"):
        assert becomes(people, "amy", "cid", password) is (password == GOOD)
    assert becomes(people, "amy", "cid", GOOD)


@needs("hardening.password-quality")
@pytest.mark.parametrize(
    ("new", "taken"),
    [("short-1A", False), ("aaaaaaaaaaaaaaaaaaa", False), ("Quiet-Harboooour-77", False), (OTHER, True)],
)
def test_a_new_password_must_be_good_and_new(people: GatewayHost, new: str, taken: bool) -> None:  # noqa: FBT001 - a parameter of the test
    given(people, "bea")
    said(people, "bea", f"printf '%s\\n' '{GOOD}' '{new}' '{new}' | passwd")
    assert becomes(people, "amy", "bea", new if taken else GOOD)
    assert taken or new == GOOD or not becomes(people, "amy", "bea", new)


@needs("hardening.umask")
def test_a_new_account_keeps_to_itself(people: GatewayHost) -> None:
    assert people.run("stat -c '%a' /home/amy /home/bea").split() == ["700", "700"]
    people.run("su bea -c 'touch /home/bea/note'")
    assert people.run("stat -c %a /home/bea/note").strip() == "640"


@needs("hardening.password-history")
def test_a_new_password_is_kept_by_a_slow_hash_and_the_old_one_does_not_come_back(
    people: GatewayHost,
) -> None:
    given(people, "cid")
    said(people, "cid", f"printf '%s\\n' '{GOOD}' '{OTHER}' '{OTHER}' | passwd")
    assert people.run("getent shadow cid").split(":")[1].startswith("$y$")
    said(people, "cid", f"printf '%s\\n' '{OTHER}' '{GOOD}' '{GOOD}' | passwd")
    assert becomes(people, "amy", "cid", OTHER)
    given(people, "cid")


@pytest.mark.parametrize("directory", WRITABLE)
def test_nothing_is_run_where_everybody_writes(people: GatewayHost, directory: str) -> None:
    code, text = said(
        people,
        "bea",
        f"cp /bin/true {directory}/by-hand && {directory}/by-hand; c=$?; rm -f {directory}/by-hand; exit $c",
    )
    assert code == 126
    assert "Permission denied" in text
    assert said(people, "bea", "cp /bin/true ~/by-hand && ~/by-hand")[0] == 0


@pytest.mark.parametrize("directory", WRITABLE)
def test_a_setuid_copy_of_a_shell_there_gives_nobody_root(people: GatewayHost, directory: str) -> None:
    # Even by way of an interpreter that takes the file for data the right is not given.
    people.run(f"cp /usr/bin/id {directory}/by-hand; chmod 4755 {directory}/by-hand")
    try:
        code, _ = said(people, "bea", f"{directory}/by-hand -u")
        assert code == 126
        loader = said(people, "bea", f"/lib64/ld-linux-x86-64.so.2 {directory}/by-hand -u")
        assert loader[0] != 0 or loader[1].strip() != "0"
    finally:
        people.run(f"rm {directory}/by-hand")


def test_a_process_that_dies_leaves_no_core(people: GatewayHost) -> None:
    code, text = said(people, "bea", "ulimit -c unlimited")
    assert code != 0, text
    said(people, "bea", "cd ~ && sh -c 'kill -SEGV $$'")
    assert people.run("find /home/bea -name 'core*'") == ""


def test_programs_of_the_desk_have_lost_their_right(people: GatewayHost) -> None:
    for command in ("mount --bind /home /home", "chfn -f Nobody bea", f"newgrp {ADMINS}"):
        code, text = said(people, "bea", f"echo {GOOD} | {command}")
        assert code != 0, text
    assert ADMINS not in people.run("id -Gn bea")


def test_keys_at_the_console_restart_nothing(gateway: GatewayHost) -> None:
    assert "masked" in gateway.run("systemctl start ctrl-alt-del.target 2>&1; true")


def test_an_idle_shell_ends_and_cannot_be_told_not_to(gateway: GatewayHost) -> None:
    assert "readonly" in gateway.run("bash -lc 'TMOUT=0; true' 2>&1; true")
    assert gateway.run("bash -lc 'echo $TMOUT'").strip() == "900"


def login(host: Host, user: str) -> bool:
    """Say whether a user gets in by the key that the deploy uses."""
    argv = ssh_argv(host, options=["-o", "BatchMode=yes", "-o", "ControlPath=none", "-l", user])
    done = subprocess.run([*argv, "true"], capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def test_ssh_lets_in_members_of_the_groups_alone(people: GatewayHost) -> None:
    for user in ("amy", "bea"):
        people.run(
            f"install -d -m 700 -o {user} -g {user} /home/{user}/.ssh; "
            f"install -m 600 -o {user} -g {user} /root/.ssh/authorized_keys /home/{user}/.ssh/authorized_keys"
        )
    assert login(people.host, "amy")
    assert not login(people.host, "bea")


def test_a_deploy_that_would_lock_its_own_login_out_is_refused(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    # Whatever tests before have left: it is what the last deploy below must have nothing of to mend.
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    before = gateway.run(f"cat {paths.SSHD}")
    inventory = varied(tmp_path, 'data["hardening"] = {**data["hardening"], "ssh_groups": ["games"]}')
    done = deploy("apply", inventory, lab=lab.name)
    assert done.returncode == 1
    assert "in none of the groups that may log in by ssh" in done.stderr
    assert gateway.run(f"cat {paths.SSHD}") == before
    unchanged(deploy("apply", INVENTORY, lab=lab.name))


def refused(lab: LabState, gateway: GatewayHost, change: str, undo: str) -> str:
    """Return what a deploy says that is to be refused for what was done by hand."""
    with gateway.altered(change, undo):
        done = deploy("apply", INVENTORY, lab=lab.name)
        assert done.returncode == 1
    return done.stderr


def test_a_login_that_deploys_is_no_daemon_whatever_its_number(lab: LabState, gateway: GatewayHost) -> None:
    # Whatever tests before have left.
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    shell = "getent passwd by-hand | cut -d: -f7"
    made = f"useradd --system --shell /bin/bash --groups {ADMINS} by-hand; echo by-hand:{GOOD} | chpasswd"
    with gateway.altered(
        made, "userdel by-hand; sed -i /^by-hand:/d /etc/security/opasswd; rm -f /etc/security/opasswd.old"
    ):
        unchanged(deploy("apply", INVENTORY, lab=lab.name))
        assert gateway.run(shell) == "/bin/bash\n"
        gateway.run(f"gpasswd --delete by-hand {ADMINS}")
        assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
        assert gateway.run(shell) == "/usr/sbin/nologin\n"
        assert gateway.run("passwd -S by-hand").split()[1] == "L"


def test_a_deploy_that_would_take_the_only_way_out_is_refused(lab: LabState, gateway: GatewayHost) -> None:
    said = refused(
        lab,
        gateway,
        "ip -6 route show default >/run/by-hand; ip -6 route flush default; ip -6 route add default via fe80::1 dev wan0 proto ra",
        "ip -6 route flush default; while read -r route; do ip -6 route add $route; done </run/by-hand; rm /run/by-hand",
    )
    assert "what a router advertises on wan0" in said


def test_a_deploy_whose_options_sshd_would_not_read_is_refused(lab: LabState, gateway: GatewayHost) -> None:
    kept = "/root/by-hand"
    said = refused(
        lab,
        gateway,
        f"cp -a /etc/ssh {kept}; sed -i '/^Include/d' /etc/ssh/sshd_config; echo '# by hand' >>{paths.SSHD}",
        f"cp -a {kept}/. /etc/ssh/; rm -r {kept}",
    )
    assert "write `Include /etc/ssh/sshd_config.d/*.conf` as its first line" in said
    # sshd is told once more, as its files are newer than what it was told of.
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0


def test_a_file_that_somebody_made_unchangeable_is_named_and_none_is_moved(
    lab: LabState, gateway: GatewayHost
) -> None:
    if not gateway.run("command -v chattr", check=False):
        pytest.skip("the host has no chattr")
    said = refused(
        lab,
        gateway,
        "echo by hand >/etc/motd; echo by hand >>/etc/issue; chattr +i /etc/motd; cat /etc/issue >/run/by-hand",
        "chattr -i /etc/motd; cmp /etc/issue /run/by-hand; rm /run/by-hand",
    )
    assert "somebody has made unchangeable what a deploy writes: /etc/motd" in said
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0


DAEMONS = (
    *("clamav-daemon", "clamav-freshclam", "spamd", "unbound", "rsyslog"),
    *(("postfix@-",) if SETTINGS.mta == "postfix" else ("sendmail", "sm-client")),
)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_who_is_inside_a_daemon_can_change_no_file_of_the_system(gateway: GatewayHost, daemon: str) -> None:
    platform = lab_platform(gateway.lab.platform).row
    group = f"$(systemctl show -p ControlGroup --value {platform.unit(f'{daemon}.service')})"
    pid = gateway.run(
        f"cat /sys/fs/cgroup/systemd{group}/cgroup.procs /sys/fs/cgroup{group}/cgroup.procs 2>/dev/null | head -n 1"
    ).strip()
    for path in ("/etc", "/usr/bin", "/opt/filterd", "/var/lib/filterd"):
        text = gateway.run(f"nsenter --mount --target {pid} touch {path}/by-hand 2>&1; true")
        assert "Read-only file system" in text, (daemon, path, text)


def test_clamd_has_no_way_to_any_network(gateway: GatewayHost) -> None:
    pid = gateway.run("systemctl show -p MainPID --value clamav-daemon.service").strip()
    links = gateway.run(f"nsenter --net --target {pid} ip -brief link").splitlines()
    assert [line.split()[0] for line in links] == ["lo"]

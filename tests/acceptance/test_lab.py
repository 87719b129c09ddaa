"""The lab itself, on this machine: fast to make, true to its plan, and wholly gone afterwards, after a crash too."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import lifecycle, mirror, state
from lab.access import ssh_argv
from lab.errors import LabError
from lab.hosts import processes
from lab.plan import CONTAINER, Host, LabState
from lab.tools import TO_BUILD, TO_RUN, require
from tests.acceptance.labs import swept, traces
from tests.acceptance.lacking import lacks

ROOT = Path(__file__).parents[2]
# Of this run alone: somebody else may be running the same tests on this machine.
NAME, OTHER = f"accept{os.getpid()}a", f"accept{os.getpid()}b"
LONGEST_WARM_UP_SECONDS = 10.0
LONGEST_COMMAND_SECONDS = 600.0


def command(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run ``python -m lab`` as a person would, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_COMMAND_SECONDS,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def on(host: Host, line: str, *, check: bool = True) -> str:
    argv = [*ssh_argv(host, options=["-o", "BatchMode=yes"]), line]
    return subprocess.run(argv, capture_output=True, text=True, check=check, timeout=120).stdout


def inside(netns: str, *argv: str, stdin: str = "", check: bool = True) -> str:
    words = ["ip", "netns", "exec", netns, *argv]
    return subprocess.run(words, input=stdin, capture_output=True, text=True, check=check, timeout=60).stdout


@pytest.fixture(scope="module", autouse=True)
def _machine() -> Iterator[None]:
    try:
        require({**TO_RUN, **TO_BUILD})
    except LabError as error:
        lacks(str(error))
    lifecycle.build_cache()
    swept("accept")
    yield
    for name in (NAME, OTHER):
        command("down", "--name", name)


@pytest.fixture(scope="module")
def lab(_machine: None) -> LabState:
    command("down", "--name", NAME)
    command("up", "--name", NAME)
    return state.load(NAME)


def test_up_from_a_warm_cache_is_fast_and_ssh_answers_on_every_host(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command("down", "--name", NAME)
    began = time.monotonic()
    said = command("up", "--name", NAME).stderr
    took = time.monotonic() - began
    with capsys.disabled():
        print(f"\nlab up from a warm cache: {took:.1f} s; {said.strip().splitlines()[-1]}")
    assert took <= LONGEST_WARM_UP_SECONDS
    for host in state.load(NAME).hosts.values():
        assert on(host, "hostname -f") == f"{host.fqdn}\n"


def test_up_when_it_is_up_changes_nothing(lab: LabState) -> None:
    before = {host.name: processes(host.machine) for host in lab.hosts.values()}
    assert "is up already" in command("up", "--name", NAME).stderr
    assert {host.name: processes(host.machine) for host in lab.hosts.values()} == before


def test_up_with_another_number_of_gateways_is_refused(lab: LabState) -> None:
    done = command("up", "--name", lab.name, "--gateways", "2", check=False)
    assert done.returncode == 2
    assert f"down --name {lab.name}" in done.stderr


def test_status_tells_a_program_what_it_tells_a_person(lab: LabState) -> None:
    told = json.loads(command("status", "--name", NAME, "--json").stdout)
    assert told["up"] is True
    assert told["lab"]["hosts"]["gw1"]["ssh_host"] == lab.hosts["gw1"].ssh_host
    assert lab.hosts["gw1"].ssh_host in command("status", "--name", NAME).stdout


def test_private_key_is_private(lab: LabState) -> None:
    key = lab.hosts["gw1"].ssh_key
    assert key.stat().st_mode & 0o077 == 0
    assert key.parent.stat().st_mode & 0o077 == 0


def test_hosts_boot_without_a_failed_unit(lab: LabState) -> None:
    for host in lab.hosts.values():
        assert on(host, "systemctl is-system-running --wait", check=False) == "running\n", host.name


def test_a_gateway_is_bare(lab: LabState) -> None:
    listening = on(lab.hosts["gw1"], "ss -Hltun | awk '{print $1, $5}'")
    assert set(listening.split("\n")) - {""} == {"tcp 0.0.0.0:22", "tcp [::]:22"}


def test_hosts_refuse_passwords(lab: LabState) -> None:
    for host in lab.hosts.values():
        assert "passwordauthentication no" in on(host, "sshd -T")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("MX bastide.example", "10 mx1.bastide.example."),
        ("A mx1.bastide.example", "198.51.100.21"),
        ("AAAA mx1.bastide.example", "2001:db8:51::21"),
        ("A data.bastide.example", "198.51.100.53"),
        ("MX sender.example", "10 client.sender.example."),
        ("TXT sender.example", '"v=spf1 ip4:198.51.100.10 ip4:198.51.100.11 -all"'),
        ("MX spoof.example", "10 mx.spoof.example."),
        ("-x 198.51.100.10", "client.sender.example."),
        ("-x 2001:db8:51::10", "client.sender.example."),
        ("-x 198.51.100.21", "mx1.bastide.example."),
        ("-x 198.51.100.67", ""),
        ("-x 198.18.0.25", "mail.bastide.example."),
        ("A 66.100.51.198.dnsbl.bastide.example", "127.0.0.2"),
        ("A 2.0.0.127.dnsbl.bastide.example", "127.0.0.2"),
        ("A 10.100.51.198.dnsbl.bastide.example", ""),
    ],
)
@pytest.mark.parametrize("server", ["198.51.100.53", "2001:db8:51::53"], ids=["v4", "v6"])
def test_dns_answers_from_the_wan(lab: LabState, server: str, question: str, answer: str) -> None:
    _need("dig", "bind9-dnsutils")
    said = inside(lab.netns["wan"], "dig", "+short", "+time=2", "+tries=1", f"@{server}", *question.split())
    assert said.strip() == answer


def test_dns_says_that_unknown_names_do_not_exist(lab: LabState) -> None:
    _need("dig", "bind9-dnsutils")
    said = inside(lab.netns["wan"], "dig", "@198.51.100.53", "deb.nowhere.test")
    assert "status: NXDOMAIN" in said
    assert re.search(r"flags:[^;]* aa", said)


def test_hosts_resolve_through_the_labs_server(lab: LabState) -> None:
    assert "198.51.100.10" in on(lab.hosts["gw1"], "getent ahostsv4 sender.example")
    assert "client.sender.example" in on(lab.hosts["gw1"], "getent hosts 198.51.100.10")


def test_world_serves_the_signature_database(lab: LabState) -> None:
    fetch = "import urllib.request as r; print(r.urlopen('http://data.bastide.example/clamav/bastide-lab.ndb').read())"
    assert "Eicar-Test-Signature:0:*:" in on(lab.hosts["gw1"], f'python3 -c "{fetch}"')


def test_packages_install_with_no_network(lab: LabState) -> None:
    gateway = lab.hosts["gw1"]
    assert (
        on(gateway, "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null", check=False).count(
            "deb"
        )
        == 1
    )
    on(gateway, "apt-get -q update")
    on(
        gateway,
        "DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends postfix",
    )
    assert on(gateway, "postconf -h mail_version").startswith("3.")
    # The mirror holds the closure of what the roles install, all of it.
    for names in mirror.packages(lab.platform):
        wanted = " ".join(names)
        planned = on(gateway, f"apt-get -q install --simulate --no-install-recommends {wanted}")
        assert "Inst clamav-daemon " in planned


def test_networks_are_not_joined(lab: LabState) -> None:
    """From wan there is no way to lan or mgmt, and from a gateway none to this machine's own network."""
    connect = "import socket,sys; socket.create_connection((sys.argv[1], 22), timeout=0.7)"
    for vantage, address in (
        ("wan", "198.18.0.25"),
        ("lan", "198.51.100.53"),
        ("wan", lab.hosts["gw1"].ssh_host),
    ):
        with pytest.raises(subprocess.CalledProcessError):
            inside(lab.netns[vantage], sys.executable, "-c", connect, address)
    inside(lab.netns["wan"], sys.executable, "-c", connect, "198.51.100.21")
    inside(lab.netns["lan"], sys.executable, "-c", connect, "2001:db8:18::21")
    assert "default via 198.51.100.10 dev wan0" in on(lab.hosts["gw1"], "ip route")


def test_probes_can_send_from_each_of_their_addresses(lab: LabState) -> None:
    connect = "import socket,sys; socket.create_connection((sys.argv[2], 22), 1, (sys.argv[1], 0)).recv(4)"
    for source in ("198.51.100.10", "198.51.100.11", "198.51.100.66", "198.51.100.67"):
        inside(lab.netns["wan"], sys.executable, "-c", connect, source, "198.51.100.21")
    inside(lab.netns["wan"], sys.executable, "-c", connect, "2001:db8:51::10", "2001:db8:51::21")


def test_sink_records_what_arrives_on_the_lan(lab: LabState) -> None:
    program = (
        "import smtplib; s = smtplib.SMTP('198.18.0.25', 25, 'mx1.bastide.example', 5);"
        "print(s.sendmail('a@sender.example', ['b@bastide.example'], b'Subject: x\\r\\n\\r\\n.dot\\r\\n'))"
    )
    known = set(lab.sink.glob("*.json"))
    inside(lab.netns["lan"], sys.executable, "-c", program)
    (record,) = set(lab.sink.glob("*.json")) - known
    assert json.loads(record.read_text())["peer"][0] == "198.18.0.10"
    assert record.with_suffix(".eml").read_bytes() == b"Subject: x\r\n\r\n.dot\r\n"


def test_sysctls_and_packet_filter_are_the_hosts_own(lab: LabState) -> None:
    here = Path("/proc/sys/net/ipv4/tcp_syncookies").read_text()
    assert on(lab.hosts["gw1"], "sysctl -w net.ipv4.tcp_syncookies=2") == "net.ipv4.tcp_syncookies = 2\n"
    assert on(lab.hosts["world"], "sysctl -n net.ipv4.tcp_syncookies") != "2\n"
    assert Path("/proc/sys/net/ipv4/tcp_syncookies").read_text() == here


def test_run_and_ssh_pass_on_the_exit_code(lab: LabState) -> None:
    assert command("run", "--name", lab.name, "wan", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    assert command("ssh", "--name", lab.name, "gw1", "--", "exit 9", check=False).returncode == 9
    assert command("run", "--name", lab.name, "mgmt", "--", "no-such-program", check=False).returncode == 2


def test_two_labs_side_by_side_do_not_meet(lab: LabState) -> None:
    command("up", "--name", OTHER, "--gateways", "2")
    other = state.load(OTHER)
    try:
        assert other.index != lab.index
        on(lab.hosts["world"], "touch /root/mine")
        assert on(other.hosts["world"], "ls /root") == ""
        assert on(other.hosts["gw2"], "hostname -f") == "mx2.bastide.example\n"
        # The same address, another host with another key in each lab.
        scan = [
            inside(one.netns["wan"], "ssh-keyscan", "-t", "ed25519", "198.51.100.21") for one in (lab, other)
        ]
        assert scan[0] != scan[1]
    finally:
        command("down", "--name", OTHER)
    assert traces(OTHER) == []
    assert on(lab.hosts["gw1"], "true") == ""


def test_down_ends_what_runs_in_its_networks_and_can_be_repeated() -> None:
    command("up", "--name", OTHER)
    netns = state.load(OTHER).netns["wan"]
    forgotten = subprocess.Popen(["ip", "netns", "exec", netns, "sleep", "600"])
    time.sleep(0.2)
    assert "is removed" in command("down", "--name", OTHER).stderr
    assert forgotten.wait(timeout=5) == -signal.SIGKILL
    assert traces(OTHER) == []
    assert "nothing to remove" in command("down", "--name", OTHER).stderr


@contextmanager
def _up_until(trace: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start ``up`` and give it as soon as such a trace is there; it does not outlive the block."""
    # Of what another test left it would be given too early.
    command("down", "--name", OTHER)
    words = [sys.executable, "-m", "lab", "up", "--name", OTHER]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL) as victim:
        try:
            while not any(line.startswith(trace) for line in traces(OTHER)):
                assert victim.poll() is None
            yield victim
        finally:
            victim.kill()


@pytest.mark.parametrize("trace", ["directory", "netns", "link", "mount", "process"])
@pytest.mark.parametrize("remedy", ["down", "up"])
def test_a_killed_up_leaves_nothing_that_down_or_up_cannot_clear(trace: str, remedy: str) -> None:
    with _up_until(trace):
        pass  # it is killed, without a chance to tidy up
    assert traces(OTHER) != []
    command(remedy, "--name", OTHER)
    if remedy == "up":
        assert on(state.load(OTHER).hosts["gw1"], "hostname") == "mx1\n"
        command("down", "--name", OTHER)
    assert traces(OTHER) == []


@pytest.mark.parametrize("trace", ["directory", "netns", "mount", "process"])
def test_a_told_up_removes_what_it_made(trace: str) -> None:
    with _up_until(trace) as victim:
        victim.terminate()
        # Hosts that are booting by then are waited for, and a busy machine boots slowly.
        assert victim.wait(timeout=2 * lifecycle.LONGEST_BOOT_SECONDS[CONTAINER]) == 130
    assert traces(OTHER) == []


def test_a_killed_host_is_noticed_and_up_recovers() -> None:
    command("up", "--name", OTHER)
    for process in processes(state.load(OTHER).hosts["world"].machine):
        os.kill(process, signal.SIGKILL)
    assert command("status", "--name", OTHER, check=False).returncode == 1
    began = time.monotonic()
    command("up", "--name", OTHER)
    assert time.monotonic() - began <= LONGEST_WARM_UP_SECONDS
    assert command("status", "--name", OTHER).returncode == 0
    command("down", "--name", OTHER)
    assert traces(OTHER) == []


def test_a_record_that_cannot_be_read_does_not_hinder_down() -> None:
    command("up", "--name", OTHER)
    (state.directory_of(OTHER) / state.FILE).write_text("{")
    command("down", "--name", OTHER)
    assert traces(OTHER) == []


def test_two_ups_of_one_lab_make_one_lab() -> None:
    words = [sys.executable, "-m", "lab", "up", "--name", OTHER]
    both = [subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=2 * lifecycle.LONGEST_BOOT_SECONDS[CONTAINER])[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum("is up already" in each for each in said) == 1
    command("down", "--name", OTHER)
    assert traces(OTHER) == []


def _need(tool: str, package: str) -> None:
    if shutil.which(tool) is None:
        lacks(f"this machine lacks {tool}: get it with 'apt-get install {package}'")

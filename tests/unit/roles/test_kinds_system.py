"""Kinds of the operating system's files: asked of files, journals and mounts as their readers would take them."""

import subprocess

import pytest

from roles.kinds import (
    AuditRules,
    FaillockOption,
    HardLimit,
    HostState,
    LoginDef,
    ModuleBlocked,
    MountOptions,
    Sandbox,
    Sysctl,
    need_of,
)
from tests.unit.roles.examples import gateway

GATEWAY = gateway()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("UMASK 027\n", "027"),
        ("UMASK\t\t022\nUMASK 027\n", "027"),
        ("# UMASK 027\nUMASKED 027\n", ""),
        ("UMASK = 077\n", "077"),
    ],
)
def test_the_last_line_of_a_key_is_what_counts(text: str, answer: str) -> None:
    question = LoginDef("UMASK", "027").question(GATEWAY)
    asked = question.replace(LoginDef.FILE, "/dev/stdin")
    done = subprocess.run(["sh", "-c", asked], input=text, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == answer


def test_lines_are_written_as_their_readers_want_them() -> None:
    assert LoginDef("UMASK", "027").line(GATEWAY) == "UMASK 027"
    assert FaillockOption("deny", "5").line(GATEWAY) == "deny = 5"
    assert HardLimit("core", "0").line(GATEWAY) == "* hard core 0"
    assert ModuleBlocked("dccp", "").line(GATEWAY).splitlines() == [
        "install dccp /bin/false",
        "blacklist dccp",
    ]


def test_what_a_machine_is_needed_for_is_known() -> None:
    assert need_of(Sysctl("kernel.kptr_restrict", "2")) == "kernel"
    assert need_of(Sysctl("net.core.bpf_jit_harden", "2")) == "kernel"
    assert need_of(Sysctl("net.ipv4.ip_forward", "0")) is None
    assert need_of(Sysctl("net.core.somaxconn", "4096")) is None
    assert need_of(Sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", "86400")) is None
    assert need_of(Sysctl("net.netfilter.nf_conntrack_max", "262144")) == "kernel"
    assert need_of(ModuleBlocked("dccp", "")) == "kernel"
    assert need_of(AuditRules(about="x", rules=("-w /etc/passwd -p wa -k x",))) == "audit"


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        ("-w /a -p wa -k x\n-w /b -p wa -k x\n-w /c -p wa -k x\n", True),
        ("-w /b -p wa -k x\n-w /a -p wa -k x\n", True),
        ("-w /a -p wa -k x\n", False),
        ("No rules\n", False),
    ],
)
def test_each_audit_rule_must_be_loaded(answer: str, holds: bool) -> None:  # noqa: FBT001 - a parameter of the test
    rules = AuditRules(about="x", rules=("-w /a -p wa -k x", "-w /b -p wa -k x"))
    assert rules.holds(answer, GATEWAY) is holds


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        ("-a always,exit -F arch=b64 -S open,truncate,creat -F auid>=1000 -F auid!=-1 -F key=x\n", True),
        ("-a always,exit -F arch=b64 -S open,creat -F auid>=1000 -F auid!=-1 -F key=x\n", False),
        ("-a always,exit -F arch=b32 -S open,truncate,creat -F auid>=1000 -F auid!=-1 -F key=x\n", False),
        ("-a always,exit -F arch=b64 -S open,truncate,creat -F auid>=1000 -F key=x\n", False),
    ],
)
def test_an_audit_rule_is_known_by_what_it_records(answer: str, holds: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """auditctl(8) lists system calls in the order of their numbers, which is another one for each word size."""
    rule = "-a always,exit -F arch=b64 -S open,creat,truncate -F auid>=1000 -F auid!=unset -F key=x"
    assert AuditRules(about="x", rules=(rule,)).holds(answer, GATEWAY) is holds


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        ("install /bin/false\n", True),
        ("insmod /lib/modules/6.1.0/kernel/lib/crc-itu-t.ko \ninstall /bin/false\n", True),
        ("install /bin/false\ninsmod /lib/modules/6.1.0/kernel/fs/udf/udf.ko \n", False),
        ("insmod /lib/modules/6.1.0/kernel/fs/udf/udf.ko \n", False),
        ("", False),
    ],
)
def test_a_module_is_what_is_not_loaded_whatever_it_needs(answer: str, holds: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert ModuleBlocked("udf", "").holds(answer, GATEWAY) is holds


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        ("rw,nosuid,nodev,noexec,size=10k\n", True),
        ("rw,nosuid,nodev,size=10k\n", False),
        ("rw,nosuid,nodev,noexecutable\n", False),
        ("", False),
    ],
)
def test_a_mount_has_at_least_its_options(answer: str, holds: bool) -> None:  # noqa: FBT001 - a parameter of the test
    mount = MountOptions(path="/x", options=("nosuid", "nodev", "noexec"))
    assert mount.holds(answer, GATEWAY) is holds


@pytest.mark.parametrize(
    ("answer", "holds"),
    [("0.4\n", True), ("3.0", True), ("3.1", False), ("9.6", False), ("", False), ("3.", False)],
)
def test_an_exposure_is_at_most_what_was_said(answer: str, holds: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert Sandbox(unit="x.service", directives=(), exposure="3.0").holds(answer, GATEWAY) is holds


def test_the_exposure_is_read_out_of_what_systemd_says() -> None:
    question = Sandbox(unit="x.service", directives=(), exposure="3.0").question(GATEWAY)
    said = "✗ UMask= Files … 0.1\n\n→ Overall exposure level for x.service: 2.7 OK :-)\n"
    reader = question.partition("| ")[2]
    done = subprocess.run(["sh", "-c", reader], input=said, capture_output=True, text=True, check=True)
    assert done.stdout == "2.7\n"


def test_a_state_may_follow_from_the_settings() -> None:
    state = HostState(
        subject="x", command=lambda g: f"echo {g.sshd_port}", value=lambda g: str(g.sshd_port), remedy="true"
    )
    assert state.question(GATEWAY) == "echo 22"
    assert state.holds("22\n", GATEWAY)
    assert not state.holds("22\n23\n", GATEWAY)
    assert state.remedy_of(GATEWAY) == "true"

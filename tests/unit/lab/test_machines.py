"""The command that boots a virtual machine, and whether hardware helps it."""

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import machines
from lab.plan import VM, plan_lab

LAB = plan_lab(name="u1", index=7, gateways=2, directory=Path("/state/u1"), kind=VM)
HOST = LAB.hosts["gw2"]
ARGV = machines.qemu_argv(LAB, HOST, accelerator=["-accel", "tcg"])


def test_a_machine_bears_its_name_where_down_looks_for_it() -> None:
    assert ARGV[ARGV.index("-name") + 1] == "guest=bastide-u1-gw2"


def test_a_machine_has_no_way_out_but_its_taps() -> None:
    text = " ".join(ARGV)
    assert "-nodefaults" in ARGV
    assert re.findall(r"-netdev (\S+)", text) == [
        "tap,id=mgmt0,fd=3",
        "tap,id=wan0,fd=4",
        "tap,id=lan0,fd=5",
    ]
    assert not re.search(r"user,|socket|-qmp|-monitor|-vnc", text)


def test_interfaces_have_the_addresses_that_the_machine_names_them_by() -> None:
    given = re.findall(r"netdev=(\w+),mac=([0-9a-f:]{17})", " ".join(ARGV))
    assert dict(given) == {leg: HOST.mac(leg) for leg in HOST.legs}
    assert len({mac for _, mac in given}) == 3


def test_the_mirror_is_read_only_and_the_disk_the_machines_own() -> None:
    drives = [word for word in ARGV if word.startswith("file=")]
    assert [("readonly=on" in drive) for drive in drives] == [False, True]
    assert all(f"file={LAB.host_directory(HOST)}/" in drive for drive in drives)


@pytest.mark.parametrize(("code", "answer"), [(33, True), (0, False), (1, False), (-6, False)])
def test_an_accelerator_runs_if_its_machine_ends_itself(
    monkeypatch: pytest.MonkeyPatch, code: int, *, answer: bool
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_a, **_k: SimpleNamespace(returncode=code))
    assert machines.runs(["-accel", "kvm"]) is answer


def test_an_accelerator_that_hangs_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_arguments: object, timeout: float, **_named: object) -> None:
        raise subprocess.TimeoutExpired("qemu", timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert machines.runs(["-accel", "kvm"]) is False


@pytest.mark.parametrize("works", [True, False])
def test_hardware_is_used_where_it_works(monkeypatch: pytest.MonkeyPatch, *, works: bool) -> None:
    monkeypatch.setattr(Path, "exists", lambda _path: True)
    monkeypatch.setattr(machines, "runs", lambda _words: works)
    assert machines.accelerator()[1].startswith("kvm" if works else "tcg")


def test_the_boot_sector_is_one() -> None:
    assert len(machines._EXIT) == 512
    assert machines._EXIT.endswith(b"\x55\xaa")

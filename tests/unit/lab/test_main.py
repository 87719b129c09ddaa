"""The command line: wrong use is one sentence and exit code 2."""

import os
import shutil
from pathlib import Path

import pytest

from lab import lifecycle, tools
from lab.__main__ import _parser, main
from lab.errors import LabError


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASTIDE_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BASTIDE_LAB_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "argv",
    [
        ["up", "--platform", "debian13", "--kind", "vm"],
        ["ssh", "gw1"],
        ["run", "wan", "--", "true"],
        ["run", "wan"],
        ["status", "--name", "No-Name"],
    ],
    ids=["no-such-machine", "ssh", "run", "run-nothing", "bad-name"],
)
def test_what_cannot_be_done_is_one_sentence_and_2(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    written = capsys.readouterr()
    assert written.err.startswith("lab: ")
    assert written.err.count("\n") == 1


def test_status_of_no_lab_is_1_in_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    assert "not up" in capsys.readouterr().out
    assert main(["status", "--json"]) == 1
    assert '"up": false' in capsys.readouterr().out


def test_down_of_every_lab_when_there_is_none_is_done() -> None:
    assert main(["down", "--all"]) == 0


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fly"],
        ["run", "moon"],
        ["up", "--gateways", "x"],
        ["up", "--kind", "moon"],
        ["up", "--platform", "moon"],
    ],
)
def test_wrong_use_is_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2


def test_defaults_are_one_gateway_and_the_lab_called_lab() -> None:
    arguments = _parser().parse_args(["up"])
    assert (arguments.name, arguments.gateways, arguments.kind) == ("lab", 1, "container")
    assert arguments.platform == "debian12"


def test_what_a_virtual_machine_needs_is_asked_of_nobody_else() -> None:
    container, machine = lifecycle.tools_for("container"), lifecycle.tools_for("vm")
    assert container.items() < machine.items()
    assert tools.QEMU in machine.keys() - container.keys()


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        shutil, "which", lambda tool: None if tool == "systemd-nspawn" else f"/usr/bin/{tool}"
    )
    with pytest.raises(LabError, match=r"lacks systemd-nspawn: .*apt-get install systemd-container"):
        tools.require(tools.TO_RUN)


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root"):
        tools.require({})


def test_a_failed_program_says_what_it_said() -> None:
    with pytest.raises(LabError, match=r"failed with 3: wrong"):
        tools.run(["sh", "-c", "echo wrong >&2; exit 3"])

"""Programs of this machine: one that is missing is named with its package, one that failed with what it said."""

from pathlib import Path

import pytest

from audit.errors import UnseenError
from audit.scanners.errors import ScanError
from audit.scanners.outside import seen
from audit.target import Target

DATA = {
    "hostname": "mx1.bastide.example",
    "relay_domains": {"bastide.example": "[198.51.100.7]:25"},
    "admin_networks": ["198.51.100.0/28"],
    "audit_vantage": {"wan": "netns:none-such", "lan": "here"},
}
TARGET = Target.of("gw1", DATA)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder in which programs are found, but for the shell's own words."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def made(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("programs")
def test_a_program_that_is_missing_is_named_with_its_package() -> None:
    with pytest.raises(ScanError, match=r"lacks testssl: get it with 'apt-get install testssl\.sh'"):
        seen(TARGET, "control", ["testssl"])


def test_what_it_wrote_counts_by_its_exit_code(programs: Path) -> None:
    made(programs, "nmap", 'echo "all of it"; echo "odd: $1" >&2; exit $1')
    assert seen(TARGET, "control", ["nmap", "0"]) == "all of it\n"
    assert seen(TARGET, "lan", ["nmap", "3"], codes=(0, 3)) == "all of it\n"
    with pytest.raises(ScanError, match="nmap: exit code 3: odd: 3"):
        seen(TARGET, "control", ["nmap", "3"])


def test_a_vantage_that_is_not_there_is_no_sight(programs: Path) -> None:
    made(programs, "nmap", "exit 0")
    with pytest.raises(UnseenError, match="none-such does not exist"):
        seen(TARGET, "wan", ["nmap"])

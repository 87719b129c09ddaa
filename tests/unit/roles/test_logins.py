"""What decides logins comes back as it was kept, and by nothing less."""

import subprocess
from pathlib import Path

import pytest

from roles import logins


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(logins, "_FORMER", str(tmp_path / "former"))
    (tmp_path / "there").write_text("live\n")
    (tmp_path / "former").mkdir()
    return tmp_path


def returned(host: Path, *names: str) -> None:
    subprocess.run(["sh", "-eu", "-c", logins._returned([str(host / name) for name in names])], check=True)


def test_by_a_copy_that_is_not_whole_nothing_is_taken_away(host: Path) -> None:
    returned(host, "there")
    assert (host / "there").read_text() == "live\n"


def test_a_whole_one_brings_back_what_was_and_takes_what_was_not(host: Path) -> None:
    kept = host / f"former{host}"
    kept.mkdir(parents=True)
    (kept / "there").write_text("before\n")
    (host / "new").write_text("live\n")
    (host / "former/whole").touch()
    returned(host, "there", "new")
    assert (host / "there").read_text() == "before\n"
    assert not (host / "new").exists()

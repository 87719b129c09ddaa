import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from filterd import __version__
from filterd.cli import main
from tests.unit.filterd.daemon import configuration, running


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "filterd.toml"
    path.write_text(configuration(tmp_path))
    return str(path)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"filterd {__version__}\n"


def test_usage_is_two() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["frobnicate"])


def test_check(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", config]) == 0
    Path(config).write_text("[milter]\nsoket = '/x'\n")
    assert main(["check", "--config", config]) == 2
    assert capsys.readouterr().err == (
        f"filterd: {tmp_path}/filterd.toml: [milter] has no setting 'soket'; did you mean socket?\n"
    )


def test_check_live(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path) as daemon:
        assert main(["check", "--live", "--config", str(daemon.config)]) == 0
        assert capsys.readouterr().out.count("answers") == 4
        assert main(["check", "--live", "--json", "--config", str(daemon.config)]) == 0
        seen = json.loads(capsys.readouterr().out)
        assert (seen["settings"]["milter"]["socket"], len(seen["parts"])) == (str(daemon.socket), 4)
        assert {one["problem"] for one in seen["parts"]} == {""}
        assert daemon.log("protocol_error") == []
    assert main(["check", "--live", "--config", str(daemon.config)]) == 3
    assert capsys.readouterr().out.count("cannot be reached") == 3


def test_scan_of_a_missing_file_is_two(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--config", config, "/nonexistent"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_serve_with_a_bad_file_is_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--config", str(tmp_path / "missing")]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["stages"], ["stages", "--json"], ["check", "--json", "--config"]])
def test_reader_who_leaves_early_is_no_error(command: list[str], config: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [*command, config] if command[-1] == "--config" else command
    try:
        done = subprocess.run(
            [sys.executable, "-m", "filterd.cli", *words],
            stdout=writer, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, timeout=60,
        )  # fmt: skip
    finally:
        os.close(writer)
    # As a shell shows the end of a program by SIGPIPE.
    assert (done.returncode, done.stderr) == (141, b"")

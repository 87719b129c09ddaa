import json
from pathlib import Path

import pytest

from filterd import __version__
from filterd.cli import main
from tests.unit.filterd import engines
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
        assert capsys.readouterr().out.count("answers") == 3
        assert daemon.log("protocol_error") == []
    assert main(["check", "--live", "--config", str(daemon.config)]) == 3
    assert capsys.readouterr().out.count("cannot be reached") == 3


def test_scan_says_what_would_be_done(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean, virus, spam = tmp_path / "clean", tmp_path / "virus", tmp_path / "spam"
    clean.write_bytes(b"Subject: x\n\nhello\n")
    virus.write_bytes(engines.EICAR)
    spam.write_bytes(engines.GTUBE)
    with engines.Clamd(tmp_path / "clamd.sock"), engines.Spamd(tmp_path / "spamd.sock"):
        assert main(["scan", "--config", config, str(clean)]) == 0
        assert "clean, accept (continue)" in capsys.readouterr().out
        assert main(["scan", "--config", config, str(clean), str(virus)]) == 1
        assert "virus.signature: infected Test-Signature" in capsys.readouterr().out
        assert main(["scan", "--config", config, "--json", str(spam)]) == 1
        shown = json.loads(capsys.readouterr().out)
    assert shown["verdict"] == "spam"
    assert shown["reply"] == "550 5.7.1 Message refused: spam [spam.score] id=none"
    assert shown["results"][1]["findings"][0]["score"] == 1000.0
    assert main(["scan", "--config", config, str(virus)]) == 3
    assert "not-inspected, tempfail" in capsys.readouterr().out


def test_scan_of_a_missing_file_is_two(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--config", config, "/nonexistent"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_serve_with_a_bad_file_is_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--config", str(tmp_path / "missing")]) == 2
    assert "cannot be read" in capsys.readouterr().err

"""What only a restart can change is refused before the daemon is asked to reload, and by all of its processes."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from filterd.cli import main
from tests.unit.filterd.daemon import configuration, running
from tests.unit.filterd.engines import wait_for


def test_what_takes_a_restart_is_refused_by_check_and_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    (tmp_path / "other").mkdir()
    changes: list[dict[str, dict[str, Any]]] = [
        {"store": {"directory": str(tmp_path / "other")}},
        {"ledger": {"url": f"sqlite:///{tmp_path}/other/l.db"}},
        {"metrics": {"mode": "0600"}},
    ]
    with running(tmp_path) as daemon:
        check = ["check", "--reload", "--config", str(daemon.config)]
        assert main(check) == 0
        for number, change in enumerate(changes, 1):
            daemon.config.write_text(configuration(tmp_path, **change))
            assert main(check) == 2
            ((section, values),) = change.items()
            assert f"[{section}] {next(iter(values))} has changed" in capsys.readouterr().err
            assert main(["check", "--config", str(daemon.config)]) == 0  # good for a start
            daemon.signal(signal.SIGHUP)
            daemon.wait_for("reload_refused", number)
        # The ledger's process reads the file for itself.
        os.kill(daemon.ledger(), signal.SIGHUP)
        assert "takes a restart" in daemon.wait_for("ledger_reload_refused")[0]["why"]
        daemon.config.write_text("[spamd]\nmax_byte = 1\n")
        os.kill(daemon.ledger(), signal.SIGHUP)
        wait_for(lambda: len(daemon.log("ledger_reload_refused")) == 2)
        daemon.config.write_text(configuration(tmp_path))
    daemon.config.write_text(configuration(tmp_path, **changes[0]))
    assert main(check) == 0  # nobody runs: it is good for a start


def test_the_tables_are_not_taken_from_under_a_daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path) as daemon:
        downgrade = ["ledger", "downgrade", "1", "--config", str(daemon.config)]
        assert main(downgrade) == 3
        assert "stop it first" in capsys.readouterr().err
        with daemon.client() as client:
            assert client.message().code == b"c"
    assert main(downgrade) == 0

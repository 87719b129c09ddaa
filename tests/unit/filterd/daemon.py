"""The daemon as a process of its own, with fake engines, on sockets in a directory of the test."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.filterd import engines
from tests.unit.filterd.dialogue import Client

ROOT = Path(__file__).resolve().parents[3]


def configuration(home: Path, **changes: dict[str, Any]) -> str:
    # What waits for an answer that does come waits long: the machine may be busy.
    values: dict[str, dict[str, Any]] = {
        "milter": {
            "socket": str(home / "milter.sock"), "socket_group": "", "workers": 1, "spool_dir": str(home),
            "drain_s": 3.0, "max_message_bytes": 500_000, "spool_memory_bytes": 100_000,
        },
        "clamd": {"socket": str(home / "clamd.sock"), "timeout_s": 15.0},
        "spamd": {"socket": str(home / "spamd.sock"), "timeout_s": 15.0},
        "ledger": {
            "socket": str(home / "ledger.sock"), "url": f"sqlite:///{home}/ledger/ledger.db", "timeout_s": 15.0,
            "busy_s": 1.0,
        },
        "store": {"directory": str(home / "store"), "warn_free_percent": 0},
        "metrics": {"socket": str(home / "metrics.sock")},
        "policy": {},
    }  # fmt: skip
    for section, settings in changes.items():
        values.setdefault(section, {}).update(settings)
    lines = []
    for section, settings in values.items():
        lines += [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    return "\n".join(lines) + "\n"


class Daemon:
    """A running filterd: its process, its sockets, its log as records."""

    def __init__(
        self, home: Path, process: "subprocess.Popen[bytes]", clamd: engines.Clamd, spamd: engines.Spamd
    ) -> None:
        self.home = home
        self.process = process
        self.clamd = clamd
        self.spamd = spamd
        self.socket = home / "milter.sock"
        self.config = home / "filterd.toml"

    def log(self, event: str) -> list[dict[str, Any]]:
        # The last line may be on its way.
        lines = (self.home / "log").read_text().rpartition("\n")[0].splitlines()
        return [record for line in lines if (record := json.loads(line))["event"] == event]

    def wait_for(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        engines.wait_for(lambda: len(self.log(event)) >= count)
        return self.log(event)

    def client(self, **options: int) -> Client:
        return Client(self.socket, **options)

    def workers(self) -> list[int]:
        return self._children("filterd-worker")

    def ledger(self) -> int:
        (pid,) = self.ledgers()
        return pid

    def ledgers(self) -> list[int]:
        return self._children("filterd-ledger")

    def _children(self, name: str) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split() if _name(pid) == name]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.process.wait(15)


def alive(pid: int) -> bool:
    """Whether a process still does something; nobody may be there to collect the dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    # ESRCH where it ends between the file's opening and its reading.
    except (FileNotFoundError, ProcessLookupError):
        return False


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def running(
    home: Path, *, ends: int = 0, starts_s: float = 20.0, **changes: dict[str, Any]
) -> Iterator[Daemon]:
    """Run a daemon until the block ends; it must then stop by itself, with that exit code and an empty stderr."""
    (home / "filterd.toml").write_text(configuration(home, **changes))
    command = [sys.executable, "-m", "filterd.cli", "serve", "--config", str(home / "filterd.toml")]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")
    } | {"RUNTIME_DIRECTORY": str(home)}
    with (
        (home / "log").open("wb") as log,
        (home / "stderr").open("wb") as stderr,
        engines.Clamd(home / "clamd.sock") as clamd,
        engines.Spamd(home / "spamd.sock") as spamd,
        subprocess.Popen(command, stdout=log, stderr=stderr, cwd=ROOT, env=environment) as process,
    ):
        daemon = Daemon(home, process, clamd, spamd)
        try:
            engines.wait_for(lambda: process.poll() is not None or bool(daemon.log("ready")), starts_s)
            assert process.poll() is None
            yield daemon
            code = daemon.stop() if process.poll() is None else process.returncode
        finally:
            if process.poll() is None:
                process.kill()
    said = (home / "stderr").read_text()
    assert said == ""
    assert code == ends
    assert daemon.socket.exists() is (ends != 0)

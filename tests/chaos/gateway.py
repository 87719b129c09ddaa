"""A daemon that may die and be started again, while engines and MTA beside it stay."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine

from filterd.config import load
from filterd.ledger import database
from filterd.ledger.blobs import Blobs
from tests.chaos.family import born, family
from tests.chaos.letters import POLICY
from tests.unit.filterd import engines
from tests.unit.filterd.daemon import ROOT, Daemon, configuration
from tests.unit.filterd.mta import Mta


class Gateway:
    """Engines, MTA, and a daemon of so many lives. Use as a context; it ends with the daemon stopped.

    ``prefix`` is put before the daemon's command; it must end by becoming it (exec), as its pid is signalled.
    """

    def __init__(self, home: Path, *, prefix: Sequence[str] = (), **changes: dict[str, Any]) -> None:
        self.home = home
        self.config = home / "filterd.toml"
        self.prefix = tuple(prefix)
        self.lives = 0
        values: dict[str, dict[str, Any]] = {
            # A supervisor waits so long for what a killed one left; on a busy machine that takes its time to see it.
            "milter": {"workers": 2, "drain_s": 40.0},
            "inject": {"socket": str(home / "inject.sock"), "timeout_s": 5.0},
            # However often an engine is taken away from a letter, it is put off, and comes again.
            "policy": {"tries": 0},
        }
        for section, settings in changes.items():
            values.setdefault(section, {}).update(settings)
        self.text = configuration(home, **values) + POLICY
        self.config.write_text(self.text)
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.clamd = self._stack.enter_context(engines.Clamd(self.home / "clamd.sock"))
        self.spamd = self._stack.enter_context(engines.Spamd(self.home / "spamd.sock"))
        self.mta = self._stack.enter_context(Mta(self.home / "inject.sock"))
        (self.home / "log").touch()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(60)
                finally:
                    self._process.kill()
        finally:
            self._stack.close()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    @property
    def daemon(self) -> Daemon:
        return Daemon(self.home, self.process, self.clamd, self.spamd)

    def start(self, *, wait: bool = True) -> None:
        """Start the daemon; with ``wait``, return when it says that it is ready."""
        command = [*self.prefix, sys.executable, "-m", "filterd.cli", "serve", "--config", str(self.config)]
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")
        }
        before = len(self.log("ready"))
        with (self.home / "log").open("ab") as log, (self.home / "stderr").open("ab") as stderr:
            self._process = subprocess.Popen(command, stdout=log, stderr=stderr, cwd=ROOT, env=environment)
        self.lives += 1
        if wait:
            process = self._process
            engines.wait_for(lambda: process.poll() is not None or len(self.log("ready")) > before, 75)
            assert process.poll() is None, (self.home / "stderr").read_text()[-2000:]

    def stop(self) -> None:
        """Stop it as an administrator does; it must end by itself, and well."""
        self.process.terminate()
        assert self.process.wait(60) == 0

    def kill(self) -> None:
        """Kill the supervisor."""
        self.process.kill()
        self.process.wait(5)

    def log(self, event: str) -> list[dict[str, Any]]:
        return Daemon(self.home, self._process, self.clamd, self.spamd).log(event)  # type: ignore[arg-type] # unused there

    def family(self) -> dict[str, list[int]]:
        """Return the pids of the daemon's processes by role."""
        return family(self.process.pid)

    def everybody(self) -> set[tuple[int, str]]:
        """Return all processes of the daemon, each as its pid and the time at which it began."""
        pids = [pid for role in self.family().values() for pid in role]
        return {(pid, began) for pid in pids if (began := born(pid))}

    def reload(self, text: str) -> None:
        """Put another configuration into place, and have it read."""
        fresh = self.config.with_suffix(".fresh")
        fresh.write_text(text)
        fresh.rename(self.config)
        self.process.send_signal(signal.SIGHUP)

    def ledger(self) -> Engine:
        """Return an engine for the ledger; dispose of it."""
        self.config.write_text(self.text)
        return database.opened(load(self.config).ledger)

    def blobs(self) -> Blobs:
        return Blobs(self.home / "store")

    def said(self) -> str:
        """Return what the daemon wrote to standard error."""
        return (self.home / "stderr").read_text()


def alive(processes: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """Return those that still run."""
    return {one for one in processes if born(one[0]) == one[1]}

"""The supervisor: binds the socket, keeps the workers alive, reloads, stops. It touches no byte of mail.

The attack it stops: a message that kills or hangs the process which reads it. The others go on, the dead one is
replaced, and one that dies again and again is replaced more and more slowly.
"""

import contextlib
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from .config import Config, load
from .errors import ConfigError
from .listener import bind, for_the_ledger, for_the_mta, unbind
from .log import Log
from .notify import notify, watchdog_seconds
from .server import run_worker

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_TICK_S: Final = 1.0
# A worker that beats every 2 s and has been silent for 30 s hangs.
SILENCE_S: Final = 30.0
_BACKOFF_S: Final = (0.1, 10.0)
# A worker that has lived this long was healthy: its place starts again with the short pause.
_HEALTHY_S: Final = 30.0
# What a stop may take beyond the workers' own bound before they are killed.
_STOP_GRACE_S: Final = 5.0


# What cannot change while filterd runs: where it is found, and where its records are.
_PLACES: Final = {
    "milter": ("socket", "socket_mode", "socket_group"),
    "ledger": ("socket", "url", "password_file"),
}

# worker: serves the MTA. ledger: writes down what the workers tell it; there is one.
Role = Literal["worker", "ledger"]


class _Child:
    """One process and its pipe."""

    def __init__(self, pid: int, pipe: int, role: Role) -> None:
        self.pid = pid
        self.pipe = pipe
        self.role = role
        self.started = self.heard = time.monotonic()
        self.ready = False
        self.current = True  # belongs to the configuration in force


class Supervisor:
    """Runs the daemon. ``path`` is the configuration file, read again at SIGHUP.

    Raises ConfigError when the socket cannot be made.
    """

    def __init__(self, path: Path, config: Config, log: Log) -> None:
        self._path = path
        self._config = config
        self._log = log
        self._workers = config.workers
        self._children: dict[int, _Child] = {}
        self._pending: set[int] = set()
        self._pause = _BACKOFF_S[0]
        self._next_start = 0.0
        self._stopping_until: float | None = None
        self._told_ready = False
        self._beat_every = watchdog_seconds()
        self._last_beat = 0.0
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._listener = bind(for_the_mta(config))
        try:
            self._ledger = bind(for_the_ledger(config))
        except ConfigError:
            unbind(self._listener, for_the_mta(config))
            raise

    def run(self) -> int:
        """Serve until SIGTERM. Returns the exit code."""
        wake, woken = self._wake
        signal.set_wakeup_fd(woken)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        self._log.event("start", workers=self._workers, socket=self._config.milter.socket)
        while not (self._stopping_until is not None and not self._children):
            self._fill()
            self._wait(wake)
            self._on_signals(wake)
            self._reap()
            if self._stopping_until is not None and not self._of("worker"):
                self._tell(signal.SIGTERM, lambda child: child.role == "ledger")
            self._look_after()
        unbind(self._listener, for_the_mta(self._config))
        unbind(self._ledger, for_the_ledger(self._config))
        self._log.event("stopped")
        return 0

    def _wait(self, wake: int) -> None:
        pipes = {child.pipe: child for child in self._children.values()}
        poll = select.poll()
        for descriptor in (wake, *pipes):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(self._patience_ms()):
            if (child := pipes.get(descriptor)) is not None and os.read(descriptor, 4096):
                child.heard = time.monotonic()
                child.ready = True

    def _patience_ms(self) -> int:
        now = time.monotonic()
        until = self._next_start if self._missing() and self._next_start > now else now + _TICK_S
        return max(10, min(int((until - now) * 1000), int(_TICK_S * 1000)))

    def _on_signals(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._pending.update(os.read(wake, 4096))
        if self._pending & {signal.SIGTERM, signal.SIGINT}:
            self._stop()
        elif signal.SIGHUP in self._pending and self._stopping_until is None:
            self._reload()
        self._pending.clear()

    def _stop(self) -> None:
        if self._stopping_until is None:
            notify("STOPPING=1")
            self._log.event("stopping", workers=len(self._children))
            self._stopping_until = time.monotonic() + self._config.milter.drain_s + _STOP_GRACE_S
        self._tell(signal.SIGTERM, lambda child: child.role == "worker")

    def _reload(self) -> None:
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            config = _same_place(load(self._path), self._config, self._path)
        except ConfigError as error:
            self._log.event("reload_refused", why=str(error))
        else:
            self._config, self._workers = config, config.workers
            for child in self._of("worker"):
                child.current = False
            self._next_start = 0.0
            self._fill()
            # The new ones are there; the old ones serve what they have under the rules it began with. The ledger
            # serves both, and reads the file again.
            self._tell(signal.SIGHUP, lambda child: not child.current or child.role == "ledger")
            self._log.event("reloaded", workers=self._workers)
        notify("READY=1")

    def _of(self, role: Role) -> list[_Child]:
        return [child for child in self._children.values() if child.role == role]

    def _missing(self) -> list[Role]:
        """Return the roles that nobody plays; the ledger first, as the workers ask for it."""
        workers = self._of("worker")
        missing: list[Role] = [] if self._of("ledger") else ["ledger"]
        if self._stopping_until is not None:
            # What the last messages leave is still to be written down.
            return missing if workers else []
        return missing + ["worker"] * (self._workers - sum(child.current for child in workers))

    def _fill(self) -> None:
        """Start what is missing, unless the last ones died too soon."""
        if time.monotonic() < self._next_start:
            return
        for role in self._missing():
            self._start_one(role)

    def _start_one(self, role: Role) -> None:
        heard, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # A signal that reached the child before its handlers are its own would wake the supervisor's pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(heard)
                code = self._be(role, told)
            finally:
                # Never back into the supervisor's code, whatever happened.
                if code:
                    traceback.print_exc()
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.close(told)
        self._children[pid] = _Child(pid, heard, role)

    def _be(self, role: Role, beat: int) -> int:
        """Be the child: give up what is the supervisor's, then serve. Returns the exit code."""
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # a terminal's ^C reaches us too; the supervisor stops us
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        # A reading end that is kept here would hide from the worker behind it that the supervisor has died.
        for descriptor in (*self._wake, *(child.pipe for child in self._children.values())):
            os.close(descriptor)
        if role == "ledger":
            self._listener.close()
            # The database's library is for this process alone: the others do not carry it.
            from .ledger.process import run_ledger  # noqa: PLC0415 - see above

            run_ledger(self._path, self._config, self._ledger, beat, self._log)
        else:
            self._ledger.close()
            run_worker(self._config, self._listener, beat, self._log, workers=self._workers)
        return 0

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is None:
                continue
            os.close(child.pipe)
            code = os.waitstatus_to_exitcode(status)
            if child.current and self._stopping_until is None:
                self._died(child, code)
            elif code:
                self._log.event(f"{child.role}_died", pid=child.pid, code=code)

    def _died(self, child: _Child, code: int) -> None:
        now = time.monotonic()
        if now - child.started > _HEALTHY_S:
            self._pause = _BACKOFF_S[0]
        # Those that die while others are waited for come back with them: one event, one step of the back-off.
        if now >= self._next_start:
            self._next_start = now + self._pause
            self._pause = min(self._pause * 2, _BACKOFF_S[1])
        restart_in_s = round(self._next_start - now, 1)
        self._log.event(f"{child.role}_died", pid=child.pid, code=code, restart_in_s=restart_in_s)

    def _look_after(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            late = self._stopping_until is not None and now > self._stopping_until
            if late or now - child.heard > SILENCE_S:
                self._log.event(f"{child.role}_killed", pid=child.pid, why="late" if late else "silent")
                child.heard = now  # once a time
                os.kill(child.pid, signal.SIGKILL)
        if not self._told_ready and self._children and not self._missing():
            self._told_ready = all(child.ready for child in self._children.values())
            if self._told_ready:
                notify("READY=1")
                self._log.event("ready")
        if self._beat_every and now - self._last_beat >= self._beat_every:
            self._last_beat = now
            notify("WATCHDOG=1")

    def _tell(self, number: signal.Signals, which: Callable[[_Child], bool]) -> None:
        for child in self._children.values():
            if which(child):
                os.kill(child.pid, number)


def _same_place(new: Config, old: Config, path: Path) -> Config:
    """Return ``new`` if it listens where ``old`` does. Raises ConfigError else: the socket is bound already."""
    for section, names in _PLACES.items():
        before, after = getattr(old, section), getattr(new, section)
        for name in names:
            if getattr(after, name) != getattr(before, name):
                raise ConfigError(f"{path}: [{section}] {name} has changed, which takes a restart of filterd")
    return new


def serve(path: Path) -> int:
    """Run the daemon with the configuration in ``path``. Returns the exit code; raises ConfigError."""
    return Supervisor(path, load(path), Log()).run()

"""The supervisor: binds the sockets, keeps the children alive, reloads, stops. It touches no byte of mail.

The attack it stops: a message that kills or hangs the process which reads it. The others go on, the dead one is
replaced, and one that dies again and again is replaced more and more slowly.
"""

import contextlib
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from . import heap
from .children import ROLES, Child, Role
from .config import Config, load
from .config.places import noted, same_place
from .errors import ConfigError
from .listener import Place, bind_when_free, for_the_ledger, for_the_mta, for_the_watchers, free_until, unbind
from .log import Log
from .notify import handed_over, notify, watchdog_seconds
from .rates import Rates
from .recent import Memory
from .server import run_worker

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
# A child takes these from the moment at which it has handlers for them; until then they wait.
_HELD_BACK: Final = frozenset({signal.SIGTERM, signal.SIGHUP})
_TICK_S: Final = 1.0
# A child that beats every 2 s and has been silent for 30 s hangs.
SILENCE_S: Final = 30.0
_BACKOFF_S: Final = (0.1, 10.0)
# A child that has lived this long was healthy: its place starts again with the short pause.
_HEALTHY_S: Final = 30.0
# What a stop may take beyond the workers' own bound before they are killed; the ledger outlives them as long.
_STOP_GRACE_S: Final = 5.0
# How long filterd waits for its ledger before it says that it is ready: without one it answers 451, which is better
# than an MTA that finds nobody.
_LEDGER_S: Final = 15.0


class Supervisor:
    """Runs the daemon. ``path`` is the configuration file, read again at SIGHUP.

    Raises ConfigError when a socket cannot be made.
    """

    def __init__(self, path: Path, config: Config, log: Log) -> None:
        self._path = path
        self._config = config
        self._log = log
        self._workers = config.workers
        self._children: dict[int, Child] = {}
        self._pending: set[int] = set()
        self._pause = _BACKOFF_S[0]
        self._next_start = 0.0
        self._stopping_until: float | None = None
        self._reloading = False  # a reload waits for its workers
        self._told_ready = False
        self._told_status = ""
        self._beat_every = watchdog_seconds()
        self._last_beat = 0.0
        self._began = time.monotonic()
        self._last_heard: dict[Role, float] = dict.fromkeys(ROLES, self._began)
        self._ledger_died = ""  # how, until another one has worked for a while
        # Made before any worker, so that they share them, also with those of the next configuration.
        self._memory = Memory()
        self._rates = Rates()
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._sockets = {role: list[socket.socket]() for role in ROLES}
        self._bound: list[tuple[socket.socket, Place]] = []
        self._bind(config)

    def _bind(self, config: Config) -> None:
        """Make all sockets, or none. Raises ConfigError."""
        until = free_until(config)
        places: tuple[tuple[Role, Place | None], ...] = (
            ("worker", for_the_mta(config)),
            ("ledger", for_the_ledger(config)),
            ("ledger", for_the_watchers(config)),
        )
        try:
            for role, place in places:
                if place is not None:
                    self._bound.append((bind_when_free(place, until, self._log), place))
                    self._sockets[role].append(self._bound[-1][0])
        except ConfigError:
            self._unbind()
            raise
        self._sockets["ledger"] += handed_over()

    def _unbind(self) -> None:
        for listener, place in self._bound:
            unbind(listener, place)

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
                self._tell(signal.SIGTERM, lambda child: child.role == "ledger" and not child.leaving)
            self._recycle()
            self._look_after()
            self._say_how_it_goes()
        self._unbind()
        self._log.event("stopped")
        return 0

    def _wait(self, wake: int) -> None:
        pipes = {child.pipe: child for child in self._children.values()}
        poll = select.poll()
        for descriptor in (wake, *pipes):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(self._patience_ms()):
            if (child := pipes.get(descriptor)) is not None:
                child.listen()
                self._last_heard[child.role] = max(self._last_heard[child.role], child.heard)

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
            self._log.event("stopping", workers=len(self._of("worker")))
            self._stopping_until = time.monotonic() + self._config.milter.drain_s + _STOP_GRACE_S
        self._tell(signal.SIGTERM, lambda child: child.role == "worker")

    def _reload(self) -> None:
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            config = same_place(load(self._path), self._config, self._path)
        except ConfigError as error:
            self._log.event("reload_refused", why=str(error))
        else:
            self._config, self._workers = config, config.workers
            for child in self._of("worker"):
                child.current = False
            self._next_start = 0.0
            # The old ones serve, under the rules that they began with, until the new ones can (``_dismiss``). The
            # ledger serves both, and reads the file again.
            self._reloading = True
            self._fill()
            for child in self._of("ledger"):
                os.kill(child.pid, signal.SIGHUP)
        notify("READY=1")

    def _recycle(self) -> None:
        """Replace what is worn, one at a time: a worker leaves when the one in its place can serve."""
        if self._stopping_until is not None:
            return
        self._dismiss()
        if self._reloading and self._all_ready():
            self._reloading = False
            self._log.event("reloaded", workers=self._workers)
        workers = self._of("worker")
        # Idle connections may keep old ones for long: no more of them than there are new ones.
        if sum(not child.current for child in workers) < self._workers and self._all_ready():
            self._replace("worker")
        self._replace("ledger")

    def _dismiss(self) -> None:
        """Let workers go that count no more, as long as those that stay are enough: no fork may succeed, or live."""
        staying = [child for child in self._of("worker") if not child.leaving]
        serving = sum(child.ready for child in staying)
        for child in staying:
            if not child.current and (not child.ready or serving > self._workers):
                serving -= child.ready
                child.leaving = True
                os.kill(child.pid, signal.SIGHUP)

    def _replace(self, role: Role) -> None:
        """Take the first worn child of a role out of those that count. The ledger leaves at once: there is but one.

        Its workers wait on the socket for the next, as what was answered is on the disk.
        """
        for child in self._of(role):
            if child.current and (why := child.worn(self._config.recycle)):
                child.current = False
                self._log.event(f"{role}_recycled", pid=child.pid, why=why, messages=child.beat.messages)
                break
        if role == "ledger":
            self._tell(signal.SIGTERM, lambda one: one.role == role and not one.current and not one.leaving)

    def _of(self, role: Role) -> list[Child]:
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
            try:
                self._start_one(role)
            except OSError as error:
                # No room for a process or its pipe, at the moment.
                self._step_back()
                self._log.event(f"{role}_not_started", why=str(error))
                return

    def _start_one(self, role: Role) -> None:
        """Fork one child. Raises OSError."""
        heard, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # A signal that reached the child before its handlers are its own would wake the supervisor's pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
        except OSError:
            os.close(heard)
            os.close(told)
            raise
        else:
            if pid == 0:
                self._never_back(role, heard, told)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.close(told)
        self._children[pid] = Child(pid, heard, role)

    def _never_back(self, role: Role, heard: int, told: int) -> None:
        """Be the child until it ends: never back into the supervisor's code, whatever happens."""
        code = 1
        try:
            os.close(heard)
            code = self._be(role, told)
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)

    def _be(self, role: Role, beat: int) -> int:
        """Be the child: give up what is the supervisor's, then serve. Returns the exit code."""
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        # A terminal's ^C reaches us too; the supervisor stops us.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(_SIGNALS) - _HELD_BACK)
        # A reading end that is kept here would hide from the worker behind it that the supervisor has died.
        for descriptor in (*self._wake, *(child.pipe for child in self._children.values())):
            os.close(descriptor)
        for other in ROLES:
            if other != role:
                for listener in self._sockets[other]:
                    listener.close()
        with contextlib.suppress(OSError):
            # Only for those who look at the list of processes.
            Path("/proc/self/comm").write_text(f"filterd-{role}", encoding="ascii")
        if role == "ledger":
            # The database's library is for this process alone: the others do not carry it.
            from .ledger.process import LedgerProcess  # noqa: PLC0415 - see above

            own, *watched = self._sockets[role]
            LedgerProcess(
                self._path, self._config, own, beat, self._log, watched=watched, died=self._ledger_died
            ).run()
        else:
            run_worker(
                self._config,
                self._sockets[role][0],
                beat,
                self._log,
                workers=self._workers,
                memory=self._memory,
                rates=self._rates,
            )
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

    def _died(self, child: Child, code: int) -> None:
        now = time.monotonic()
        if now - child.started > _HEALTHY_S:
            self._pause = _BACKOFF_S[0]
        self._step_back()
        restart_in_s = round(self._next_start - now, 1)
        self._log.event(f"{child.role}_died", pid=child.pid, code=code, restart_in_s=restart_in_s)
        if child.role == "ledger" and not self._ledger_died:
            # The alerts are its own to raise, all but this one; the next one knows of it, writes the mail, and says
            # when all is well again.
            self._ledger_died = f"the ledger's process ended with {code}"
            self._log.event("alert", component="ledger", problem=self._ledger_died)

    def _step_back(self) -> None:
        """Wait before the next start. Those that die while others are waited for come back with them: one step."""
        now = time.monotonic()
        if now >= self._next_start:
            self._next_start = now + self._pause
            self._pause = min(self._pause * 2, _BACKOFF_S[1])

    def _look_after(self) -> None:
        """Kill what hangs, and what does not stop."""
        now = time.monotonic()
        for child in self._children.values():
            grace = _STOP_GRACE_S if child.role == "ledger" else 0.0
            late = self._stopping_until is not None and now > self._stopping_until + grace
            if not child.killed and (late or now - child.heard > SILENCE_S):
                self._log.event(f"{child.role}_killed", pid=child.pid, why="late" if late else "silent")
                child.killed = True
                os.kill(child.pid, signal.SIGKILL)
            works = child.role == "ledger" and child.ready and now - child.started > _HEALTHY_S
            if works and self._ledger_died:
                self._ledger_died = ""

    def _all_ready(self) -> bool:
        return not self._missing() and all(child.ready for child in self._of("worker") if child.current)

    def _say_how_it_goes(self) -> None:
        """Tell the service manager: ready, once, and alive as long as somebody in each role is."""
        now = time.monotonic()
        if not self._told_ready and self._stopping_until is None and self._all_ready():
            ledger = all(child.ready for child in self._of("ledger"))
            self._told_ready = ledger or now - self._began > _LEDGER_S
            if self._told_ready:
                notify("READY=1")
                self._log.event("ready", ledger=ledger)
        self._say_status()
        alive = all(now - heard <= SILENCE_S for heard in self._last_heard.values())
        if self._beat_every and now - self._last_beat >= self._beat_every:
            # While it stops, time is bounded by other means.
            if alive or self._stopping_until is not None:
                notify("WATCHDOG=1")
            self._last_beat = now

    def _say_status(self) -> None:
        """Tell the service manager how it fares, in words, when that has changed (`systemctl status`)."""
        ready = min(self._workers, sum(one.ready and not one.leaving for one in self._of("worker")))
        ledger = self._of("ledger")
        status = f"{ready} of {self._workers} workers ready, ledger {'ready' if any(one.ready for one in ledger) else 'down'}"
        if any(one.beat.keep for one in ledger):
            status += "; something fails: `filterd status` says what"
        if self._reloading:
            status += "; a reload waits for its workers"
        if status != self._told_status:
            self._told_status = status
            notify(f"STATUS={status}")

    def _tell(self, number: signal.Signals, which: Callable[[Child], bool]) -> None:
        """Tell some to finish what they have."""
        for child in self._children.values():
            if which(child):
                child.leaving = True
                os.kill(child.pid, number)


def serve(path: Path) -> int:
    """Run the daemon with the configuration in ``path``. Returns the exit code; raises ConfigError."""
    heap.keep_freed(at_the_top=1 << 20, mapped_from=1 << 20)  # bytes; a worker copies in pieces of 64 KiB
    heap.share()
    supervisor = Supervisor(path, config := load(path), Log())
    with noted(config):
        return supervisor.run()

"""The parent of the parse workers of one milter worker: imports the parsers once, forks one child a message.

The attack it stops: a message whose parsing never ends, or ends the process that does it. This process reads no
byte of mail: it hands descriptors to a child, kills it at its deadline, and says what became of it. It ends with
its milter worker, whose end of the control socket it watches, and takes its children with it.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from filterd.config.inspection import Inspection

from . import border, child, landlock, sandbox
from .child import Tasks
from .sandbox import Sandbox

# The job's socket, the message and, for a rewrite, the order.
_DESCRIPTORS: Final = {border.ANATOMISE: 2, border.REWRITE: 3}
_INSPECTION: Final = msgspec.msgpack.Decoder(Inspection)
_SAMPLE: Final = b"""\
From: =?utf-8?q?S=C3=A4mple?= <a@example.org>\r
To: b@example.org\r
Subject: =?utf-8?b?c2FtcGxl?=\r
Date: Mon, 1 Jan 2024 00:00:00 +0000\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=x\r
\r
--x\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
S=C3=A4mple https://www.example.org/\r
--x\r
Content-Type: text/html; charset=iso-8859-1\r
\r
<p>S\xe4mple <a href="https://www.example.org/">here</a></p>\r
--x\r
Content-Type: application/zip\r
Content-Transfer-Encoding: base64\r
Content-Disposition: attachment; filename*=utf-8''s%C3%A4mple.zip\r
\r
UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==\r
--x--\r
"""


class _Job(Struct, kw_only=True):
    """One child at work. ``socket`` is kept to say why it ended, and to see that nobody waits any more."""

    pid: int
    socket: socket.socket
    until: float
    killed: str = ""


class Nursery:
    """Serves the control socket until its other end is closed."""

    def __init__(self, control: socket.socket, tasks: Tasks, inspection: Inspection, walls: Sandbox) -> None:
        self._control = control
        self._tasks = tasks
        self._inspection = inspection
        self._jobs: dict[int, _Job] = {}
        self._walls = walls
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Fork, watch and reap."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        try:
            while self._turn():
                pass
        finally:
            for job in self._jobs.values():
                os.kill(job.pid, signal.SIGKILL)

    def _turn(self) -> bool:
        """Wait for one thing to happen, and see to it. Returns False when the milter worker is gone."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake[0], select.POLLIN)
        alive = [job for job in self._jobs.values() if not job.killed]
        for job in alive:
            poll.register(job.socket, 0)  # only for the hang-up
        seen = {descriptor for descriptor, _ in poll.poll(self._patience_ms())}
        if self._wake[0] in seen:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake[0], 4096)
        for job in alive:
            if job.socket.fileno() in seen:
                self._kill(job, "nobody waits for it")
            elif time.monotonic() >= job.until:
                self._kill(job, f"it took more than {self._inspection.parse.timeout_s:g} s")
        self._reap()
        return self._control.fileno() not in seen or self._take()

    def _patience_ms(self) -> int | None:
        soonest = min((job.until for job in self._jobs.values() if not job.killed), default=None)
        if soonest is None:
            return None
        return max(0, int((soonest - time.monotonic()) * 1000) + 1)

    def _take(self) -> bool:
        """Take one job and start its child. Returns False when there will be none any more."""
        kind, descriptors, flags, _ = socket.recv_fds(
            self._control, border.MAX_DATAGRAM, max(_DESCRIPTORS.values()), socket.MSG_CMSG_CLOEXEC
        )
        if not kind:
            return False
        if len(descriptors) == _DESCRIPTORS.get(kind) and not flags & socket.MSG_CTRUNC:
            self._start(descriptors)
        else:
            _close(descriptors)
        return True

    def _start(self, descriptors: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # no room for a process, at the moment
            self._tell(socket.socket(fileno=descriptors.pop(0)), f"no process can be had: {error}")
            _close(descriptors)
            return
        if pid == 0:
            self._be_child(lambda: child.run(descriptors, self._tasks, self._inspection, self._walls))
        job = socket.socket(fileno=descriptors.pop(0))
        _close(descriptors)
        until = time.monotonic() + self._inspection.parse.timeout_s
        self._jobs[pid] = _Job(pid=pid, socket=job, until=until)

    def _be_child(self, deed: Callable[[], int]) -> None:
        """Give up what is the nursery's, do the job, end: never back into the nursery's loop."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for job in self._jobs.values():
                job.socket.close()
            self._control.close()
            for descriptor in self._wake:
                os.close(descriptor)
            code = deed()
        finally:
            os._exit(code)

    def _kill(self, job: _Job, why: str) -> None:
        job.killed = why
        os.kill(job.pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._jobs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if (job := self._jobs.pop(pid, None)) is not None:
                code = os.waitstatus_to_exitcode(status)
                self._tell(
                    job.socket, job.killed or (f"it ended with {code}" if code else "it gave no answer")
                )

    def _tell(self, job: socket.socket, why: str) -> None:
        """Say why there is no answer to a job; where there was one, nobody waits for this any more."""
        with job, contextlib.suppress(OSError):
            job.sendmsg([border.FAILED + why.encode("ascii")], [], socket.MSG_DONTWAIT)


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def run(make_tasks: Callable[[], Tasks]) -> int:
    """Be a nursery on the control socket. ``make_tasks`` imports the parsers. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C reaches us too; our milter worker ends us
    sandbox.prefer_to_die()
    with socket.socket(fileno=border.CONTROL) as control:
        _, descriptors, _, _ = socket.recv_fds(control, border.MAX_DATAGRAM, 1, socket.MSG_CMSG_CLOEXEC)
        if not descriptors:
            return 1
        try:
            inspection = _INSPECTION.decode(
                border.read_at(descriptors[0], 0, os.fstat(descriptors[0]).st_size)
            )
            tasks = make_tasks()
            # What is imported, compiled and cached only with the first message is then there for all.
            tasks.anatomise(_SAMPLE, inspection)
            bounds = inspection.parse
            walls = sandbox.Sandbox(memory=bounds.memory_bytes, seconds=bounds.timeout_s)
            sandbox.renounce()
        except Exception as error:  # noqa: BLE001 - a library that is missing or broken, whatever way it says so
            control.send(border.FAILED + f"{type(error).__name__}: {error}"[:500].encode("utf-8", "replace"))
            return 1
        _close(descriptors)
        # What is there now is shared with all children as long as nobody touches it: the collector would.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000)
        nursery = Nursery(control, tasks, inspection, walls)
        control.send(
            border.READY + (b"" if landlock.restrict() else b"Landlock (not in this kernel, or barred)")
        )
        nursery.serve()
    return 0

"""The parent of the parse workers of one milter worker: imports the parsers once, forks a child when none is idle.

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

from . import border, landlock, sandbox
from .child import Tasks, Worker
from .sandbox import Sandbox

# Children that wait for a job: each holds some memory of its own.
_MOST_IDLE: Final = 2
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


class _Child(Struct, kw_only=True):
    """One child. ``lane`` leads to it. ``job`` is kept to say why it ended, and to see that nobody waits any more."""

    pid: int
    lane: socket.socket
    job: socket.socket | None
    until: float
    killed: str = ""


class Nursery:
    """Serves the control socket until its other end is closed."""

    def __init__(self, control: socket.socket, tasks: Tasks, inspection: Inspection, walls: Sandbox) -> None:
        self._control = control
        self._tasks = tasks
        self._inspection = inspection
        self._children: dict[int, _Child] = {}
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
            for child in self._children.values():
                os.kill(child.pid, signal.SIGKILL)

    def _turn(self) -> bool:
        """Wait for one thing to happen, and see to it. Returns False when the milter worker is gone."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake[0], select.POLLIN)
        children = list(self._children.values())
        for child in children:
            if child.lane.fileno() >= 0:
                poll.register(child.lane, select.POLLIN)
            if child.job is not None and not child.killed:
                poll.register(child.job, 0)  # only for the hang-up
        seen = {descriptor for descriptor, _ in poll.poll(self._patience_ms())}
        if self._wake[0] in seen:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake[0], 4096)
        for child in children:
            if child.lane.fileno() in seen and child.lane.fileno() >= 0:
                self._heard(child)
            if child.job is None or child.killed:
                continue
            if child.job.fileno() in seen:
                self._kill(child, "nobody waits for it")
            elif time.monotonic() >= child.until:
                self._kill(child, f"it took more than {self._inspection.parse.timeout_s:g} s")
        self._reap()
        return self._control.fileno() not in seen or self._take()

    def _patience_ms(self) -> int | None:
        working = (child.until for child in self._children.values() if child.job and not child.killed)
        soonest = min(working, default=None)
        if soonest is None:
            return None
        return max(0, int((soonest - time.monotonic()) * 1000) + 1)

    def _heard(self, child: _Child) -> None:
        """Take what a child says: that it can do another job. When it ends, that is seen too, and it is reaped."""
        try:
            said = child.lane.recv(border.MAX_DATAGRAM, socket.MSG_DONTWAIT)
        except OSError:
            said = b""
        if not said:
            # It has ended, or is about to: no more is heard of it, and it gets no job.
            child.lane.close()
            return
        if said != border.IDLE or child.job is None or child.killed:
            self._kill(child, "it said what it cannot say")
            return
        child.job.close()
        child.job = None
        idle = (one for one in self._children.values() if one.job is None and one.lane.fileno() >= 0)
        if sum(1 for _ in idle) > _MOST_IDLE:
            # There are enough. It ends by itself, as its answer may still be on the way: it says so before.
            child.lane.close()

    def _take(self) -> bool:
        """Take one job, and give it to a child. Returns False when there will be none any more."""
        kind, descriptors, flags, _ = socket.recv_fds(
            self._control, border.MAX_DATAGRAM, border.MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        if not kind:
            return False
        if len(descriptors) >= border.DESCRIPTORS.get(kind, 99) and not flags & socket.MSG_CTRUNC:
            self._give(kind, descriptors)
        else:
            _close(descriptors)
        return True

    def _give(self, kind: bytes, descriptors: list[int]) -> None:
        """Give a job to an idle child, or to a new one."""
        why = ""
        try:
            child = self._sent(kind, descriptors) or self._started(kind, descriptors)
        except OSError as error:  # no room for a process, at the moment
            child, why = None, f"no process can be had: {error}"
        job = socket.socket(fileno=descriptors.pop(0))
        _close(descriptors)
        if child is None:
            self._tell(job, why)
            return
        child.job = job
        child.until = time.monotonic() + self._inspection.parse.timeout_s

    def _sent(self, kind: bytes, descriptors: list[int]) -> _Child | None:
        """Return the idle child that has been given a job, or None."""
        for child in self._children.values():
            if child.job is None and not child.killed and child.lane.fileno() >= 0:
                try:
                    socket.send_fds(child.lane, [kind], descriptors, socket.MSG_DONTWAIT)
                except OSError:
                    child.killed = "it took no job"
                    os.kill(child.pid, signal.SIGKILL)
                else:
                    return child
        return None

    def _started(self, kind: bytes, descriptors: list[int]) -> _Child:
        """Return a new child with its first job. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            ours.close()
            self._be_child(
                lambda: Worker(self._tasks, self._inspection, self._walls, theirs).run(kind, descriptors)
            )
        theirs.close()
        self._children[pid] = _Child(pid=pid, lane=ours, job=None, until=0.0)
        return self._children[pid]

    def _be_child(self, deed: Callable[[], int]) -> None:
        """Give up what is the nursery's, do the jobs, end: never back into the nursery's loop."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for child in self._children.values():
                child.lane.close()
                if child.job is not None:
                    child.job.close()
            self._control.close()
            for descriptor in self._wake:
                os.close(descriptor)
            code = deed()
        finally:
            os._exit(code)

    def _kill(self, child: _Child, why: str) -> None:
        child.killed = why
        os.kill(child.pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if (child := self._children.pop(pid, None)) is None:
                continue
            child.lane.close()
            if child.job is not None:
                code = os.waitstatus_to_exitcode(status)
                why = child.killed or (f"it ended with {code}" if code else "it gave no answer")
                self._tell(child.job, why)

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
            walls = sandbox.Sandbox(memory=bounds.memory_bytes, seconds=bounds.timeout_s, jobs=border.JOBS)
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

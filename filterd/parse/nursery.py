"""The parent of the parse workers of one milter worker: imports the parsers once, and forks a child for each lane.

The attack it stops: a message whose parsing never ends, or ends the process that does it. This process reads no
byte of mail: it kills a child when the milter worker hangs up on it, and says how it ended. It ends with its
milter worker, whose end of the control socket it watches, and takes its children with it.
"""

import contextlib
import gc
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from filterd import heap
from filterd.config.inspection import Inspection

from . import border, landlock, sandbox
from .child import Tasks, Worker
from .sandbox import Sandbox

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
    """One child. ``lane`` is the end that is the child's: kept to say how it ended, and to see that nobody waits for it."""

    pid: int
    lane: socket.socket
    killed: bool = False


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
        watched = {child.lane.fileno(): child for child in self._children.values() if not child.killed}
        for descriptor in watched:
            poll.register(descriptor, select.POLLRDHUP)
        seen = {descriptor for descriptor, _ in poll.poll()}
        if self._wake[0] in seen:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake[0], 4096)
        for descriptor in seen & watched.keys():
            # Nobody waits for it, or it has said that it ends: it is at its end in either case.
            watched[descriptor].killed = True
            os.kill(watched[descriptor].pid, signal.SIGKILL)
        self._reap()
        return self._control.fileno() not in seen or self._take()

    def _take(self) -> bool:
        """Start the child of one lane. Returns False when there will be none any more."""
        kind, descriptors, _, _ = socket.recv_fds(
            self._control, border.MAX_DATAGRAM, 1, socket.MSG_CMSG_CLOEXEC
        )
        for descriptor in descriptors:
            self._start(socket.socket(fileno=descriptor))
        return bool(kind)

    def _start(self, lane: socket.socket) -> None:
        """Start the child of a lane; where no process can be had, say so there."""
        try:
            pid = os.fork()
        except OSError as error:
            _tell(lane, f"no process can be had: {error}")
            return
        if pid == 0:
            self._be_child(lambda: Worker(self._tasks, self._inspection, self._walls, lane).run())
        self._children[pid] = _Child(pid=pid, lane=lane)

    def _be_child(self, deed: Callable[[], int]) -> None:
        """Give up what is the nursery's, do the jobs, end: never back into the nursery's loop."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for child in self._children.values():
                child.lane.close()
            self._control.close()
            for descriptor in self._wake:
                os.close(descriptor)
            code = deed()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if (child := self._children.pop(pid, None)) is not None:
                code = os.waitstatus_to_exitcode(status)
                _tell(child.lane, f"it ended with {code}" if code else "it gave no answer")


def _tell(lane: socket.socket, why: str) -> None:
    """Say how the child of a lane ended, and hang up; where it did its job, nobody waits for this any more."""
    with lane, contextlib.suppress(OSError):
        lane.sendmsg([border.FAILED + why.encode("ascii", "replace")], [], socket.MSG_DONTWAIT)


def run(make_tasks: Callable[[], Tasks]) -> int:
    """Be a nursery on the control socket. ``make_tasks`` imports the parsers. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C reaches us too; our milter worker ends us
    sandbox.prefer_to_die()
    # Bytes. Contents of a message are copied several times.
    heap.keep_freed(at_the_top=16 << 20, mapped_from=32 << 20)
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
        os.close(descriptors[0])
        heap.share()
        gc.set_threshold(50_000)
        nursery = Nursery(control, tasks, inspection, walls)
        control.send(
            border.READY + (b"" if landlock.restrict() else b"Landlock (not in this kernel, or barred)")
        )
        nursery.serve()
    return 0

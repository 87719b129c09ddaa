"""The nursery process as its milter worker holds it: started, ready, sent jobs, ended and collected."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Final

from filterd.errors import ScannerDownError

from . import border

_BUSY_RETRY_S: Final = 0.005
_END_S: Final = 5.0
# It gets no secret of ours, and nothing that could change how it runs.
# By its soname (of all releases 3.x) libarchive is found without the programs that ctypes would start to look for it.
_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "LIBARCHIVE": "libarchive.so.13"}


class Cradle:
    """One nursery process. ``on_death`` is called once, with why, when it ends and was not closed."""

    def __init__(
        self, command: Sequence[str], inspection: bytes, on_death: "Callable[[Cradle, str], None]"
    ) -> None:
        """Start it. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._on_death = on_death
        self._ready: asyncio.Future[None] = loop.create_future()
        # A failure that nobody waits for is still told by ``on_death``.
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(0)
        self.started = loop.time()
        self.was_ready = False
        self.dead = False
        self.lacks = ""
        self._collected = False
        try:
            with theirs:
                self._send_inspection(inspection)
                self.pid = _spawn(command, theirs.fileno())
        except BaseException:
            self._control.close()
            raise
        loop.add_reader(self._control.fileno(), self._heard)

    def _send_inspection(self, inspection: bytes) -> None:
        descriptor = border.memory_file("inspection")
        try:
            border.written(descriptor, inspection)
            socket.send_fds(self._control, [b"I"], [descriptor])
        finally:
            os.close(descriptor)

    async def ready(self) -> None:
        """Return when it has its parsers. Raises ScannerDownError when it has not got them."""
        await asyncio.shield(self._ready)

    async def send(self, kind: bytes, descriptors: list[int]) -> None:
        """Hand over one job. Raises OSError when it is dead."""
        while True:
            try:
                socket.send_fds(self._control, [kind], descriptors)
            except BlockingIOError:
                await asyncio.sleep(_BUSY_RETRY_S)
            else:
                return

    def _heard(self) -> None:
        """Take what it says: ready, why it is not, or its end."""
        try:
            said = self._control.recv(border.MAX_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said.startswith(border.READY):
            self.was_ready = True
            self.lacks = said[1:].decode("utf-8", "replace")
            if not self._ready.done():
                self._ready.set_result(None)
        else:
            self._end(said[1:].decode("utf-8", "replace") or "it ended")

    def _end(self, why: str) -> None:
        if self.dead:
            return
        self.dead = True
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()
        if not self._ready.done():
            self._ready.set_exception(ScannerDownError(f"the parse workers cannot be started: {why}"))
        self._on_death(self, why)

    def kill(self) -> None:
        """End it at once: it hangs."""
        if not self._collect():
            os.kill(self.pid, signal.SIGKILL)
        self._end("it hung and was killed")

    async def close(self) -> None:
        """End it, and wait until it has ended; its children end with it."""
        if not self.dead:
            self.dead = True
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._control.close()
            self._ready.cancel()
        until = asyncio.get_running_loop().time() + _END_S
        while not self._collect():
            if asyncio.get_running_loop().time() > until:
                self.kill()
            await asyncio.sleep(_BUSY_RETRY_S)

    def _collect(self) -> bool:
        """Return whether the process has ended."""
        if not self._collected:
            try:
                self._collected = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
            except ChildProcessError:
                self._collected = True
        return self._collected


def _spawn(command: Sequence[str], control: int) -> int:
    """Start the process with ``control`` as its descriptor 3, nothing else of ours, and nowhere to print."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, standard) for standard in range(3)]
        actions.append((os.POSIX_SPAWN_DUP2, control, border.CONTROL))
        return os.posix_spawn(
            command[0],
            list(command),
            _ENVIRONMENT,
            file_actions=actions,
            setsigmask=[],
            setsigdef=[signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGALRM],
        )
    finally:
        os.close(null)

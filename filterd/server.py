"""One worker process: accepts on the shared listening socket and serves each connection.

The attack it stops: connections without number. A worker accepts only while it has a place; the rest waits in the
listen queue, where another worker may take it.
"""

import asyncio
import contextlib
import errno
import signal
import socket
from functools import partial
from typing import Final

import uvloop

from .beats import Beat, beating, resident
from .config import Config
from .connection import Connection
from .errors import ScannerError
from .log import Log
from .rates import Rates
from .recent import Memory
from .reporter import Reporter
from .service import Service

_READER_LIMIT: Final = 64 * 1024
# accept(2): too little of something at the moment; the connection stays in the listen queue.
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S: Final = 0.1
_SAY_EVERY_S: Final = 10.0


class _Served:
    """One connection, from its socket on."""

    def __init__(self) -> None:
        self._connection: Connection | None = None

    @property
    def busy(self) -> bool:
        """Whether a message is in progress."""
        return self._connection is not None and self._connection.busy

    async def run(self, service: Service, peer: socket.socket) -> None:
        """Serve it to its end."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_READER_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(partial(_same, protocol), peer)
        except BaseException as error:
            peer.close()
            if isinstance(error, OSError):
                return  # it has left already
            raise
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._connection = Connection(service, reader, writer)
        await self._connection.run()


class Worker:
    """One worker. ``beat`` is the pipe on which it tells the supervisor that it is alive.

    SIGTERM: accept no more, leave idle connections, finish messages in progress within ``drain_s``.
    SIGHUP: accept no more, serve the connections there are to their end (within ``message_timeout_s``).
    """

    def __init__(
        self,
        config: Config,
        listener: socket.socket,
        beat: int,
        log: Log,
        *,
        workers: int,
        memory: Memory,
        rates: Rates,
    ) -> None:
        self._config = config
        self._memory = memory
        self._rates = rates
        self._listener = listener
        self._beat = beat
        self._log = log
        self._workers = workers
        self._connections: dict[asyncio.Task[None], _Served] = {}
        self._leave = asyncio.Event()
        self._said = -_SAY_EVERY_S

    def run(self) -> None:
        """Serve until told to stop."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        service = Service(
            self._config, self._log, workers=self._workers, memory=self._memory, rates=self._rates
        )
        try:
            await self._serve_with(service)
        finally:
            await service.close()

    async def _serve_with(self, service: Service) -> None:
        loop = asyncio.get_running_loop()
        # So that the first message finds its parse worker there; what is wrong with them is in the log.
        warming = asyncio.ensure_future(_warm(service))
        places = asyncio.Semaphore(max(1, self._config.milter.max_connections // self._workers))
        accepting = asyncio.ensure_future(self._accept(service, places))
        reporter = Reporter(service, lambda: len(self._connections), self._log, workers=self._workers)
        beside = [
            asyncio.ensure_future(one)
            for one in (self._beats(service), reporter.run(), service.follow_lists())
        ]
        loop.add_signal_handler(signal.SIGTERM, self._stop, service)
        loop.add_signal_handler(signal.SIGHUP, self._leave.set)
        # They were held back since the supervisor's fork (supervisor.py).
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})
        leaving = asyncio.ensure_future(self._leave.wait())
        done, _ = await asyncio.wait({accepting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        accepting.cancel()
        if accepting in done:
            # It ends only by an error (the listening socket is gone): the supervisor starts another worker once
            # the messages in progress are done with.
            self._log.event("accept_failed", why=repr(accepting.exception())[:500])
            self._stop(service)
        warming.cancel()
        await self._drain(service)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if accepting in done:
            accepting.result()

    def _stop(self, service: Service) -> None:
        service.stopping = True
        self._leave.set()
        for task, connection in self._connections.items():
            if not connection.busy:
                task.cancel()

    async def _drain(self, service: Service) -> None:
        """Wait for the connections; a stop that comes while they are waited for shortens the time."""
        loop = asyncio.get_running_loop()
        retire_until = loop.time() + self._config.milter.message_timeout_s
        stop_until = None
        while self._connections:
            if not any(connection.busy for connection in self._connections.values()):
                # An idle peer may keep us for long, and many reloads leave many like us.
                await service.rest()
                if not self._connections:
                    break  # the last has left meanwhile
            if service.stopping and stop_until is None:
                stop_until = loop.time() + self._config.milter.drain_s
            until = retire_until if stop_until is None else stop_until
            if loop.time() >= until:
                break
            await asyncio.wait(
                set(self._connections),
                timeout=min(0.5, until - loop.time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, service: Service, places: asyncio.Semaphore) -> None:
        while True:
            await places.acquire()
            try:
                peer = await self._next()
            except ConnectionError:
                places.release()
                continue
            except OSError as error:
                places.release()
                if error.errno not in _SHORTAGES:
                    raise
                self._note(error)
                await asyncio.sleep(_PAUSE_S)
                continue
            # From the moment at which it is accepted nothing is waited for until it has a task of its own: a worker that
            # is told to leave in between would hang up on it.
            served = _Served()
            task = asyncio.ensure_future(served.run(service, peer))
            self._connections[task] = served
            task.add_done_callback(lambda task: self._ended(task, places))

    async def _next(self) -> socket.socket:
        """Return the next connection. Raises OSError."""
        while True:
            await _readable(self._listener)
            try:
                return self._listener.accept()[0]
            except BlockingIOError:
                continue  # another worker was faster

    def _note(self, shortage: OSError) -> None:
        """Log a shortage, but not ten times a second."""
        now = asyncio.get_running_loop().time()
        if now - self._said >= _SAY_EVERY_S:
            self._said = now
            self._log.event("accept_paused", why=str(shortage)[:500])

    def _ended(self, task: "asyncio.Task[None]", places: asyncio.Semaphore) -> None:
        del self._connections[task]
        places.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            # A mistake of ours: the connection is closed, the MTA tries again later, the log tells.
            where = error.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where is not None else ""
            self._log.event("internal_error", error=f"{type(error).__name__}: {error}"[:500], where=place)

    async def _beats(self, service: Service) -> None:
        """Tell the supervisor that this loop turns. When nobody reads, the supervisor is gone: stop."""
        await beating(self._beat, lambda: Beat(messages=service.health.messages, rss=resident()))
        signal.raise_signal(signal.SIGTERM)


async def _warm(service: Service) -> None:
    with contextlib.suppress(ScannerError):
        await service.engines.parse.ping()


async def _readable(listener: socket.socket) -> None:
    """Return when somebody connects. Raises OSError."""
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()

    def seen() -> None:
        if not there.done():
            there.set_result(None)

    loop.add_reader(listener.fileno(), seen)
    try:
        await there
    finally:
        loop.remove_reader(listener.fileno())


def _same(protocol: asyncio.StreamReaderProtocol) -> asyncio.StreamReaderProtocol:
    return protocol


def run_worker(
    config: Config,
    listener: socket.socket,
    beat: int,
    log: Log,
    *,
    workers: int,
    memory: Memory,
    rates: Rates,
) -> None:
    """Be a worker until told to stop."""
    with contextlib.suppress(asyncio.CancelledError):
        Worker(config, listener, beat, log, workers=workers, memory=memory, rates=rates).run()

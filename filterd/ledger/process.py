"""The ledger's process: takes records from the workers, and answers when they are on the disk.

The attack it stops: a database that hangs, and with it the workers. Nothing here waits for the database but one
thread; who waits too long for it is told so by its own clock.
"""

import asyncio
import contextlib
import itertools
import signal
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec
import uvloop
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from filterd.beats import Beat, beating, resident
from filterd.config import Config, load
from filterd.config.places import same_place
from filterd.errors import ConfigError, FilterdError
from filterd.log import Log
from filterd.web import WebServer

from . import database, migrating
from .blobs import Blobs
from .keys import Keys
from .records import HEAD, MAX_FRAME, Answer, Noted, Ping, Record, Request, TakeBack, framed
from .retention import tidied
from .thread import Thread
from .watch import Watch
from .writer import Writer, Written

if TYPE_CHECKING:
    from sqlalchemy import Engine


class _Numbered(Struct):
    """What can be told of a frame that is no request."""

    number: int


_REQUEST: Final = msgspec.msgpack.Decoder(Request)
_NUMBER: Final = msgspec.msgpack.Decoder(_Numbered)
_MOST_AT_ONCE: Final = 200  # requests in one transaction: its answers come within a fraction of a second
_WAITING: Final = 2000  # requests that wait; whoever sends more is not read from
# How often the ledger asks itself whether it can write: when it could, and when it could not.
_ASK_EVERY_S: Final = 30.0
_RETRY_S: Final = 2.0
# A database that has not answered for so long is an alert; for so much longer it takes a new process.
_SLOW_S: Final = 10.0
_STUCK_S: Final = 60.0
# A change of the tables may take as long as the database lets it.
_UPGRADE_S: Final = database.PATIENCE_S + _STUCK_S
# What those who have asked get at a stop; who gets no answer asks the next process.
_DRAIN_S: Final = 5.0
_TIDY_EVERY_S: Final = 3600.0
_TIDY_FIRST_S: Final = 60.0  # after a start, and again after a failure
_SAY_EVERY_S: Final = 10.0
_CLOSE_S: Final = 2.0


class _Client(Struct, frozen=True, kw_only=True):
    """One worker's connection."""

    reader: asyncio.StreamReader
    transport: asyncio.Transport
    read: asyncio.Event  # set when there is no more to come


class LedgerProcess:
    """One ledger's process. ``beat`` is the pipe on which it tells the supervisor that it is alive.

    ``watched`` are listening sockets for metrics and health, ``died`` is how the process before it ended.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        listener: socket.socket,
        beat: int,
        log: Log,
        *,
        watched: Sequence[socket.socket] = (),
        died: str = "",
    ) -> None:
        self._path = path
        self._config = config
        self._listener = listener
        self._watched = watched
        self._beat = beat
        self._log = log
        self._queue: asyncio.Queue[tuple[Written, Callable[[Answer], None]]] = asyncio.Queue(_WAITING)
        self._thread = Thread("ledger")
        self._engine: Engine | None = None
        self._writer: Writer | None = None
        self._watch = Watch(config, log, self._queue.qsize, died=died)
        self._names = itertools.count(1)
        self._clients: dict[str, _Client] = {}
        self._served: set[asyncio.Task[None]] = set()
        self._stuck_s = _STUCK_S
        self._writing_since = 0.0  # 0: the thread has nothing to do
        self._ready = False
        self._problem = ""
        self._said = -_SAY_EVERY_S
        self._doubt = asyncio.Event()  # something was not written
        self._stop = asyncio.Event()
        self._answered_all = asyncio.Event()

    def run(self) -> None:
        """Serve until told to stop."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.serve())

    async def serve(self) -> None:
        """Serve until told to stop; then answer what was asked, and leave."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        # They were held back since the supervisor's fork (supervisor.py).
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})
        server = await asyncio.start_unix_server(self._serve_one, sock=self._listener)
        web = WebServer(self._watched, self._watch.page)
        deeds = (self._write(), self._ask_oneself(), self._tidy(), self._beats(), self._watch.run())
        tasks = [asyncio.ensure_future(one) for one in deeds]
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
            server.close()
            await self._drain()
        finally:
            server.close()
            for one in (*tasks, stopping):
                one.cancel()
            await web.close()
            self._watch.close()
            if self._writer is not None:
                # The database is one file again; who hangs at the disk is not waited for.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._thread.do(self._writer.close), _CLOSE_S)
            self._thread.close()

    async def _drain(self) -> None:
        """Take no more, answer what was taken, hang up: the workers ask the rest of the next process."""
        for client in self._clients.values():
            client.transport.pause_reading()
            client.reader.feed_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                for client in list(self._clients.values()):
                    await client.read.wait()
                await self._queue.join()
        self._answered_all.set()
        if self._served:
            await asyncio.wait(self._served, timeout=1.0)

    def _reload(self) -> None:
        """Take the times of retention and the like from the file; the supervisor has checked what it read."""
        try:
            self._config = same_place(load(self._path), self._config, self._path)
        except ConfigError as error:
            self._log.event("ledger_reload_refused", why=str(error))
        else:
            self._watch.configured(self._config)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one worker until it leaves."""
        name = f"worker {next(self._names)}"
        # A stream's transport goes both ways, whatever the type of StreamWriter's attribute says.
        transport = cast("asyncio.Transport", writer.transport)
        client = _Client(reader=reader, transport=transport, read=asyncio.Event())
        self._clients[name] = client
        if (task := asyncio.current_task()) is not None:
            self._served.add(task)
            task.add_done_callback(self._served.discard)

        def answer(one: Answer) -> None:
            if not writer.is_closing():
                writer.write(framed(one))

        try:
            await self._requests(name, reader, answer)
            client.read.set()
            if self._stop.is_set():
                await self._answered_all.wait()
        finally:
            self._clients.pop(name, None)
            self._watch.gone(name)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _requests(
        self, name: str, reader: asyncio.StreamReader, answer: Callable[[Answer], None]
    ) -> None:
        """Take requests until there are no more. One that is none is answered so: who waits would ask it again."""
        with contextlib.suppress(OSError, EOFError):
            while True:
                (length,) = HEAD.unpack(await reader.readexactly(HEAD.size))
                if length > MAX_FRAME:
                    self._log.event("ledger_frame_refused", bytes=length)
                    return
                data = await reader.readexactly(length)
                try:
                    request = _REQUEST.decode(data)
                except msgspec.DecodeError as error:
                    self._log.event("ledger_frame_refused", why=str(error)[:500])
                    try:
                        answer(Answer(number=_NUMBER.decode(data).number, error=f"no request: {error}"[:500]))
                    except msgspec.DecodeError:
                        return
                else:
                    await self._take(name, request, answer)

    async def _take(self, name: str, request: Request, answer: Callable[[Answer], None]) -> None:
        match request:
            case Noted():
                self._watch.noted(name, request)
            case _:
                await self._queue.put((request, answer))

    async def _write(self) -> None:
        """Write what comes, all that waits in one transaction."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _MOST_AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            requests = [request for request, _ in batch]
            self._writing_since = begun = time.monotonic()
            answers = await self._thread.do(partial(self._written, requests))
            self._writing_since = 0.0
            for (_, answer), one in zip(batch, answers, strict=True):
                answer(one)
                self._queue.task_done()
            self._count(requests, answers, time.monotonic() - begun)
            self._judge([one.error for one in answers])

    def _judge(self, errors: Sequence[str]) -> None:
        """Say what a transaction tells of the database; where something was not written, ask whether that is all."""
        self._ready = not all(errors)
        self._say(next((error for error in errors if error), ""))
        if any(errors):
            self._doubt.set()

    def _count(self, requests: Sequence[Written], answers: Sequence[Answer], seconds: float) -> None:
        metrics = self._watch.metrics
        metrics.committed(len(requests), seconds, sum(bool(one.error) for one in answers))
        for request, one in zip(requests, answers, strict=True):
            if one.error:
                continue
            if isinstance(request, Record):
                metrics.message(request.message)
            elif isinstance(request, TakeBack):
                metrics.taken_back()

    def _written(self, requests: list[Written]) -> list[Answer]:
        """Write a batch; runs in the thread."""
        try:
            return self._opened().write(requests)
        except (FilterdError, SQLAlchemyError, OSError) as error:
            why = str(error) or type(error).__name__
            return [Answer(number=one.number, error=why[:500]) for one in requests]

    def _opened(self) -> Writer:
        if self._writer is None:
            self._stuck_s = _UPGRADE_S
            try:
                self._engine = database.prepared(self._config.ledger, upgrade=migrating.elsewhere)
            finally:
                self._stuck_s = _STUCK_S
            self._writer = Writer(self._engine)
            self._watch.opened(self._engine)
        return self._writer

    async def _ask_oneself(self) -> None:
        """Ask whether the database can be written, so that it is opened at the start, and a failure is seen to end."""
        while True:
            answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            await self._queue.put((Ping(number=0), partial(_given, answered)))
            error = (await answered).error
            self._doubt.clear()
            if error:
                await asyncio.sleep(_RETRY_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ASK_EVERY_S):
                    await self._doubt.wait()

    def _say(self, problem: str) -> None:
        """Log that the database fails, and that it works again; not for each message."""
        now = time.monotonic()
        self._watch.ledger(problem)
        if problem and now - self._said >= _SAY_EVERY_S:
            self._said = now
            self._log.event("ledger_failed", why=problem[:500])
        elif self._problem and not problem:
            self._said = -_SAY_EVERY_S
            self._log.event("ledger_works_again")
        self._problem = problem

    async def _tidy(self) -> None:
        """Remove what is past its time, in a thread of its own: records of messages are written in between its steps."""
        due = 0.0
        while True:
            await asyncio.sleep(_TIDY_FIRST_S)
            # What cannot be written may be for want of the room that this makes.
            if time.monotonic() < due and not self._problem:
                continue
            due = time.monotonic() + _TIDY_EVERY_S
            try:
                removed = await asyncio.to_thread(self._tidied)
            except (FilterdError, OSError) as error:
                self._log.event("store_not_tidied", why=str(error)[:500])
                due = 0.0
            else:
                if any(removed.values()):
                    self._log.event("store_tidied", **removed)

    def _tidied(self) -> dict[str, int]:
        store, engine = self._config.store, self._engine
        if engine is None:
            return {}
        own = engine
        if engine.dialect.name == "postgresql":
            own = database.opened(self._config.ledger, patient=True)
        try:
            with database.explained(self._config.ledger):
                return tidied(
                    own,
                    Blobs(store.directory, read=Keys(store.key_file)),
                    days=self._config.ledger.days,
                )
        finally:
            if own is not engine:
                own.dispose()

    async def _beats(self) -> None:
        """Tell the supervisor that this loop turns, and its thread. When nobody reads, the supervisor is gone: stop."""
        await beating(self._beat, self._how_it_goes)
        self._stop.set()

    def _how_it_goes(self) -> Beat | None:
        """Return the next beat; None when the thread hangs, so that the supervisor ends it."""
        silent = time.monotonic() - self._writing_since if self._writing_since else 0.0
        if silent > _SLOW_S:
            self._ready = False
            self._watch.ledger(f"the database has not answered for {silent:.0f} s")
        if silent > self._stuck_s:
            return None
        return Beat(ready=self._ready, keep=self._watch.alarmed, rss=resident())


def _given(answered: "asyncio.Future[Answer]", one: Answer) -> None:
    if not answered.done():
        answered.set_result(one)

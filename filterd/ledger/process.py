"""The ledger's process: takes records from the workers, and answers when they are on the disk.

The attack it stops: a database that hangs, and with it the workers. Nothing here waits for the database but one
thread; who waits too long for it is told so by its own clock.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from sqlalchemy import Engine

from filterd.config import Config, load
from filterd.errors import ConfigError, FilterdError
from filterd.log import Log

from . import database
from .blobs import Blobs, key_from
from .records import HEAD, MAX_FRAME, Answer, Noted, Recall, Remember, Request, framed
from .retention import tidied
from .writer import Writer, Written

_REQUEST: Final = msgspec.msgpack.Decoder(Request)
_MOST_AT_ONCE: Final = 200  # requests in one transaction: its answers come within a fraction of a second
_WAITING: Final = 2000  # requests that wait; whoever sends more is not read from
_RETRY_S: Final = 2.0
_TIDY_EVERY_S: Final = 3600.0
_TIDY_FIRST_S: Final = 60.0
_BEAT_S: Final = 2.0
_SAY_EVERY_S: Final = 10.0


class Memory:
    """What was found in messages of late, by key: bounded in bytes and in age."""

    def __init__(self, *, most_bytes: int = 16 << 20, seconds: float = 300.0) -> None:
        self._most = most_bytes
        self._seconds = seconds
        self._held: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0

    def recall(self, key: bytes) -> bytes:
        """Return what is remembered, or b""."""
        until, value = self._held.get(key, (0.0, b""))
        return value if time.monotonic() < until else b""

    def remember(self, key: bytes, value: bytes) -> None:
        """Keep a value; the oldest go for it."""
        self._forget(key)
        self._held[key] = (time.monotonic() + self._seconds, value)
        self._bytes += len(value)
        while self._bytes > self._most:
            self._forget(next(iter(self._held)))

    def _forget(self, key: bytes) -> None:
        self._bytes -= len(self._held.pop(key, (0.0, b""))[1])


class LedgerProcess:
    """One ledger's process. ``beat`` is the pipe on which it tells the supervisor that it is alive."""

    def __init__(self, path: Path, config: Config, listener: socket.socket, beat: int, log: Log) -> None:
        self._path = path
        self._config = config
        self._listener = listener
        self._beat = beat
        self._log = log
        self._memory = Memory()
        self._queue: asyncio.Queue[tuple[Written, Callable[[Answer], None]]] = asyncio.Queue(_WAITING)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._engine: Engine | None = None
        self._problem = ""
        self._said = -_SAY_EVERY_S
        self._stop = asyncio.Event()

    def run(self) -> None:
        """Serve until told to stop."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        server = await asyncio.start_unix_server(self._serve_one, sock=self._listener)
        tasks = [asyncio.ensure_future(one) for one in (self._write(), self._tidy(), self._beats())]
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            server.close()
            for one in (*tasks, stopping):
                one.cancel()
            self._thread.shutdown(wait=False)

    def _reload(self) -> None:
        """Take the times of retention and the like from the file; the supervisor has checked it."""
        with contextlib.suppress(ConfigError):
            self._config = load(self._path)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one worker until it leaves."""

        def answer(one: Answer) -> None:
            if not writer.is_closing():
                writer.write(framed(one))

        try:
            while True:
                (length,) = HEAD.unpack(await reader.readexactly(HEAD.size))
                if length > MAX_FRAME:
                    self._log.event("ledger_frame_refused", bytes=length)
                    return
                await self._take(_REQUEST.decode(await reader.readexactly(length)), answer)
        except (OSError, EOFError):
            return
        except msgspec.DecodeError as error:
            self._log.event("ledger_frame_refused", why=str(error)[:500])
        finally:
            writer.close()

    async def _take(self, request: Request, answer: Callable[[Answer], None]) -> None:
        match request:
            case Recall():
                answer(Answer(number=request.number, found=self._memory.recall(request.key)))
            case Remember():
                self._memory.remember(request.key, request.value)
            case Noted():
                pass
            case _:
                await self._queue.put((request, answer))

    async def _write(self) -> None:
        """Write what comes, all that waits in one transaction."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _MOST_AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            requests = [request for request, _ in batch]
            loop = asyncio.get_running_loop()
            answers = await loop.run_in_executor(self._thread, self._written, requests)
            for (_, answer), one in zip(batch, answers, strict=True):
                answer(one)
            self._say(next((one.error for one in answers if one.error), ""))

    def _written(self, requests: list[Written]) -> list[Answer]:
        """Write a batch; runs in the thread."""
        try:
            engine = self._opened()
        except FilterdError as error:
            return [Answer(number=one.number, error=str(error)) for one in requests]
        return Writer(engine).write(requests)

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = database.prepared(self._config.ledger)
        return self._engine

    def _say(self, problem: str) -> None:
        """Log that the database fails, and that it works again; not for each message."""
        now = time.monotonic()
        if problem and now - self._said >= _SAY_EVERY_S:
            self._said = now
            self._log.event("ledger_failed", why=problem[:500])
        elif self._problem and not problem:
            self._said = -_SAY_EVERY_S
            self._log.event("ledger_works_again")
        self._problem = problem

    async def _tidy(self) -> None:
        """Remove what is past its time; in the ledger's thread, as a step of many small ones."""
        await asyncio.sleep(_TIDY_FIRST_S)
        loop = asyncio.get_running_loop()
        while True:
            try:
                removed = await loop.run_in_executor(self._thread, self._tidied)
            except (FilterdError, OSError) as error:
                self._log.event("store_not_tidied", why=str(error)[:500])
            else:
                if any(removed.values()):
                    self._log.event("store_tidied", **removed)
            await asyncio.sleep(_TIDY_EVERY_S)

    def _tidied(self) -> dict[str, int]:
        store = self._config.store
        with database.explained(self._config.ledger):
            return tidied(
                self._opened(),
                Blobs(store.directory, key_from(store.key_file)),
                days=self._config.ledger.days,
            )

    async def _beats(self) -> None:
        """Tell the supervisor that this loop turns. When nobody reads, the supervisor is gone: stop."""
        while True:
            try:
                os.write(self._beat, b".")
            except BlockingIOError:
                pass
            except OSError:
                self._stop.set()
                return
            await asyncio.sleep(_BEAT_S)


def run_ledger(path: Path, config: Config, listener: socket.socket, beat: int, log: Log) -> None:
    """Be the ledger's process until told to stop."""
    LedgerProcess(path, config, listener, beat, log).run()

"""The ledger as a milter worker uses it: one connection, many requests on their way, each with an end to its wait."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Final

import msgspec

from filterd.config import ListEntry
from filterd.config.ledger import LedgerSettings
from filterd.errors import FilterdError
from filterd.log import Log
from filterd.streams import put
from filterd.within import Within

from .records import (
    HEAD,
    MAX_FRAME,
    Again,
    Answer,
    AskLists,
    Injected,
    MessageRecord,
    Noted,
    Ping,
    Record,
    Request,
    TakeBack,
    framed,
)

_LISTS: Final = msgspec.msgpack.Decoder(tuple[ListEntry, ...])
_ANSWER: Final = msgspec.msgpack.Decoder(Answer)
_RETRY_S: Final = 0.05
_MAX_UNSENT: Final = 8 * 1024 * 1024


class LedgerDownError(FilterdError):
    """The ledger did not take a record: nothing may be accepted."""


class LedgerClient:
    """One worker's connection to the ledger's process. Needs a running event loop. Close it."""

    def __init__(self, settings: LedgerSettings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def record(self, message: MessageRecord) -> None:
        """Return when a record is on the disk. Raises LedgerDownError."""
        await self._ask(lambda number: Record(number=number, message=message))

    async def take_back(self, message_id: str, reply: str) -> None:
        """Say that a recorded message was answered 451 after all. Raises LedgerDownError."""
        await self._ask(lambda number: TakeBack(number=number, message_id=message_id, reply=reply))

    async def injected(self, message_id: str, queue_ids: tuple[str, ...]) -> None:
        """Note the queue ids of what was handed over anew. Raises LedgerDownError."""
        await self._ask(lambda number: Injected(number=number, message_id=message_id, queue_ids=queue_ids))

    async def again(self, fingerprint: bytes) -> int:
        """Return how often this message has come, this time included. Raises LedgerDownError."""
        return (await self._ask(lambda number: Again(number=number, fingerprint=fingerprint))).count

    async def reached(self) -> bool:
        """Return whether there is a connection, which is made if there is none."""
        try:
            await self._connected()
        except OSError:
            return False
        return True

    def noted(self, component: str, problem: str = "", gauges: dict[str, float] | None = None) -> None:
        """Say that a component works (``problem`` "") or what is wrong with it, if the ledger is there."""
        writer = self._writer
        if writer is not None and writer.transport.get_write_buffer_size() < _MAX_UNSENT:
            # Nobody waits for an answer to it.
            with contextlib.suppress(ConnectionResetError):
                put(writer, framed(Noted(component=component, problem=problem, gauges=gauges or {})))

    async def listed(self) -> tuple[ListEntry, ...]:
        """Return the lists of senders that the ledger has. Raises LedgerDownError."""
        return _LISTS.decode((await self._ask(lambda number: AskLists(number=number))).found)

    async def ping(self) -> None:
        """Return when the ledger can write. Raises LedgerDownError."""
        await self._ask(lambda number: Ping(number=number))

    async def close(self) -> None:
        """Hang up; whoever waits is told that the ledger is down."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _ask(self, request: Callable[[int], Request]) -> Answer:
        """Return the answer to a request; asked again if the connection broke. Raises LedgerDownError."""
        patience = self._settings.timeout_s
        why = f"no answer in {patience:g} s"
        try:
            with Within.seconds(patience):
                while True:
                    try:
                        answer = await self._once(request)
                        break
                    except OSError as error:
                        why = str(error) or type(error).__name__
                        await asyncio.sleep(_RETRY_S)
        except TimeoutError as error:
            raise LedgerDownError(f"the ledger at {self._settings.socket} did not answer: {why}") from error
        if answer.error:
            raise LedgerDownError(f"the ledger did not take it: {answer.error}")
        return answer

    async def _once(self, request: Callable[[int], Request]) -> Answer:
        """Ask on the connection there is, or on a new one. Raises OSError when it breaks."""
        number = next(self._numbers)
        data = framed(request(number))
        if len(data) > MAX_FRAME:
            raise LedgerDownError("the record is too long for the ledger")
        writer = await self._connected()
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        try:
            put(writer, data)
            await writer.drain()
            return await answered
        finally:
            self._waiting.pop(number, None)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None:
                reader, self._writer = await asyncio.open_unix_connection(self._settings.socket)
                self._reading = asyncio.ensure_future(self._read(reader, self._writer))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand the answers to those who wait for them, until the connection ends."""
        why = "the connection ended"
        try:
            while True:
                (length,) = HEAD.unpack(await reader.readexactly(HEAD.size))
                answer = _ANSWER.decode(await reader.readexactly(length))
                waiting = self._waiting.get(answer.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (OSError, EOFError, msgspec.DecodeError) as error:
            why = str(error) or type(error).__name__
        finally:
            self._writer = None
            writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionResetError(why))
            with contextlib.suppress(OSError):
                await writer.wait_closed()

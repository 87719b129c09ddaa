"""The parse workers as a milter worker uses them: one job at a time each, bounded in number, time and answer.

The attack it stops: a parser that has been taken over, hangs or dies. All that comes of it is "not inspected" for
the one message: the process that had it ends, unless the message needed only the readers that docs/decisions/0015 names.
"""

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from filterd.anatomy import RewriteOrder, Rewritten
from filterd.config import Config
from filterd.errors import ScannerAnswerError, ScannerDownError, ScannerError
from filterd.health import Condition
from filterd.log import Log
from filterd.message import Message, Spool
from filterd.within import Within

from . import border
from .answers import Told, kept, told_whole, weight
from .border import Answer, Source
from .cradle import Cradle
from .dissection import Dissection, within
from .lane import EndedError, Lane

T = TypeVar("T", bound=Source)
COMMAND: Final = (sys.executable, "-I", "-B", "-m", "filterd.parse")
# The nursery kills a child that is hung up on, and says so; when that takes longer, it is the nursery that hangs.
_GRACE_S: Final = 5.0
# So long a parse worker waits for a job, unless it is the last: each holds some memory of its own.
_IDLE_S: Final = 10.0
# Importing the parsers takes about a second, on a busy host several.
_START_S: Final = 60.0
_BACKOFF_S: Final = (0.1, 10.0)
# A nursery that has lived this long was healthy.
_HEALTHY_S: Final = 30.0
_ROOM: Final = 1024 * 1024 * 1024


class _UsedWorkerError(EndedError):
    """A parse worker that had other messages before has ended: that may be their doing, or was before it had this one."""


class Stock:
    """Counts what the messages that were taken apart hold, in bytes; ``room`` of them are enough.

    The attack it stops: small messages that become great ones, sent faster than the virus engines look at them.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._held = 0
        self._changed = asyncio.Event()

    async def has_room(self) -> None:
        """Return when less than ``room`` is held."""
        while self._held >= self._room:
            self._changed.clear()
            await self._changed.wait()

    def take(self, size: int) -> Callable[[], None]:
        """Hold ``size`` bytes. Returns what gives them back."""
        self._held += size

        def give_back() -> None:
            self._held -= size
            self._changed.set()

        return give_back


class ParsePool:
    """The client of one milter worker: starts its nursery with the first job, and again when it died.

    ``slots`` is the worker's share of ``[parse] max_concurrent``, ``room`` how many bytes of messages taken apart it
    may hold (those that are at work come on top). Close it: the nursery ends with it.
    """

    def __init__(
        self,
        config: Config,
        *,
        slots: int,
        log: Log,
        room: int = _ROOM,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._milter = config.milter
        self._inspection = msgspec.msgpack.encode(config.inspection)
        self._seconds = config.parse.timeout_s
        self._most = config.parse.memory_bytes + border.RESERVE
        self._room = config.parse.leaf_bytes
        self._slots = asyncio.Semaphore(slots)
        self._stock = Stock(room)
        self._log = log
        self._command = command
        self._nursery: Cradle | None = None
        self._idle: deque[Lane] = deque()  # the one of the last job at the right
        self._tidying: asyncio.TimerHandle | None = None
        self._starting = asyncio.Lock()
        self._told = False
        self._pause = _BACKOFF_S[0]
        self._not_before = 0.0
        self.condition = Condition()

    async def anatomise(self, message: Message) -> Dissection:
        """Return the message taken apart; the caller closes it. Raises ScannerError when that cannot be had."""
        async with self.condition.place(self._slots):
            await self._stock.has_room()
            answer, sources = await self._ask(border.ANATOMISE, message)
        if answer.anatomy is None:
            border.let_go(sources)
            raise ScannerAnswerError("the parse worker's answer has no anatomy")
        return Dissection(answer.anatomy, sources, answer.places, self._stock.take(weight(sources)))

    async def rewrite(self, message: Message, order: RewriteOrder) -> tuple[Rewritten, Spool]:
        """Return what was changed and the new message; the caller closes it. Raises ScannerError, OSError."""
        async with self.condition.place(self._slots):
            answer, sources = await self._ask(border.REWRITE, message, border.encoded(order))
        with _closing(sources):
            if answer.rewritten is None or len(answer.places) != 1:
                raise ScannerAnswerError("the parse worker's answer has no message")
            place = within(answer.places[0], [border.size_of(one) for one in sources])
            spool = Spool(self._milter.spool_dir, self._milter.spool_memory_bytes)
            try:
                offset = place.offset
                while offset < place.offset + place.size:
                    size = min(border.GREAT, place.offset + place.size - offset)
                    spool.write(border.part_of(sources[place.descriptor], offset, size))
                    offset += size
                    await asyncio.sleep(0)
                spool.descriptor()
            except BaseException:
                spool.close()
                raise
        return answer.rewritten, spool

    async def ping(self) -> None:
        """Return when a nursery is there with all its parsers. Raises ScannerDownError."""
        try:
            await self._ready()
        except ScannerError as error:
            self.condition.failed(error)
            raise
        self.condition.worked()

    async def rest(self) -> None:
        """End the nursery while there is no job; the next one starts another."""
        async with self._starting:
            await self.close()

    async def close(self) -> None:
        """End the nursery and its children."""
        if self._tidying is not None:
            self._tidying.cancel()
            self._tidying = None
        while self._idle:
            self._idle.pop().close()
        if self._nursery is not None:
            await self._nursery.close()
            self._nursery = None

    async def _ask(self, kind: bytes, message: Message, order: bytes = b"") -> tuple[Answer, list[Source]]:
        """Have one job done, and note how that ends. Returns the answer and where its contents lie; the caller lets go."""
        try:
            answered = await self._answered(kind, message, order)
        except ScannerError as error:
            self.condition.failed(error)
            raise
        self.condition.worked()
        return answered

    async def _answered(self, kind: bytes, message: Message, order: bytes) -> tuple[Answer, list[Source]]:
        nursery = await self._ready()
        try:
            try:
                answer, sources = await self._job(nursery, kind, message, order)
            except _UsedWorkerError:
                answer, sources = await self._job(nursery, kind, message, order, fresh=True)
        except OSError as error:
            raise ScannerDownError(f"no parse worker can be asked: {error}") from error
        # Also one that was written nowhere: whoever reads it would have to find room for it.
        if weight(sources) > self._most + len(sources) * border.GREAT:
            border.let_go(sources)
            raise ScannerAnswerError("the parse worker sent more than it may hold")
        return answer, sources

    async def _ready(self) -> Cradle:
        """Return the nursery, started if there is none. Raises ScannerDownError."""
        async with self._starting:
            if self._nursery is None or self._nursery.dead:
                if asyncio.get_running_loop().time() < self._not_before:
                    raise ScannerDownError(
                        "the parse workers cannot be started: parse_nursery_died in the log says why"
                    )
                await self.close()
                self._nursery = self._start()
            nursery = self._nursery
        if nursery.was_ready:
            return nursery
        try:
            async with asyncio.timeout(_START_S):
                await nursery.ready()
        except TimeoutError as error:
            nursery.kill()
            raise ScannerDownError(f"the parse workers were not ready in {_START_S:g} s") from error
        if nursery.lacks and not self._told:
            self._told = True
            self._log.event("parse_sandbox_incomplete", lacks=nursery.lacks[:500])
        return nursery

    def _start(self) -> Cradle:
        try:
            return Cradle(self._command, self._inspection, self._died)
        except OSError as error:
            raise ScannerDownError(f"the parse workers cannot be started: {error}") from error

    def _died(self, nursery: Cradle, why: str) -> None:
        """Note a death that we did not wish, and wait longer each time before the next start."""
        self._log.event("parse_nursery_died", pid=nursery.pid, why=why[:500])
        now = asyncio.get_running_loop().time()
        if now - nursery.started > _HEALTHY_S:
            self._pause = _BACKOFF_S[0]
        elif not nursery.was_ready:
            self._not_before = now + self._pause
            self._pause = min(self._pause * 2, _BACKOFF_S[1])

    async def _job(
        self, nursery: Cradle, kind: bytes, message: Message, order: bytes, *, fresh: bool = False
    ) -> tuple[Answer, list[Source]]:
        # What a rewrite makes is delivered: no other message has been near it, before or after.
        alone = kind == border.REWRITE
        lane = await self._lane(nursery, fresh=fresh or alone)
        goes_on = False
        try:
            if kind == border.ANATOMISE and 0 < message.spool.size <= border.MAX_INLINE:
                answer, sources, would = await self._inline(nursery, lane, message)
            else:
                answer, sources, would = await self._by_files(nursery, lane, kind, message, order)
            goes_on = would and not alone and lane.may_go_on()
            return answer, sources
        finally:
            self._done_with(lane, goes_on=goes_on)

    async def _inline(self, nursery: Cradle, lane: Lane, message: Message) -> Told:
        """Have a small message taken apart that goes with its job."""
        raw = b"".join(message.spool.pieces())
        said = await self._said(nursery, lane.ask(border.ANATOMISE + raw, []), lane)
        if said != border.WANTING:
            answer, contents, would = told_whole(said)
            return answer, [contents], would
        with _releasing([]) as files:
            self._make_files(files, _great(message))
            said = await self._said(nursery, lane.tell(border.FILES, files), lane)
            return kept(files, said)

    async def _by_files(
        self, nursery: Cradle, lane: Lane, kind: bytes, message: Message, order: bytes
    ) -> Told:
        """Have a job done by descriptors."""
        with _releasing([]) as files:
            with _closing([]) as mine:
                mine.append(border.reopened(message.spool.descriptor()))
                if kind == border.REWRITE:
                    mine.append(border.memory_file("order"))
                    border.written(mine[1], order)
                self._make_files(files, 1 if kind == border.REWRITE else _great(message))
                said = await self._said(nursery, lane.ask(kind, [*mine, *files]), lane)
            return kept(files, said)

    async def _said(self, nursery: Cradle, question: Awaitable[bytes], lane: Lane) -> bytes:
        """Return what a parse worker answers in its time. Raises ScannerDownError."""
        try:
            with Within.seconds(self._seconds):
                return await question
        except EndedError as error:
            if lane.jobs > 1:
                raise _UsedWorkerError(str(error)) from error
            raise
        except TimeoutError as error:
            try:
                async with asyncio.timeout(_GRACE_S):
                    await lane.given_up()
            except TimeoutError:
                nursery.kill()
                raise ScannerDownError(f"no parse worker answered in {self._seconds:g} s") from error
            raise ScannerDownError(f"the parse worker took more than {self._seconds:g} s") from error

    async def _lane(self, nursery: Cradle, *, fresh: bool) -> Lane:
        """Return a lane to an idle parse worker, or to a new one, as it has to be if ``fresh``. Raises OSError."""
        while self._idle and not fresh:
            if (lane := self._idle.pop()).open:
                return lane
        lane = Lane()
        try:
            with lane.far:
                await nursery.send(border.CHILD, [lane.far.fileno()])
        except BaseException:
            lane.close()
            raise
        return lane

    def _done_with(self, lane: Lane, *, goes_on: bool) -> None:
        """Keep a lane for the next job, or end its parse worker."""
        if not goes_on:
            lane.close()
            return
        loop = asyncio.get_running_loop()
        lane.idle_since = loop.time()
        self._idle.append(lane)
        if self._tidying is None:
            self._tidying = loop.call_later(_IDLE_S, self._tidy)

    def _tidy(self) -> None:
        """End the parse workers that had nothing to do for a while, all but the one of the last job."""
        loop = asyncio.get_running_loop()
        while len(self._idle) > 1 and self._idle[0].idle_since <= loop.time() - _IDLE_S:
            self._idle.popleft().close()
        self._tidying = loop.call_later(_IDLE_S, self._tidy) if len(self._idle) > 1 else None

    def _make_files(self, files: list[int], great: int) -> None:
        """Append the memory files of one answer. Raises OSError."""
        files.append(border.memory_file("contents"))
        files.extend(border.memory_file("content", self._room) for _ in range(great))


def _great(message: Message) -> int:
    """Return how many great contents get a file of their own."""
    if message.size < border.FEW_FROM:
        return 0
    return border.MAX_GREAT if message.size >= border.MANY_FROM else border.FEW_GREAT


@contextlib.contextmanager
def _closing(sources: list[T]) -> Iterator[list[T]]:
    try:
        yield sources
    finally:
        border.let_go(sources)


@contextlib.contextmanager
def _releasing(descriptors: list[int]) -> Iterator[list[int]]:
    """Close the descriptors if it fails."""
    try:
        yield descriptors
    except BaseException:
        border.let_go(descriptors)
        raise

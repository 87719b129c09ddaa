"""Jobs in a process of its own: read the message, take it apart or rewrite it, answer."""

import os
import resource
import socket
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

import msgspec
from msgspec import Struct

from filterd.anatomy import Anatomy, RewriteOrder, Rewritten
from filterd.config.inspection import Inspection
from filterd.findings import Finding, Verdict

from . import border, native
from .border import Answer, Place
from .sandbox import Sandbox, grant_reserve

_MAX_WHY: Final = 500
_SLOW_S: Final = 0.25
_GROWN_KIB: Final = 64 * 1024
_ORDER: Final = msgspec.msgpack.Decoder(RewriteOrder)
# In place of a record that is too long: names and findings without end.
_TOO_MUCH: Final = Answer(
    anatomy=Anatomy(
        findings=(
            Finding(
                stage="limit",
                verdict=Verdict.OVER_LIMIT,
                rule="limit.findings",
                detail=f"what was found takes more than {border.MAX_RECORD} bytes to tell",
            ),
        )
    )
)


class Tasks(Struct, frozen=True, kw_only=True):
    """What a parse worker can do; the functions read hostile bytes and run nowhere else."""

    anatomise: Callable[[bytes, Inspection], tuple[Anatomy, list[bytes]]]
    rewrite: Callable[[bytes, RewriteOrder], tuple[Rewritten, bytes]]


class Parcel:
    """The bytes of an answer: the small ones in the first memory file, each of the greatest in one of the others."""

    def __init__(self, files: Sequence[int]) -> None:
        self._small, *spare = files
        self._spare = spare
        self._used = [self._small]
        self._end = 0

    def add_all(self, contents: Sequence[bytes]) -> tuple[Place, ...]:
        """Put each of ``contents`` in. Returns where they are."""
        great = [number for number, data in enumerate(contents) if len(data) >= border.GREAT]
        great.sort(key=lambda number: len(contents[number]), reverse=True)
        own = frozenset(great[: len(self._spare)])
        return tuple(self._add(data, own=number in own) for number, data in enumerate(contents))

    def _add(self, data: bytes, *, own: bool) -> Place:
        if own:
            descriptor = self._spare[len(self._used) - 1]
            border.written(descriptor, data)
            os.ftruncate(descriptor, len(data))
            self._used.append(descriptor)
            return Place(len(self._used) - 1, 0, len(data))
        place = Place(0, self._end, len(data))
        border.written(self._small, data)
        self._end += len(data)
        return place

    def send(self, lane: socket.socket, answer: Answer, *, goes_on: bool) -> None:
        """Send all of it, with its record."""
        record = _record(answer)
        location = border.LOCATION.pack(self._end, len(record), goes_on)
        border.written(self._small, record)
        for descriptor in self._used:
            border.seal(descriptor)
        lane.sendmsg([location])


class Letter:
    """The bytes of an answer in one datagram; where that would be too long, in memory files that are asked for."""

    def __init__(self) -> None:
        self._contents: Sequence[bytes] = ()

    def add_all(self, contents: Sequence[bytes]) -> tuple[Place, ...]:
        """Put each of ``contents`` in. Returns where they are."""
        self._contents = contents
        ends = accumulate(map(len, contents))
        return tuple(Place(0, end - len(one), len(one)) for one, end in zip(contents, ends, strict=True))

    def send(self, lane: socket.socket, answer: Answer, *, goes_on: bool) -> None:
        """Send all of it, with its record."""
        record = _record(answer)
        location = border.LOCATION.pack(sum(map(len, self._contents)), len(record), goes_on)
        whole = b"".join((border.WHOLE, location, *self._contents, record))
        if len(whole) <= border.MAX_WHOLE:
            lane.sendmsg([whole])
            return
        lane.sendmsg([border.WANTING])
        _, files, _, _ = socket.recv_fds(
            lane, border.MAX_DATAGRAM, border.MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        if not files:
            raise BrokenPipeError
        parcel = Parcel(files)
        places = parcel.add_all(self._contents)
        parcel.send(lane, msgspec.structs.replace(answer, places=places), goes_on=goes_on)
        border.let_go(files)


def _record(answer: Answer) -> bytes:
    record = border.encoded(answer)
    return record if len(record) <= border.MAX_RECORD else border.encoded(_TOO_MUCH)


class Worker:
    """A parse worker: does jobs under the sandbox, one after the other, until it was slow, has grown or met an error.

    That bounds what one message costs the next. Whether it may be trusted with another is not for it to say (lane.py).
    """

    def __init__(self, tasks: Tasks, inspection: Inspection, walls: Sandbox, lane: socket.socket) -> None:
        self._tasks = tasks
        self._inspection = inspection
        self._walls = walls
        self._lane = lane
        # Of this process alone: what it was before a fork does not count (getrusage(2)).
        self._usual_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def run(self) -> int:
        """Do jobs until there is reason to end, or nobody is there any more. Returns the exit code."""
        try:
            self._walls.enter()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the message has not been inspected
            return self._failed(error)
        native.tell_by(lambda: self._lane.sendmsg([border.SPENT]))
        while True:
            job, descriptors, flags, _ = socket.recv_fds(
                self._lane, 1 + border.MAX_INLINE, border.MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
            if not job:
                return 0
            kind, raw = job[:1], job[1:]
            few = not raw and len(descriptors) < border.DESCRIPTORS.get(kind, 99)
            if few or flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
                return 1
            code = self._one(kind, raw, descriptors)
            if code is not None:
                return code

    def _one(self, kind: bytes, raw: bytes, files: list[int]) -> int | None:
        """Do one job. Returns the exit code, or None where another may follow. An error is told on the lane."""
        try:
            self._walls.begin()
            begun = time.process_time()
            parcel, answer = self._answer(kind, raw, files)
            goes_on = self._is_as_it_was(time.process_time() - begun)
            parcel.send(self._lane, answer, goes_on=goes_on)
        except BrokenPipeError:
            return 0  # nobody waits for it any more
        except BaseException as error:  # noqa: BLE001 - whatever it is, the message has not been inspected
            grant_reserve()
            return self._failed(error)
        border.let_go(files)
        return None if goes_on else 0

    def _failed(self, error: BaseException) -> int:
        text = f"{type(error).__name__}: {error}"[:_MAX_WHY].encode("utf-8", "backslashreplace")
        try:
            self._lane.sendmsg([border.FAILED + text])
        except OSError:
            return 1
        return 0

    def _answer(self, kind: bytes, raw: bytes, files: list[int]) -> tuple[Parcel | Letter, Answer]:
        """Return the answer to a job on this message, or on these files, and its contents."""
        inline = bool(raw)
        raw = raw or border.read_at(files[0], 0, os.fstat(files[0]).st_size)
        if kind == border.ANATOMISE:
            anatomy, contents = self._tasks.anatomise(raw, self._inspection)
            grant_reserve()
            parcel = Letter() if inline else Parcel(files[1:])
            return parcel, Answer(anatomy=anatomy, places=parcel.add_all(contents))
        order = _ORDER.decode(border.read_at(files[1], 0, os.fstat(files[1]).st_size))
        rewritten, data = self._tasks.rewrite(raw, order)
        grant_reserve()
        parcel = Parcel(files[2:])
        return parcel, Answer(rewritten=rewritten, places=parcel.add_all([data]))

    def _is_as_it_was(self, seconds: float) -> bool:
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self._usual_kib
        return seconds < _SLOW_S and grown_kib < _GROWN_KIB

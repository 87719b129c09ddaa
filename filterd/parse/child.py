"""One job in a process of its own: read the message, take it apart or rewrite it, answer, end."""

import errno
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from filterd.anatomy import Anatomy, RewriteOrder, Rewritten
from filterd.config.inspection import Inspection
from filterd.findings import Finding, Verdict

from . import border
from .border import Answer, Place
from .sandbox import Sandbox, grant_reserve

_MAX_WHY: Final = 500
_BUSY_RETRY_S: Final = 0.005
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
    """The bytes of an answer: the small ones in one memory file, each of the greatest in its own.

    The files are made before the content is looked at, and no others can be made then: a parser that has been taken
    over fills these and no more. ``room`` is in bytes, of one content.
    """

    def __init__(self, room: int) -> None:
        self._small = border.memory_file("contents")
        self._spare = [border.memory_file("content", room) for _ in range(border.MAX_GREAT)]
        self._end = 0
        self.descriptors = [self._small]

    def add_all(self, contents: Sequence[bytes]) -> tuple[Place, ...]:
        """Put each of ``contents`` in. Returns where they are."""
        great = [number for number, data in enumerate(contents) if len(data) >= border.GREAT]
        great.sort(key=lambda number: len(contents[number]), reverse=True)
        own = frozenset(great[: border.MAX_GREAT])
        return tuple(self._add(data, own=number in own) for number, data in enumerate(contents))

    def _add(self, data: bytes, *, own: bool) -> Place:
        if own:
            descriptor = self._spare.pop()
            border.written(descriptor, data)
            os.ftruncate(descriptor, len(data))
            self.descriptors.append(descriptor)
            return Place(len(self.descriptors) - 1, 0, len(data))
        place = Place(0, self._end, len(data))
        border.written(self._small, data)
        self._end += len(data)
        return place

    def send(self, job: socket.socket, answer: Answer) -> None:
        """Send all of it, with its record."""
        record = border.encoded(answer)
        if len(record) > border.MAX_RECORD:
            record = border.encoded(_TOO_MUCH)
        location = border.LOCATION.pack(self._end, len(record))
        border.written(self._small, record)
        for descriptor in self.descriptors:
            border.seal(descriptor)
        while True:
            try:
                socket.send_fds(job, [location], self.descriptors)
            except OSError as error:
                # unix(7): of all that run as this user, too many are on their way. They are taken in a moment.
                if error.errno != errno.ETOOMANYREFS:
                    raise
                time.sleep(_BUSY_RETRY_S)
            else:
                return


def _answer(parcel: Parcel, files: list[int], tasks: Tasks, inspection: Inspection) -> Answer:
    """Return the answer to a job on these files (the message; the order), with its contents in ``parcel``."""
    raw, *order = (border.read_at(file, 0, os.fstat(file).st_size) for file in files)
    if not order:
        anatomy, contents = tasks.anatomise(raw, inspection)
        grant_reserve()
        return Answer(anatomy=anatomy, places=parcel.add_all(contents))
    rewritten, data = tasks.rewrite(raw, _ORDER.decode(order[0]))
    grant_reserve()
    return Answer(rewritten=rewritten, places=parcel.add_all([data]))


def run(descriptors: list[int], tasks: Tasks, inspection: Inspection, walls: Sandbox) -> int:
    """Do one job under the sandbox. ``descriptors``: the job's socket, the message and, for a rewrite, the order.

    Returns the exit code; an error is told on the job's socket.
    """
    answer_to, *files = descriptors
    job = socket.socket(fileno=answer_to)
    try:
        parcel = Parcel(inspection.parse.leaf_bytes)
        walls.enter()
        parcel.send(job, _answer(parcel, files, tasks, inspection))
    except BrokenPipeError:
        return 0  # nobody waits for it any more
    except BaseException as error:  # noqa: BLE001 - whatever it is, the message has not been inspected
        grant_reserve()
        why = f"{type(error).__name__}: {error}"
        return _failed(job, why)
    return 0


def _failed(job: socket.socket, why: str) -> int:
    text = why[:_MAX_WHY].encode("utf-8", "backslashreplace")
    try:
        job.sendmsg([border.FAILED + text])
    except OSError:
        return 1
    return 0

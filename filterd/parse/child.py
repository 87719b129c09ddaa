"""One job in a process of its own: read the message, take it apart or rewrite it, answer, end."""

import os
import socket
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import Struct

from filterd.anatomy import Anatomy, RewriteOrder, Rewritten
from filterd.config.inspection import Inspection

from . import border
from .border import Answer, Place
from .sandbox import Sandbox, grant_reserve

_MAX_WHY: Final = 500
_ORDER: Final = msgspec.msgpack.Decoder(RewriteOrder)


class Tasks(Struct, frozen=True, kw_only=True):
    """What a parse worker can do; the functions read hostile bytes and run nowhere else."""

    anatomise: Callable[[bytes, Inspection], tuple[Anatomy, list[bytes]]]
    rewrite: Callable[[bytes, RewriteOrder], tuple[Rewritten, bytes]]


class Parcel:
    """The bytes of an answer: the small ones in one memory file, each great one in its own."""

    def __init__(self) -> None:
        self._small = border.memory_file("contents")
        self._end = 0
        self.descriptors = [self._small]

    def add(self, data: bytes) -> Place:
        """Put ``data`` in. Returns where it is."""
        if len(data) < border.GREAT or len(self.descriptors) > border.MAX_GREAT:
            place = Place(0, self._end, len(data))
            border.written(self._small, data)
            self._end += len(data)
            return place
        own = border.memory_file("content")
        border.written(own, data)
        self.descriptors.append(own)
        return Place(len(self.descriptors) - 1, 0, len(data))

    def add_all(self, contents: Iterable[bytes]) -> tuple[Place, ...]:
        """Put each of ``contents`` in. Returns where they are."""
        return tuple(self.add(data) for data in contents)

    def send(self, job: socket.socket, answer: Answer) -> None:
        """Send all of it, with its record."""
        record = border.encoded(answer)
        location = border.LOCATION.pack(self._end, len(record))
        border.written(self._small, record)
        for descriptor in self.descriptors:
            border.seal(descriptor)
        socket.send_fds(job, [location], self.descriptors)


def _answer(parcel: Parcel, files: list[int], tasks: Tasks, inspection: Inspection) -> Answer:
    """Return the answer to a job on these files (the message; the order), with its contents in ``parcel``."""
    raw, *order = (border.read_at(file, 0, os.fstat(file).st_size) for file in files)
    if not order:
        anatomy, contents = tasks.anatomise(raw, inspection)
        grant_reserve()
        return Answer(anatomy=anatomy, places=parcel.add_all(contents))
    rewritten, data = tasks.rewrite(raw, _ORDER.decode(order[0]))
    grant_reserve()
    return Answer(rewritten=rewritten, places=(parcel.add(data),))


def run(descriptors: list[int], tasks: Tasks, inspection: Inspection, walls: Sandbox) -> int:
    """Do one job under the sandbox. ``descriptors``: the job's socket, the message and, for a rewrite, the order.

    Returns the exit code; an error is told on the job's socket.
    """
    answer_to, *files = descriptors
    job = socket.socket(fileno=answer_to)
    try:
        walls.enter()
        parcel = Parcel()
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

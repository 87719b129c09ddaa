"""What crosses the border between a milter worker and its parse workers: records, descriptors, their bounds.

A job comes on the parse worker's lane as one datagram: a letter, and as descriptors the message (read only), for a
rewrite the order, and empty memory files: one for the record and the small contents, the others for one great content
each. They belong to the milter worker, and a parse worker can make no others: what has been taken over fills these and
no more. The answer is one datagram on the lane: where in the first file the record lies, and whether the parse worker would
take another job. Before it there may be one more, SPENT, after which it gets none whatever it says. A parse worker has
read hostile bytes, so what it answers is checked as if a peer had sent it.

A small message stands in the datagram itself, behind the letter, without any descriptor; so does the answer to it, WHOLE. Where
that would be too long, the parse worker says WANTING, is given the memory files in a datagram of FILES, and answers as above.
"""

import fcntl
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from filterd.anatomy import Anatomy, Rewritten
from filterd.errors import ScannerAnswerError

ANATOMISE: Final = b"A"
REWRITE: Final = b"W"
CHILD: Final = b"C"  # to the nursery: be there a parse worker at the far end of this lane
READY: Final = b"R"  # and what is missing, as text
FAILED: Final = b"F"  # and why, as text
WHOLE: Final = b"A"  # then a LOCATION, and what the first memory file would hold
WANTING: Final = b"N"
FILES: Final = b"M"  # and the memory files for an answer
SPENT: Final = b"S"  # a reader is about to be asked that few messages need (native.py)

CONTROL: Final = 3  # the nursery's descriptor of the control socket
# Where the record begins, and its length, both in bytes; whether the parse worker would take another job.
LOCATION: Final = struct.Struct("!QQB")
MAX_DATAGRAM: Final = 4096
# A message of so many bytes at most goes with its job, and so long may an answer be that comes in one piece: copying them
# costs less than a file would.
MAX_INLINE: Final = 32 * 1024
MAX_WHOLE: Final = 64 * 1024
# A record of 5000 leaves with long names and 1 MiB of text comes to about 8 MB. Reading 16 MiB holds up a milter worker
# for half a second at worst.
MAX_RECORD: Final = 16 * 1024 * 1024
# From this size on clamd gets a descriptor of its own (it maps the content); below, the bytes cost less.
GREAT: Final = 1024 * 1024
# The greatest contents get one. What is left over shares a file, and is below a sixteenth of what one message holds.
MAX_GREAT: Final = 16
# Making them takes time: a message of less than this (in bytes) gets FEW_GREAT, one of less than FEW_FROM none.
MANY_FROM: Final = 256 * 1024
FEW_GREAT: Final = 2
FEW_FROM: Final = 16 * 1024
# Message, order, the first memory file: of each kind of job, without the files for great contents.
DESCRIPTORS: Final = {ANATOMISE: 2, REWRITE: 3}
MAX_DESCRIPTORS: Final = max(DESCRIPTORS.values()) + MAX_GREAT
# Jobs that one parse worker is given at most.
JOBS: Final = 100
# What a parse worker has left for its answer when the content has used up its share of memory, in bytes.
RESERVE: Final = 64 * 1024 * 1024
_PIECE: Final = 1024 * 1024
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


# What a parse worker has sent: a descriptor of a sealed memory file, or the bytes themselves.
Source: TypeAlias = int | bytes


class Place(Struct, frozen=True, array_like=True):
    """Where a content is: number of the descriptor, offset and length in bytes."""

    descriptor: int
    offset: int
    size: int


class Answer(Struct, frozen=True, kw_only=True):
    """What a job comes to. ``places`` belong to ``anatomy.contents``, or are the one of the rewritten message."""

    anatomy: Anatomy | None = None
    rewritten: Rewritten | None = None
    places: tuple[Place, ...] = ()


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Answer)


def encoded(record: Struct) -> bytes:
    """Return a record as MessagePack. Half characters, which UTF-8 cannot say, become their escapes."""
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:
        return _ENCODER.encode(_said(msgspec.to_builtins(record, builtin_types=(bytes,))))


def _said(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_said(name): _said(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_said(one) for one in value]
    return value


def decoded(record: bytes) -> Answer:
    """Return a parse worker's answer. Raises ScannerAnswerError if it is none."""
    try:
        return _DECODER.decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ScannerAnswerError(f"the parse worker's answer is not one: {error}"[:200]) from error


def memory_file(name: str, room: int | None = None) -> int:
    """Return a new memory file; with ``room`` it has that many bytes (none of them there yet) and never gets more.

    Raises OSError.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    if room is not None:
        os.ftruncate(descriptor, room)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    return descriptor


def written(descriptor: int, data: bytes) -> None:
    """Append all of ``data``. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view[:_PIECE]) :]


def seal(descriptor: int) -> None:
    """Make a memory file's content final, for whoever holds it."""
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)


def sealed_size(descriptor: int) -> int:
    """Return the size of a sealed memory file. Raises ScannerAnswerError for any other descriptor."""
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        seals = 0
    status = os.fstat(descriptor)
    if seals & _SEALS != _SEALS or not stat.S_ISREG(status.st_mode):
        raise ScannerAnswerError("the parse worker sent a descriptor that is no sealed memory file")
    return status.st_size


def size_of(source: Source) -> int:
    """Return how many bytes a parse worker has sent in one piece. Raises ScannerAnswerError where they can still change."""
    return len(source) if isinstance(source, bytes) else sealed_size(source)


def part_of(source: Source, offset: int, size: int) -> bytes:
    """Return ``size`` bytes from ``offset``, fewer only where there are no more."""
    return source[offset : offset + size] if isinstance(source, bytes) else read_at(source, offset, size)


def let_go(sources: Iterable[Source]) -> None:
    """Close those that are descriptors."""
    for one in sources:
        if isinstance(one, int):
            os.close(one)


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Return ``size`` bytes from ``offset``, fewer only where the file ends before."""
    data = os.pread(descriptor, size, offset)
    if len(data) == size or not data:
        return data
    pieces = [data]
    have = len(data)
    while have < size and (data := os.pread(descriptor, size - have, offset + have)):
        pieces.append(data)
        have += len(data)
    return b"".join(pieces)


def reopened(descriptor: int) -> int:
    """Return a new descriptor of the same file that can only read, its position at the start. Raises OSError.

    A dup(2) would share position and the right to write: what reads hostile bytes must not change what the
    virus engine reads at the same time.
    """
    return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)

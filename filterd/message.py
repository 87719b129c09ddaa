"""What stages may see of a message: its envelope, and its bytes in one file descriptor.

The attack it stops: a message that fills memory. Headers and body are spooled as they come, in memory up to a
bound, then in an unlinked file; what exceeds the size limit, or finds no room, is counted and not kept.

A header's value comes as a NUL-terminated string (SMFIC_HEADER), so a NUL that a sender put into one, and what
stood behind it in that header, cannot be told here: the MTA has cut it off.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

_PIECE: Final = 64 * 1024
# What is at least so long is written by itself: gathering it would be a copy for nothing.
_LONG: Final = 16 * 1024


class Envelope(Struct, kw_only=True):
    """What SMTP said about one message. All bytes are the peer's, as they came.

    ``sender_parameters`` stood behind MAIL's address, ``parameters`` behind those of RCPT (the first of an address).
    """

    client_name: bytes = b""
    client_address: bytes = b""
    helo: bytes = b""
    sender: bytes = b""
    sender_parameters: tuple[bytes, ...] = ()
    recipients: list[bytes] = []
    parameters: dict[bytes, tuple[bytes, ...]] = {}
    queue_id: bytes | None = None  # macro i
    host: bytes | None = None  # macro j
    user: bytes | None = None  # macro auth_authen


class Spool:
    """Bytes that are written once and then read by descriptor. Close it: nothing of it stays.

    ``memory`` bytes stay in a memfd; a greater content moves to an unlinked file in ``directory``. The first
    time that there is no room OSError is raised and the spool is ``closed``: later bytes are only counted.
    """

    def __init__(self, directory: str, memory: int) -> None:
        self._directory = directory
        self._memory = memory
        self._pending = bytearray()
        self._in_memory = True
        self.size = 0
        self._fd = _memory_file()

    @property
    def closed(self) -> bool:
        """Whether the content is gone."""
        return self._fd < 0

    def write(self, data: bytes) -> None:
        """Append ``data``; small pieces are gathered first, as a header is far smaller than a system call."""
        self.size += len(data)
        if self.closed:
            return
        if len(data) >= _LONG:
            self._flush(data)
            return
        self._pending += data
        if len(self._pending) >= _PIECE:
            self._flush()

    def _flush(self, more: bytes = b"") -> None:
        """Write what was gathered, and ``more`` behind it. Raises OSError."""
        gathered, self._pending = self._pending, bytearray()
        try:
            if self._in_memory and self.size > self._memory:
                self._to_file()
            for data in (gathered, more):
                view = memoryview(data)
                while view:
                    view = view[os.write(self._fd, view) :]
        except OSError:
            self.close()
            raise

    def _to_file(self) -> None:
        target = self._unlinked_file()
        try:
            offset = 0
            while data := os.pread(self._fd, _PIECE, offset):
                offset += os.write(target, data)
        except OSError:
            os.close(target)
            raise
        os.close(self._fd)
        self._fd, self._in_memory = target, False

    def _unlinked_file(self) -> int:
        return os.open(self._directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def descriptor(self) -> int:
        """Return the descriptor, with all bytes behind it. It stays owned by this object."""
        if self._pending:
            self._flush()
        return self._fd

    def blank(self) -> int:
        """Return a new empty descriptor of the same kind as the content's. The caller closes it."""
        return _memory_file() if self._in_memory else self._unlinked_file()

    def pieces(self, limit: int | None = None) -> Iterator[bytes]:
        """Return the content from its start, at most ``limit`` bytes, in pieces of 64 KiB."""
        fd, offset = self.descriptor(), 0
        end = self.size if limit is None else min(limit, self.size)
        while offset < end and (data := os.pread(fd, min(_PIECE, end - offset), offset)):
            offset += len(data)
            yield data

    def close(self) -> None:
        """Give memory and descriptor back; a second call does nothing."""
        self._pending.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _memory_file() -> int:
    return os.memfd_create("message", os.MFD_CLOEXEC)


class Message:
    """One message as the MTA handed it over: header lines exactly as they were, CRLF line ends.

    ``exact`` is False when the MTA could not promise the blank behind a header's colon (no
    SMFIP_HDR_LEADSPC). ``oversize`` tells that ``max_bytes`` were exceeded and the rest was not kept, ``lost``
    that there was no room for it. ``longest_header`` and ``size_of_headers`` are in bytes, names included.
    """

    def __init__(self, envelope: Envelope, spool: Spool, *, max_bytes: int, exact: bool = True) -> None:
        self.envelope = envelope
        self.spool = spool
        self.exact = exact
        self.size = 0
        self.longest_header = 0
        self.size_of_headers = 0
        self.started = time.monotonic()
        self._max_bytes = max_bytes
        self._digest: bytes | None = None

    @property
    def oversize(self) -> bool:
        """Whether the message is larger than may be scanned."""
        return self.size > self._max_bytes

    @property
    def lost(self) -> bool:
        """Whether the content could not be kept."""
        return self.spool.closed

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        if not self.oversize:
            self.spool.write(data)

    def add_header(self, name: bytes, value: bytes) -> None:
        """Append one header; the MTA gives folds as bare line feeds."""
        folded = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if b"\n" in value else value
        line = name + (b":" if self.exact else b": ") + folded + b"\r\n"
        self.longest_header = max(self.longest_header, len(line))
        self.size_of_headers += len(line)
        self._take(line)

    def end_headers(self) -> None:
        """Append the empty line behind the headers."""
        self._take(b"\r\n")

    def add_body(self, content: bytes) -> None:
        """Append a piece of the body as it is."""
        self._take(content)

    def digest(self) -> bytes:
        """Return the SHA-256 of the content; it is worked out once."""
        if self._digest is None:
            found = hashlib.sha256()
            for piece in self.spool.pieces():
                found.update(piece)
            self._digest = found.digest()
        return self._digest

    def complete(self) -> None:
        """Put all of it behind the spool's descriptor. Raises OSError when there is no room."""
        self.spool.descriptor()

    def close(self) -> None:
        """Let the content go."""
        self.spool.close()

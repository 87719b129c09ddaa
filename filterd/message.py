"""What stages may see of a message: its envelope, and its bytes in one file descriptor.

The attack it stops: a message that fills memory. Headers and body are spooled as they come, in memory up to a
bound, then in an unlinked file; what exceeds the size limit is counted and not kept.
"""

import os
import time
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

_PIECE: Final = 64 * 1024


class Envelope(Struct, kw_only=True):
    """What SMTP said about one message. All bytes are the peer's, as they came."""

    client_name: bytes = b""
    client_address: bytes = b""
    helo: bytes = b""
    sender: bytes = b""
    recipients: list[bytes] = []
    queue_id: bytes | None = None  # macro i
    host: bytes | None = None  # macro j
    user: bytes | None = None  # macro auth_authen


class Spool:
    """Bytes that are written once and then read by descriptor. Close it: nothing of it stays.

    ``memory`` bytes stay in a memfd; a greater content moves to an unlinked file in ``directory``.
    Raises OSError when there is no room.
    """

    def __init__(self, directory: str, memory: int) -> None:
        self._directory = directory
        self._memory = memory
        self._pending = bytearray()
        self._in_memory = True
        self.size = 0
        self._fd = os.memfd_create("message", os.MFD_CLOEXEC)

    def write(self, data: bytes) -> None:
        """Append ``data``; small pieces are gathered first, as a header is far smaller than a system call."""
        self.size += len(data)
        self._pending += data
        if len(self._pending) >= _PIECE:
            self._flush()

    def _flush(self) -> None:
        if self._in_memory and self.size > self._memory:
            self._to_file()
        view = memoryview(bytes(self._pending))
        self._pending.clear()
        while view:
            view = view[os.write(self._fd, view) :]

    def _to_file(self) -> None:
        target = os.open(self._directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        source, self._fd, self._in_memory = self._fd, target, False
        offset = 0
        while data := os.pread(source, _PIECE, offset):
            offset += os.write(target, data)
        os.close(source)

    def descriptor(self) -> int:
        """Return the descriptor, with all bytes behind it. It stays owned by this object."""
        if self._pending:
            self._flush()
        return self._fd

    def pieces(self, limit: int | None = None) -> Iterator[bytes]:
        """Return the content from its start, at most ``limit`` bytes, in pieces of 64 KiB."""
        fd, offset = self.descriptor(), 0
        end = self.size if limit is None else min(limit, self.size)
        while offset < end and (data := os.pread(fd, min(_PIECE, end - offset), offset)):
            offset += len(data)
            yield data

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Message:
    """One message as the MTA handed it over: header lines exactly as they were, CRLF line ends.

    ``exact`` is False when the MTA could not promise the blank behind a header's colon (no
    SMFIP_HDR_LEADSPC). ``oversize`` tells that ``max_bytes`` were exceeded and the rest was not kept.
    """

    def __init__(self, envelope: Envelope, spool: Spool, *, max_bytes: int, exact: bool = True) -> None:
        self.envelope = envelope
        self.spool = spool
        self.exact = exact
        self.size = 0
        self.started = time.monotonic()
        self._max_bytes = max_bytes

    @property
    def oversize(self) -> bool:
        """Whether the message is larger than may be scanned."""
        return self.size > self._max_bytes

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        if not self.oversize:
            self.spool.write(data)

    def add_header(self, name: bytes, value: bytes) -> None:
        """Append one header; the MTA gives folds as bare line feeds."""
        folded = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if b"\n" in value else value
        self._take(name + (b":" if self.exact else b": ") + folded + b"\r\n")

    def end_headers(self) -> None:
        """Append the empty line behind the headers."""
        self._take(b"\r\n")

    def add_body(self, content: bytes) -> None:
        """Append a piece of the body as it is."""
        self._take(content)

    def close(self) -> None:
        """Let the content go."""
        self.spool.close()

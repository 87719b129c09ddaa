"""Frames: a 32-bit length in network order, one command byte, the payload. The length counts both."""

import struct
from collections.abc import Mapping
from typing import Final

from filterd.errors import ProtocolError

LENGTH: Final = struct.Struct("!I")
_HEAD: Final = struct.Struct("!IB")
HEAD: Final = _HEAD.size

# The largest frame that an MTA may be told to send (SMFIP_MDS_1M); Postfix sends a header of up to
# header_size_limit (102400 bytes) in one frame, so the classic 65535 would be too small.
MAX_PAYLOAD: Final = 1024 * 1024

# What may lie unread beside one whole frame: a few reads of a stream transport.
UNREAD_SLACK: Final = 1024 * 1024


def frame(code: int, payload: bytes = b"") -> bytes:
    """Return one frame with command or reply byte ``code``."""
    return LENGTH.pack(len(payload) + 1) + bytes((code,)) + payload


class FrameReader:
    """Cuts a byte stream into frames; holds at most one frame and ``UNREAD_SLACK`` bytes.

    ``longest`` maps each known command byte to the longest payload it may carry.
    """

    __slots__ = ("_buffer", "_longest", "_start")

    def __init__(self, longest: Mapping[int, int]) -> None:
        self._buffer = bytearray()
        self._start = 0
        self._longest = longest

    def __len__(self) -> int:
        """Return the number of bytes that are held and not yet given out."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer. Raises ProtocolError when more is piled up than is ever needed."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        if len(self._buffer) + len(data) > HEAD + MAX_PAYLOAD + UNREAD_SLACK:
            raise ProtocolError("the MTA sends on without waiting for replies")
        self._buffer += data

    def next_frame(self) -> tuple[int, bytes] | None:
        """Return the next command byte and payload, or None when bytes are missing.

        Length and command are judged as soon as they are seen, before their payload is waited for.
        Raises ProtocolError for a length or a command that is not allowed.
        """
        buffer, start = self._buffer, self._start
        if len(buffer) - start < HEAD:
            if len(buffer) - start == LENGTH.size:
                _check_length(*LENGTH.unpack_from(buffer, start))
            return None
        length, code = _HEAD.unpack_from(buffer, start)
        if not 1 <= length <= self._longest.get(code, -1) + 1:
            self._check(length, code)
        end = start + LENGTH.size + length
        if len(buffer) < end:
            return None
        payload = bytes(memoryview(buffer)[start + HEAD : end])
        self._start = end
        return code, payload

    def _check(self, length: int, code: int) -> None:
        """Say what is wrong with the head of a frame, if anything is. Raises ProtocolError."""
        _check_length(length)
        limit = self._longest.get(code)
        if limit is None:
            raise ProtocolError(f"there is no command {code:#04x}")
        if length - 1 > limit:
            raise ProtocolError(f"command {chr(code)} carries {length - 1} bytes; {limit} are allowed")


def _check_length(length: int) -> None:
    if not 1 <= length <= MAX_PAYLOAD + 1:
        raise ProtocolError(f"a frame of {length} bytes is announced; 1 to {MAX_PAYLOAD + 1} are allowed")

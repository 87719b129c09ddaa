"""The MTA's side of the protocol, without I/O: for the live check, for tests and for benchmarks.

It sends what it is told, right or wrong: a badly behaved MTA is made of the same functions.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from filterd.errors import ProtocolError

from . import commands as c
from .frames import MAX_PAYLOAD, FrameReader, frame
from .negotiation import NEWEST

_OPTIONS: Final = struct.Struct("!III")
_PORT: Final = struct.Struct("!H")
ALL_ACTIONS: Final = 0x1FF
ALL_STEPS: Final = 0x1FFFFF

_FINAL: Final = frozenset(b"acdrtyf4s")
_REPLY_LIMITS: Final = dict.fromkeys(b"Oacdrtyf4sp+-2behimq", MAX_PAYLOAD)


class Answer(Struct, frozen=True):
    """One reply frame of a filter: its byte (as bytes) and its payload."""

    code: bytes
    payload: bytes

    @property
    def final(self) -> bool:
        """Whether the filter's turn is over with this reply."""
        return self.code[0] in _FINAL


class Replies:
    """Cuts a filter's bytes into answers."""

    def __init__(self) -> None:
        self._reader = FrameReader(_REPLY_LIMITS)

    def receive(self, data: bytes) -> None:
        """Take bytes from the filter."""
        self._reader.feed(data)

    def next_answer(self) -> Answer | None:
        """Return the next answer, or None when bytes are missing. Raises ProtocolError for an unknown one."""
        got = self._reader.next_frame()
        return None if got is None else Answer(bytes((got[0],)), got[1])


def agreed(answer: Answer) -> tuple[int, int, int]:
    """Return version, actions and steps of a filter's answer to an offer."""
    if answer.code != b"O" or len(answer.payload) < _OPTIONS.size:
        raise ProtocolError("the filter did not answer the offer")
    version, actions, steps = _OPTIONS.unpack_from(answer.payload)
    return version, actions, steps


def offer(version: int = NEWEST, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> bytes:
    """Return SMFIC_OPTNEG."""
    return frame(c.Offer.code, _OPTIONS.pack(version, actions, steps))


def macros(about: type[c.Command], values: Mapping[bytes, bytes]) -> bytes:
    """Return SMFIC_MACRO for a command."""
    return frame(
        c.Macros.code, bytes((about.code,)) + _joined(part for pair in values.items() for part in pair)
    )


def connect(hostname: bytes, address: bytes, port: int = 0, family: bytes = b"4") -> bytes:
    """Return SMFIC_CONNECT."""
    tail = b"" if family == b"U" else _PORT.pack(port) + address + b"\0"
    return frame(c.Connect.code, hostname + b"\0" + family + tail)


def _joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(part + b"\0" for part in parts)


def strings(kind: type[c.Command], *parts: bytes) -> bytes:
    """Return a command of NUL-terminated strings: Helo, Mail, Rcpt, Header, Unknown."""
    return frame(kind.code, _joined(parts))


def plain(kind: type[c.Command], content: bytes = b"") -> bytes:
    """Return a command of raw content or of none: Data, EndOfHeaders, Body, EndOfMessage, Abort, Quit."""
    return frame(kind.code, content)

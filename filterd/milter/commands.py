"""What an MTA may say: a class a command. ``parse`` takes a payload and raises ProtocolError if it is malformed."""

import struct
from collections.abc import Mapping
from typing import ClassVar, Final, Self

from msgspec import Struct

from filterd.errors import ProtocolError

from .frames import MAX_PAYLOAD

_OPTIONS: Final = struct.Struct("!III")
_PORT: Final = struct.Struct("!H")

# An SMTP command line is at most 2048 bytes in Postfix (line_length_limit) and Sendmail; a few ESMTP
# parameters and some air make 16 KiB.
_LINE: Final = 16 * 1024
# Macros carry certificate subjects and issuers beside short facts.
_MACROS: Final = 64 * 1024
_MAX_MACRO_STRINGS: Final = 256


def _strings(payload: bytes, what: str) -> list[bytes]:
    """Split a row of NUL-terminated strings."""
    if not payload.endswith(b"\0"):
        raise ProtocolError(f"{what} is not ended by NUL")
    return payload[:-1].split(b"\0")


class Command(Struct, frozen=True):
    """Base of the commands. ``code`` is the command byte, ``longest`` the largest payload in bytes."""

    code: ClassVar[int]
    longest: ClassVar[int] = 0

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Return the command of a payload; here: of the empty one."""
        if payload:
            raise ProtocolError(f"{cls.__name__} carries a payload")
        return cls()


class Offer(Command, frozen=True):
    """SMFIC_OPTNEG: the MTA's protocol version, the actions it allows, the protocol steps it can vary."""

    code = ord("O")
    longest = 4096
    version: int
    actions: int
    steps: int

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Return the offer; bytes behind the three numbers are left for later versions."""
        if len(payload) < _OPTIONS.size:
            raise ProtocolError("the option offer is too short")
        return cls(*_OPTIONS.unpack_from(payload))


class Macros(Command, frozen=True):
    """SMFIC_MACRO: facts that belong to command ``about``; names come without their braces."""

    code = ord("D")
    longest = _MACROS
    about: int
    values: Mapping[bytes, bytes]

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Return the macros; an odd number of strings is an error."""
        if not payload:
            raise ProtocolError("macros name no command")
        parts = _strings(payload[1:], "a macro") if len(payload) > 1 else []
        if len(parts) % 2 or len(parts) > _MAX_MACRO_STRINGS:
            raise ProtocolError(f"{len(parts)} macro strings are not pairs, or too many")
        names = (name[1:-1] if name[:1] == b"{" and name[-1:] == b"}" else name for name in parts[::2])
        return cls(payload[0], dict(zip(names, parts[1::2], strict=True)))


class Connect(Command, frozen=True):
    """SMFIC_CONNECT: the client. ``family`` is b"4", b"6", b"L" (unix) or b"U" (unknown: no address)."""

    code = ord("C")
    longest = 4096
    hostname: bytes
    family: bytes
    port: int = 0
    address: bytes = b""

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Return the client. Sendmail writes ``IPv6:`` before such an address: it is taken off."""
        hostname, nul, rest = payload.partition(b"\0")
        family, rest = rest[:1], rest[1:]
        if not nul or family not in (b"4", b"6", b"L", b"U") or not family:
            raise ProtocolError("the client is given without name or family")
        if family == b"U":
            if rest:
                raise ProtocolError("a client of unknown family has an address")
            return cls(hostname, family)
        if len(rest) < _PORT.size:
            raise ProtocolError("the client's address is too short")
        (port,) = _PORT.unpack_from(rest)
        parts = _strings(rest[_PORT.size :], "the client's address")
        if len(parts) != 1:
            raise ProtocolError("the client has several addresses")
        return cls(hostname, family, port, parts[0].removeprefix(b"IPv6:"))


class _OneString(Command, frozen=True):
    """A command of exactly one string."""

    longest = _LINE
    text: bytes

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Return the command; a second string is an error."""
        parts = _strings(payload, cls.__name__)
        if len(parts) != 1:
            raise ProtocolError(f"{cls.__name__} has {len(parts)} strings; 1 is allowed")
        return cls(parts[0])


class Helo(_OneString, frozen=True):
    """SMFIC_HELO: the name in HELO or EHLO."""

    code = ord("H")


class Unknown(_OneString, frozen=True):
    """SMFIC_UNKNOWN: an SMTP command that the MTA does not know."""

    code = ord("U")


class _Path(Command, frozen=True):
    """A command of an address (with its angle brackets, as sent) and ESMTP parameters."""

    longest = _LINE
    address: bytes
    parameters: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Return the address and its parameters."""
        address, *parameters = _strings(payload, cls.__name__)
        return cls(address, tuple(parameters))


class Mail(_Path, frozen=True):
    """SMFIC_MAIL: the sender."""

    code = ord("M")


class Rcpt(_Path, frozen=True):
    """SMFIC_RCPT: one recipient."""

    code = ord("R")


class Data(Command, frozen=True):
    """SMFIC_DATA: the client said DATA."""

    code = ord("T")


class Header(Command, frozen=True):
    """SMFIC_HEADER: one header; folds are line feeds in ``value``."""

    code = ord("L")
    longest = MAX_PAYLOAD
    name: bytes
    value: bytes

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Return name and value; both must be there, the value may be empty."""
        match _strings(payload, "a header"):
            case [name, value] if name:
                return cls(name, value)
            case _:
                raise ProtocolError("a header is not one name and one value")


class EndOfHeaders(Command, frozen=True):
    """SMFIC_EOH: the empty line behind the headers."""

    code = ord("N")


class _Bytes(Command, frozen=True):
    """A command whose payload is content."""

    longest = MAX_PAYLOAD
    content: bytes

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Return the content as it is."""
        return cls(payload)


class Body(_Bytes, frozen=True):
    """SMFIC_BODY: a piece of the body."""

    code = ord("B")


class EndOfMessage(_Bytes, frozen=True):
    """SMFIC_BODYEOB: the end of the message, perhaps with a last piece of the body."""

    code = ord("E")


class Abort(Command, frozen=True):
    """SMFIC_ABORT: this message will not be finished; the connection stays."""

    code = ord("A")


class Quit(Command, frozen=True):
    """SMFIC_QUIT: the MTA closes this connection."""

    code = ord("Q")


class QuitNewConnection(Command, frozen=True):
    """SMFIC_QUIT_NC: the SMTP client is gone; the next one follows on the same connection."""

    code = ord("K")


COMMANDS: Final[Mapping[int, type[Command]]] = {
    command.code: command
    for command in (
        Offer, Macros, Connect, Helo, Mail, Rcpt, Data, Header, EndOfHeaders, Body, EndOfMessage,
        Abort, Quit, QuitNewConnection, Unknown,
    )
}  # fmt: skip

LONGEST: Final[Mapping[int, int]] = {code: command.longest for code, command in COMMANDS.items()}

"""The first bytes of TLS: a ClientHello of any version and suites, and what a server answers to it. No I/O of its own.

RFC 5246 (TLS 1.2), RFC 8446 (1.3), RFC 6101 (SSL 3.0).
"""

import os
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

VERSIONS: Final = {
    "SSL 3.0": 0x0300,
    "TLS 1.0": 0x0301,
    "TLS 1.1": 0x0302,
    "TLS 1.2": 0x0303,
    "TLS 1.3": 0x0304,
}
_NAME: Final = {number: name for name, number in VERSIONS.items()}
_ALERT, _HANDSHAKE = 21, 22
_SERVER_HELLO, _CERTIFICATE, _CERTIFICATE_REQUEST, _SERVER_HELLO_DONE = 2, 11, 13, 14
# RFC 5246 6.2.1: a record's content has 2^14 bytes at most, and some more when it is protected.
_MOST_RECORD: Final = (1 << 14) + 2048
# The longest honest flight is a chain of a few certificates.
_MOST_FLIGHT: Final = 256 * 1024
# RFC 5746 3.2 and 3.3
_RENEGOTIATION_INFO: Final = 0xFF01
_SIGNALS_RENEGOTIATION: Final = 0x00FF

# By the registry of IANA. `all`: what servers of any age have one of.
SUITES: Final[dict[str, tuple[int, ...]]] = {
    "null": (0x0001, 0x0002, 0x003B, 0xC001, 0xC006, 0xC00B, 0xC010, 0xC015),
    "export": (0x0003, 0x0006, 0x0008, 0x000B, 0x000E, 0x0011, 0x0014, 0x0017, 0x0019),
    "rc4": (0x0004, 0x0005, 0x0018, 0xC002, 0xC007, 0xC00C, 0xC011, 0xC016),
    "des": (0x0009, 0x000C, 0x000F, 0x0012, 0x0015, 0x001A),
    "3des": (0x000A, 0x000D, 0x0010, 0x0013, 0x0016, 0x001B, 0xC003, 0xC008, 0xC00D, 0xC012, 0xC017),
    "anonymous": (0x0034, 0x003A, 0x006C, 0x006D, 0x00A6, 0x00A7, 0xC018, 0xC019),
    "static-rsa": (0x002F, 0x0035, 0x003C, 0x003D, 0x009C, 0x009D, 0x0041, 0x0084),
    "idea-seed": (0x0007, 0x0096, 0x0099, 0x009A),
    "all": (
        *(0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0x009E, 0x009F, 0xCCAA),
        *(0xC023, 0xC027, 0xC009, 0xC013, 0xC00A, 0xC014, 0x0067, 0x006B, 0x0033, 0x0039),
        *(0x009C, 0x009D, 0x003C, 0x003D, 0x002F, 0x0035, 0x000A, 0xC008, 0xC012, 0x0016, 0x0004, 0x0005),
    ),
}
_SUITES_OF_13: Final = (0x1301, 0x1302, 0x1303)
_GROUPS: Final = (0x001D, 0x0017, 0x0018, 0x0019, 0x0100)
# ECDSA, RSA-PSS, EdDSA and RSA with SHA-2, then with SHA-1, which old servers have alone.
_SIGNATURES: Final = (
    *(0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201, 0x0202),
)

Read = Callable[[int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said to a ClientHello; below TLS 1.3 with all of its flight, which is not encrypted."""

    version: str
    suite: int
    compresses: bool = False
    binds_renegotiation: bool = False
    certificate: bytes = b""
    asks_for_certificate: bool = False


def client_hello(version: str, suites: tuple[int, ...], hostname: str, *, compression: bool = False) -> bytes:
    """Return the record of a ClientHello that offers one version and these suites; SSL 3.0 knows no extensions."""
    number = VERSIONS[version]
    modern = number == VERSIONS["TLS 1.3"]
    offered = _SUITES_OF_13 if modern else (*suites, _SIGNALS_RENEGOTIATION)
    methods = b"\x01\x00" if compression else b"\x00"  # 1: DEFLATE (RFC 3749)
    body = struct.pack("!H", min(number, VERSIONS["TLS 1.2"])) + os.urandom(32)
    body += _vector(1, os.urandom(32) if modern else b"")
    body += _vector(2, _numbers(offered)) + _vector(1, methods)
    if number > VERSIONS["SSL 3.0"]:
        body += _vector(2, b"".join(_extensions(number, hostname)))
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    # The record of a first hello may name 1.0 whatever it offers (RFC 8446 5.1).
    return struct.pack("!BHH", _HANDSHAKE, min(number, VERSIONS["TLS 1.0"]), len(message)) + message


def _extensions(number: int, hostname: str) -> list[bytes]:
    found = [
        _extension(0, _vector(2, b"\x00" + _vector(2, hostname.encode()))),
        _extension(10, _vector(2, _numbers(_GROUPS))),
        _extension(11, _vector(1, b"\x00")),
    ]
    if number >= VERSIONS["TLS 1.2"]:
        found.append(_extension(13, _vector(2, _numbers(_SIGNATURES))))
    if number == VERSIONS["TLS 1.3"]:
        found.append(_extension(43, _vector(1, struct.pack("!H", number))))
        # Any 32 bytes are a public value of X25519 (RFC 7748 5).
        found.append(_extension(51, _vector(2, struct.pack("!H", _GROUPS[0]) + _vector(2, os.urandom(32)))))
    return found


def _vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def _numbers(numbers: tuple[int, ...]) -> bytes:
    return struct.pack(f"!{len(numbers)}H", *numbers)


def _extension(kind: int, content: bytes) -> bytes:
    return struct.pack("!H", kind) + _vector(2, content)


async def read_answer(read: Read) -> Answer | None:
    """Return what the server answers, read by ``read(n)`` of exactly n bytes; None for an alert or an end.

    ``read`` raises EOFError or OSError where the connection ends.
    """
    pending = b""
    found: Answer | None = None
    seen = 0
    while seen < _MOST_FLIGHT:
        try:
            kind, _, length = struct.unpack("!BHH", await read(5))
            content = await read(min(length, _MOST_RECORD))
        except (EOFError, OSError):
            return found
        seen += length
        if kind != _HANDSHAKE or length > _MOST_RECORD:
            return found
        pending += content
        while len(pending) >= 4 and len(pending) >= 4 + (size := int.from_bytes(pending[1:4], "big")):  # noqa: PLR2004 - a message's head
            message, body, pending = pending[0], pending[4 : 4 + size], pending[4 + size :]
            try:
                found = _understood(found, message, body)
            except (IndexError, struct.error):
                return None
            # What follows in TLS 1.3 is encrypted.
            if found is None or found.version == "TLS 1.3" or message == _SERVER_HELLO_DONE:
                return found
    return found


def _understood(found: Answer | None, message: int, body: bytes) -> Answer | None:
    """Return what is known after one more handshake message."""
    if message == _SERVER_HELLO:
        return _server_hello(body)
    if found is None:
        return None
    if message == _CERTIFICATE:
        # A list of certificates, each behind its length; the first is the server's own (RFC 5246 7.4.2).
        size = int.from_bytes(body[3:6], "big")
        return replace(found, certificate=body[6 : 6 + size])
    if message == _CERTIFICATE_REQUEST:
        return replace(found, asks_for_certificate=True)
    return found


def _server_hello(body: bytes) -> Answer:
    """Take a ServerHello apart (RFC 5246 7.4.1.3)."""
    (number,) = struct.unpack_from("!H", body)
    at = 34 + 1 + body[34]
    suite, compression = struct.unpack_from("!HB", body, at)
    extensions = _read_extensions(body[at + 5 :])
    if len(chosen := extensions.get(43, b"")) == 2:  # noqa: PLR2004 - a version number
        (number,) = struct.unpack("!H", chosen)
    return Answer(
        version=_NAME.get(number, f"version {number:#06x}"),
        suite=suite,
        compresses=compression != 0,
        binds_renegotiation=_RENEGOTIATION_INFO in extensions,
    )


def _read_extensions(content: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(content):
        kind, size = struct.unpack_from("!HH", content, at)
        found[kind] = content[at + 4 : at + 4 + size]
        at += 4 + size
    return found

"""Damages bytes as transport errors and attackers do: a few changes each, at places that mean something."""

import random
from collections.abc import Callable, Sequence
from typing import Final

_NUMBERS: Final = tuple(
    value.to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for value in (0, 1, (1 << 8 * size) - 1, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1)
    for order in ("little", "big")
)  # fmt: skip
_TEXTS: Final = (
    b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n", b"--", b"\r\n--=_part\r\n", b"\r\n--=_part--\r\n", b"=", b'"', b";", b"(",
    b"Content-Type: multipart/mixed; boundary=\r\n", b"Content-Type: message/rfc822\r\n", b"=?utf-8?B?", b"?=", b"*0*=",
    b"Content-Transfer-Encoding: base64\r\n", b"begin 644 a\r\n", b"=ybegin line=128 size=9 name=a\r\n", b"\x80\xff", b"{",
    b"PK\3\4", b"PK\1\2", b"PK\5\6", b"Rar!\x1a\x07\0", b"7z\xbc\xaf\x27\x1c", b"%PDF-", b"\xd0\xcf\x11\xe0", b"\x1f\x8b\x08",
    b"<script>", b"data:;base64,", b"<!--", b"&#", b"\xef\xbb\xbf", b"\xff\xfe", b"{\\rtf1", b"\xe2\x80\xae",
)  # fmt: skip
_MOST: Final = 256 * 1024  # cases do not grow beyond this


def _place(data: bytearray, rng: random.Random) -> int:
    return rng.randrange(len(data) + 1)


def _flip(data: bytearray, rng: random.Random, _: bytes) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: random.Random, _: bytes) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _number(data: bytearray, rng: random.Random, _: bytes) -> None:
    value, place = rng.choice(_NUMBERS), _place(data, rng)
    data[place : place + len(value)] = value


def _cut(data: bytearray, rng: random.Random, _: bytes) -> None:
    place = _place(data, rng)
    del data[place : place + rng.choice((1, 2, 8, 64, 1024))]


def _end(data: bytearray, rng: random.Random, _: bytes) -> None:
    del data[_place(data, rng) :]


def _double(data: bytearray, rng: random.Random, _: bytes) -> None:
    place = _place(data, rng)
    piece = data[place : place + rng.choice((1, 16, 256, 4096))]
    data[place:place] = piece * min(rng.choice((1, 2, 50)), _MOST // (len(piece) + 1))


def _noise(data: bytearray, rng: random.Random, _: bytes) -> None:
    place = _place(data, rng)
    data[place:place] = rng.randbytes(rng.choice((1, 4, 40)))


def _text(data: bytearray, rng: random.Random, _: bytes) -> None:
    place = _place(data, rng)
    data[place:place] = rng.choice(_TEXTS) * rng.choice((1, 1, 1, 100))


def _line(data: bytearray, rng: random.Random, _: bytes) -> None:
    """Move or double a line."""
    lines = data.split(b"\n")
    line = rng.choice(lines)
    lines.insert(rng.randrange(len(lines) + 1), line)
    data[:] = b"\n".join(lines)


def _splice(data: bytearray, rng: random.Random, other: bytes) -> None:
    start = rng.randrange(len(other) + 1)
    place = _place(data, rng)
    data[place : place + rng.choice((0, 0, 100))] = other[start : start + rng.choice((20, 300, 5000))]


_WAYS: Final[tuple[Callable[[bytearray, random.Random, bytes], None], ...]] = (
    _flip,
    _set,
    _number,
    _cut,
    _end,
    _double,
    _noise,
    _text,
    _line,
    _splice,
)


def mutated(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Return ``data`` with one to eight changes, some of them pieces of ``others``."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        rng.choice(_WAYS)(out, rng, rng.choice(others))
    return bytes(out[:_MOST])

"""Bytes under a simple cipher, recovered by what dangerous files begin with: no key need be named anywhere.

A page that builds a file in the browser need only change each byte in some way that no scanner knows. But the start of
a program, archive or document is known, and the difference to it is the key: one for all bytes, or one that grows with
the place. Only the start is compared, so what is nothing costs next to nothing.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from .kinds import kind_of

_BYTE: Final = 0xFF
_NO_KIND: Final = frozenset({"empty", "unknown", "text"})
_STRONG: Final = 4  # bytes of a start that is no accident, whatever the key
_SURE: Final = 6  # bytes that need no second opinion
_LEAST: Final = 64  # bytes of a file that is known by a shorter start
# How files begin that do harm, or hold what does; text as its authors write it.
STARTS: Final = (
    b"MZ", b"X5O!P%@AP", b"PK\x03\x04", b"%PDF-1.", b"\x7fELF", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"L\0\0\0\x01\x14\x02\0",
    b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"MSCF\0\0\0\0", b"\x1f\x8b\x08", b"BZh91AY&SY", b"\xfd7zXZ\0", b"ITSF\x03\0\0\0",
    b"{\\rtf1", b"\xca\xfe\xba\xbe\0\0\0", b"\xcf\xfa\xed\xfe\x07\0\0\x01", b"dex\n03", b"\xe4\x52\x5c\x7b\x8c\xd8",
    b"MSWIM\0\0\0", b"xar!\0\x1c\0", b"!<arch>\n", b"SZDD\x88\xf0\x27\x33", b"#!/bin/", b"#!/usr/", b"@echo off", b"@ECHO OFF",
    b"powershell", b"Powershell", b"PowerShell", b"cmd /c ", b"<html>", b"<HTML>", b"<!DOCTYPE", b"<!doctype", b"<script",
    b"<?xml ver", b"<svg xmlns", b"function ", b"WScript.", b"On Error", b"Set obj", b"new ActiveX", b"[Internet",
    b"<hta:app", b"Windows Registry",
)  # fmt: skip
# (place, bytes): a few kinds have their mark far from the start.
HEADS: Final = (
    *((0, start) for start in STARTS),
    (257, b"ustar"),
    (32769, b"CD001"),
    (34817, b"CD001"),
    (32769, b"BEA01"),
)
_BY_TWO: Final[dict[bytes, tuple[bytes, ...]]] = {
    two: tuple(start for start in STARTS if start[:2] == two) for two in {start[:2] for start in STARTS}
}

FIRST_TWO: Final = tuple(_BY_TWO)


def _inverse(number: int) -> int:
    return pow(number, -1, 256)


def _odd_pair(head: bytes) -> tuple[int, int, int]:
    """Return two places of ``head`` whose bytes differ by an odd number, and the inverse of that; (0, 0, 0) if none."""
    for other in range(1, len(head)):
        if (head[other] - head[0]) % 2:
            return 0, other, _inverse(head[other] - head[0])
    return 0, 0, 0


_HEADS: Final = tuple((place, head, _odd_pair(head)) for place, head in HEADS)


def starts_like_a_file(data: bytes) -> bool:
    """Return whether bytes begin as a dangerous file does, as they stand."""
    return any(data.startswith(start) for start in _BY_TWO.get(data[:2], ()))


def is_recovered(data: bytes) -> bool:
    """Return whether bytes are a dangerous file: they begin as such a one does, and a short start is borne out."""
    start = next((one for one in _BY_TWO.get(data[:2], ()) if data.startswith(one)), b"")
    if confirm := _CONFIRMED.get(start):
        return len(data) >= _LEAST and confirm(data)
    return len(start) >= _SURE or (len(data) >= _LEAST and kind_of(data) not in _NO_KIND)


def _is_program(data: bytes) -> bool:
    at = int.from_bytes(data[60:64], "little")
    return 4 <= at < 4096 and data[at : at + 2] in {b"PE", b"NE", b"LE"}


_CONFIRMED: Final[dict[bytes, Callable[[bytes], bool]]] = {
    b"MZ": _is_program,
    b"PK\x03\x04": lambda data: 10 <= data[4] <= 63 and not data[5] and data[8] < 100 and not data[9],
    b"\x7fELF": lambda data: data[4] in {1, 2} and data[5] in {1, 2} and data[6] == 1,
    b"\x1f\x8b\x08": lambda data: data[3] < 32 and data[8] in {0, 2, 4},
}


def unmasked(data: bytes) -> Iterator[bytes]:
    """Yield the files that ``data`` is under exclusive or, sums, complements, multiples, rotations or differences.

    The key may be any byte, or grow by any number from place to place. What is a file as it stands is not yielded.
    """
    done: set[bytes] = {data}
    for place, head, pair in (*_near(data[:_STRONG]), *(_FAR if len(data) > _FAR[0][0] else ())):
        seen = data[place : place + len(head)]
        if len(seen) == len(head) and seen != head:
            for make in _solutions(seen, head, place, pair):
                if (plain := make(data)) not in done and (
                    is_recovered(plain) if not place else kind_of(plain) not in _NO_KIND
                ):
                    done.add(plain)
                    yield plain
    for make in _WHOLE:
        if starts_like_a_file(make(data[:32])) and is_recovered(plain := make(data)) and plain not in done:
            done.add(plain)
            yield plain


def _near(seen: bytes) -> Iterator[tuple[int, bytes, tuple[int, int, int]]]:
    """Yield the heads at the start of a file that a simple cipher may make of these four bytes; mostly none."""
    if len(seen) >= 2 and _WEAK_PAIRS[seen[0] << 8 | seen[1]]:
        yield from _WEAK
    if len(seen) >= _STRONG:
        first, second, third, fourth = seen
        steps = ((second - first) & _BYTE, (third - second) & _BYTE, (fourth - third) & _BYTE)
        bends = ((steps[1] - steps[0]) & _BYTE, (steps[2] - steps[1]) & _BYTE)
        low = (first & 15) << 12 | (second & 15) << 8 | (third & 15) << 4 | fourth & 15
        if _LOW_HALVES[low] or bends in _BENDS_BOTH or steps in _MULTIPLES:
            yield from _STRONG_HEADS


def may_be_masked(head: bytes) -> bool:
    """Return whether a key for all bytes makes a file of these first ones; a few in a hundred look like that."""
    if len(head) < _STRONG:
        return False
    first, second, third, fourth = head[:4]
    # A place number that is the key, and that plus one, are the other habits.
    return any(
        one ^ two in _XORS_OF_TWO or (one ^ two, two ^ three, three ^ four) in _XORS
        for one, two, three, four in (
            (first, second, third, fourth),
            (first, second ^ 1, third ^ 2, fourth ^ 3),
            (first ^ 1, second ^ 2, third ^ 3, fourth ^ 4),
        )
    ) or any(
        ((third - 2 * second + first) * sign & _BYTE, (fourth - 2 * third + second) * sign & _BYTE) in _BENDS
        or ((second - first) * sign) & _BYTE in _STEPS_OF_TWO
        for sign in (1, -1)
    )


_STRONG_STARTS: Final = tuple(start for start in STARTS if len(start) >= _STRONG)
_XORS_OF_TWO: Final = frozenset({0x17})  # "MZ"
_STEPS_OF_TWO: Final = frozenset({0x0D})
_XORS: Final = frozenset((one[0] ^ one[1], one[1] ^ one[2], one[2] ^ one[3]) for one in _STRONG_STARTS)
_BENDS: Final = frozenset(
    ((one[2] - 2 * one[1] + one[0]) & _BYTE, (one[3] - 2 * one[2] + one[1]) & _BYTE) for one in _STRONG_STARTS
)


_STRONG_HEADS: Final = tuple(row for row in _HEADS if not row[0] and len(row[1]) >= _STRONG)
_WEAK: Final = tuple(row for row in _HEADS if not row[0] and len(row[1]) < _STRONG)
_FAR: Final = tuple(row for row in _HEADS if row[0])


def _low_halves() -> bytes:
    """Return a flag for each four halves of bytes (the lower ones) that a growing key makes of a strong start."""
    flags = bytearray(1 << 16)
    for _, head, _ in _STRONG_HEADS:
        for key in range(16):
            for step in range(16):
                index = 0
                for at in range(_STRONG):
                    index = index << 4 | (head[at] ^ (key + step * at)) & 15
                flags[index] = 1
    return bytes(flags)


def _weak_pairs() -> bytes:
    """Return a flag for each two bytes that a key makes of a short start, as it stands or growing or falling by one."""
    flags = bytearray(1 << 16)
    for _, head, _ in _WEAK:
        for key in range(256):
            for step in (0, 1, -1):
                first, second = key, key + step
                for pair in (
                    (head[0] ^ first, head[1] ^ second),
                    (head[0] + first, head[1] + second),
                    (first - head[0], second - head[1]),
                ):
                    flags[(pair[0] & _BYTE) << 8 | pair[1] & _BYTE] = 1
    return bytes(flags)


_LOW_HALVES: Final = _low_halves()
_WEAK_PAIRS: Final = _weak_pairs()
_BENDS_BOTH: Final = _BENDS | {(-one & _BYTE, -other & _BYTE) for one, other in _BENDS}
_MULTIPLES: Final = frozenset(
    tuple(factor * (head[at + 1] - head[at]) & _BYTE for at in range(_STRONG - 1))
    for _, head, _ in _STRONG_HEADS
    for factor in range(1, 256, 2)
)


def _solutions(
    seen: bytes, head: bytes, place: int, pair: tuple[int, int, int]
) -> Iterator[Callable[[bytes], bytes]]:
    """Yield what undoes each simple cipher that makes ``seen`` of ``head``."""
    strong = len(head) >= _STRONG
    step = _progression(seen, head, operator.xor)
    if step is not None and (strong or step in {0, 1}):
        yield _xored(((seen[0] ^ head[0]) - step * place) & _BYTE, step)
    step = _progression(seen, head, operator.sub)
    if step is not None and (strong or step in {0, 1, _BYTE}):
        yield _summed((seen[0] - head[0] - step * place) & _BYTE, step, 1)
    step = _progression(seen, head, operator.add)
    if step is not None and (strong or step == 0):
        yield _summed((seen[0] + head[0] - step * place) & _BYTE, step, -1)
    first, other, inverse = pair
    if strong and inverse:
        factor = (seen[other] - seen[first]) * inverse & _BYTE
        shift = (seen[first] - factor * head[first]) & _BYTE
        if factor & 1 and bytes((factor * plain + shift) & _BYTE for plain in head) == seen:
            back = _inverse(factor)
            table = bytes((one - shift) * back & _BYTE for one in range(256))
            yield lambda data: data.translate(table)


def _progression(seen: bytes, head: bytes, key_of: Callable[[int, int], int]) -> int | None:
    """Return by how much a key grows from place to place (0: it does not), or None if it is no such key."""
    first, before = key_of(seen[0], head[0]), key_of(seen[1], head[1])
    step = (before - first) & _BYTE
    for at in range(2, len(head)):
        key = key_of(seen[at], head[at])
        if (key - before - step) & _BYTE:
            return None
        before = key
    return step


def _stream(start: int, step: int, size: int) -> bytes:
    """Return ``size`` bytes of a key that grows: its period is 256 at the most."""
    period = bytes((start + step * at) & _BYTE for at in range(256))
    return (period * (size // 256 + 1))[:size]


def _xored(start: int, step: int) -> Callable[[bytes], bytes]:
    if not step:
        return lambda data: data.translate(bytes(one ^ start for one in range(256)))
    return lambda data: combined(data, _stream(start, step, len(data)))


def _summed(start: int, step: int, sign: int) -> Callable[[bytes], bytes]:
    if not step:
        return lambda data: data.translate(bytes(sign * (one - start) & _BYTE for one in range(256)))
    return lambda data: bytes(
        sign * (one - key) & _BYTE for one, key in zip(data, _stream(start, step, len(data)), strict=True)
    )


def combined(data: bytes, key: bytes) -> bytes:
    """Return the exclusive or of ``data`` and a key that repeats."""
    pad = (key * (len(data) // len(key) + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(pad)).to_bytes(len(data))


def _table(turn: Callable[[int], int]) -> Callable[[bytes], bytes]:
    table = bytes(turn(one) & _BYTE for one in range(256))
    return lambda data: data.translate(table)


def _rotated(by: int) -> Callable[[bytes], bytes]:
    return _table(lambda one: one << by | one >> (8 - by))


def _sums(data: bytes) -> bytes:
    return bytes(total & _BYTE for total in accumulate(data, operator.add))


def _differences(data: bytes) -> bytes:
    return bytes((one - before) & _BYTE for before, one in zip(b"\0" + data, data, strict=False))


def _changes(data: bytes) -> bytes:
    return combined(data, b"\0" + data[:-1]) if data else b""


_WHOLE: Final[tuple[Callable[[bytes], bytes], ...]] = (
    *(_rotated(by) for by in range(1, 8)),
    _table(lambda one: int(f"{one:08b}"[::-1], 2)),
    _differences,
    _changes,
    _sums,
    lambda data: bytes(accumulate(data, operator.xor)),
    lambda data: b"".join(data[at : at + 2][::-1] for at in range(0, len(data), 2)),
    lambda data: data[len(data) // 2 :] + data[: len(data) // 2],
    lambda data: data[(len(data) + 1) // 2 :] + data[: (len(data) + 1) // 2],
)


# Each start with the first place whose byte differs from that before all.
_MULTIPLIED: Final = tuple(
    (place, start, next(at for at in range(1, len(start)) if start[at] != start[0]))
    for place, start in HEADS
    if len(set(start)) > 1
)


def from_numbers(values: Sequence[int]) -> Iterator[bytes]:
    """Yield the files that numbers are: multiples of bytes and a sum, or the halves of bytes (nibbles) by turns."""
    head = values[:64]
    if max(head) < 16 and len(values) % 2 == 0 and min(values) >= 0 and max(values) < 16:
        for high, low in ((values[::2], values[1::2]), (values[1::2], values[::2]), _halved(values)):
            yield bytes(one << 4 | other for one, other in zip(high, low, strict=True))
    for place, start, other in _MULTIPLIED:
        if place + len(start) > len(values):
            continue
        factor, rest = divmod(values[place + other] - values[place], start[other] - start[0])
        if rest or not factor:
            continue
        seen = values[place : place + len(start)]
        shift = seen[0] - factor * start[0]
        if (factor, shift) != (1, 0) and all(
            factor * plain + shift == one for one, plain in zip(seen, start, strict=True)
        ):
            plain = [divmod(one - shift, factor) for one in values]
            if all(not left and 0 <= one <= _BYTE for one, left in plain):
                yield bytes(one for one, _ in plain)


def _halved(values: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    return values[: len(values) // 2], values[len(values) // 2 :]

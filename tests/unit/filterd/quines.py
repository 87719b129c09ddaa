"""Archives that unpack to themselves, made as research.swtch.com/zip describes: a program of two instructions.

Deflate is such a language: L(n) prints the n units that follow it (a stored block), R(n) prints the last n units again
(a copy). All instructions take one unit of bytes, so that a program can print them by their number.
"""

import struct
import tarfile
from typing import Final

UNIT: Final = 64
_EMPTY: Final = b"\0\0\0\xff\xff"  # a stored block of nothing
_LONGER: Final = b"\x02\0" + _EMPTY[1:]  # the same behind a block of no codes
_MOST_COPIED: Final = 258


def _bits(value: int, count: int) -> str:
    return "".join(str(value >> place & 1) for place in range(count))


def _code(value: int, count: int) -> str:
    """Huffman codes stand with their first bit first, numbers with their last (RFC 1951 3.1.1)."""
    return format(value, f"0{count}b")


def _length(length: int) -> str:
    """Return the fixed code of a length (3.2.5, 3.2.6)."""
    if length == _MOST_COPIED:
        return _code(285 - 280 + 0b11000000, 8)
    base, symbol, extra = 3, 257, 0
    while length >= base + (1 << extra):
        base, symbol = base + (1 << extra), symbol + 1
        extra = max(0, (symbol - 261) // 4)
    short = symbol < 280
    head = _code(symbol - 256, 7) if short else _code(symbol - 280 + 0b11000000, 8)
    return head + _bits(length - base, extra)


def _distance(distance: int) -> str:
    base, symbol, extra = 1, 0, 0
    while distance >= base + (1 << extra):
        base, symbol = base + (1 << extra), symbol + 1
        extra = max(0, symbol // 2 - 1)
    return _code(symbol, 5) + _bits(distance - base, extra)


def _filled(bits: str, *, final: bool) -> bytes:
    """Return a block with empty ones behind it, of one unit in all; the last of them may be the stream's."""
    bits += "000"
    bits += "0" * (-len(bits) % 8)
    data = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8)) + _EMPTY[1:]
    # Blocks of six and of five bytes fill any gap of twenty and more.
    longer = (UNIT - len(data)) % len(_EMPTY)
    shorter, rest = divmod(UNIT - len(data) - longer * len(_LONGER), len(_EMPTY))
    assert shorter > 0 == rest
    data += _LONGER * longer + _EMPTY * shorter
    return data[: -len(_EMPTY)] + bytes((final,)) + _EMPTY[1:]


def printed(units: int, *, final: bool = False) -> bytes:
    """Return L(units): what follows is printed as it stands."""
    size = units * UNIT
    fill = _filled("", final=False)
    head = bytes((final,)) + struct.pack("<HH", size, size ^ 0xFFFF)
    # Its own five bytes take the place of the last empty block.
    return fill[: -len(head)] + head


def again(units: int, *, final: bool = False) -> bytes:
    """Return R(units)."""
    distance = units * UNIT
    left, bits = distance, "010"
    while left:
        # At least three bytes must remain for the last copy.
        length = left if left <= _MOST_COPIED else min(_MOST_COPIED, left - 3)
        bits += _length(length) + _distance(distance)
        left -= length
    return _filled(bits + "0000000", final=final)


def quine(prefix: bytes, suffix: bytes, *, ends: bool) -> bytes:
    """Return prefix, program, suffix; the program, a deflate stream, prints all of that.

    Both are whole units. ``ends``: the stream ends before the suffix; else the suffix begins with its last block. What
    a prefix prints by itself comes in front.
    """
    before, behind = len(prefix) // UNIT, len(suffix) // UNIT
    none, one, four, copy = printed(0), printed(1), printed(4), again(4)
    head, first = printed(before + 1), again(before + 1)
    tail, last = printed(behind + 1), again(behind + 1, final=ends)
    return b"".join((
        prefix, head, prefix, head, first,
        one, first, one, one,
        four, first, one, one, four, copy,
        four, copy, four, copy, four, copy,
        four, copy, none, none, tail, copy,
        none, none, tail, last, suffix, last, suffix,
    ))  # fmt: skip


_GZIP: Final = b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * (UNIT - 11) + b"\0"  # RFC 1952 2.3: with a name


def gzip_quine() -> bytes:
    """Return a gzip file that holds itself (its checksum is wrong)."""
    return quine(_GZIP, bytes(UNIT), ends=True)


def zip_quine() -> bytes:
    """Return a zip that holds itself (its checksum is wrong)."""
    name = b"a" * 30 + b".zip"
    size = len(quine(bytes(UNIT), bytes(2 * UNIT), ends=True))
    packed = size - 3 * UNIT
    fields = struct.pack("<HHHIIIHH", 8, 0, 0, 0, packed, size, len(name), 0)
    local = b"PK\3\4" + struct.pack("<HH", 20, 0) + fields + name
    central = (
        b"PK\1\2" + struct.pack("<HHH", 20, 20, 0) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    )
    places = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), size - 2 * UNIT, 26)
    return quine(local, central + b"PK\5\6" + places + bytes(26), ends=True)


def gzip_and_tar() -> bytes:
    """Return a gzip file that holds a tar that holds the gzip file."""
    head, end = bytes(512), bytes(1024)

    def made(head: bytes) -> bytes:
        prefix = _GZIP + printed(len(head) // UNIT) + head
        last = printed(len(end) // UNIT, final=True) + end
        return quine(prefix, last + bytes(UNIT), ends=False)

    size = len(made(head))
    # The member must fill its blocks: the size of the file does not depend on what is in it.
    end += bytes(-size % 512)
    size = len(made(head))
    entry = tarfile.TarInfo("a.gz")
    entry.size = size
    return made(entry.tobuf(tarfile.USTAR_FORMAT))

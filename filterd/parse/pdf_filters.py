"""The filters of PDF streams (ISO 32000-1 7.4), lenient: what is broken gives what could be read. Pure."""

import base64
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Final

_BLANKS: Final = b"\0\t\n\x0c\r "
_PIECE: Final = 1 << 18
_CLEAR, _END = 256, 257
_MAX_TABLE: Final = 4096


def flate(data: bytes) -> Iterator[bytes]:
    """Yield inflated pieces: zlib, or bare deflate where the header is damaged."""
    for bits, skipped in ((15, 0), (-15, 0), (15, len(data) - len(data.lstrip()))):
        unpacker, pending, any_output = zlib.decompressobj(bits), data[skipped:], False
        try:
            while pending and not unpacker.eof:
                piece = unpacker.decompress(pending, _PIECE)
                pending = unpacker.unconsumed_tail
                if piece:
                    any_output = True
                    yield piece
        except zlib.error:
            pass
        if any_output:
            return


def ascii_hex(data: bytes) -> Iterator[bytes]:
    """Yield what hexadecimal digits stand for; other characters are passed over."""
    digits = re.sub(rb"[^0-9A-Fa-f]", b"", data.partition(b">")[0])
    yield bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))


def ascii_85(data: bytes) -> Iterator[bytes]:
    """Yield what base 85 stands for."""
    text = re.sub(rb"[^!-uz]", b"", data.partition(b"~")[0].removeprefix(b"<~"))
    try:
        yield base64.a85decode(text)
    except ValueError:
        # A group with a value too great or a stray z: what comes before it.
        whole = re.match(rb"(?:z|[!-u]{5})*", text.replace(b"s8W-", b""))
        yield b"" if whole is None else _groups(whole.group())


def _groups(text: bytes) -> bytes:
    done = bytearray()
    for group in re.findall(rb"z|[!-u]{5}", text):
        value = 0
        for digit in group if group != b"z" else b"!!!!!":
            value = value * 85 + digit - 33
        done += (value & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(done)


def run_length(data: bytes) -> Iterator[bytes]:
    """Yield runs: a length below 128 and bytes, or above it and one byte to repeat; 128 ends."""
    at, held = 0, bytearray()
    while at < len(data) and data[at] != 128:
        length = data[at]
        if length < 128:
            held += data[at + 1 : at + 2 + length]
            at += 2 + length
        else:
            held += data[at + 1 : at + 2] * (257 - length)
            at += 2
        if len(held) > _PIECE:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def lzw(data: bytes) -> Iterator[bytes]:
    """Yield what LZW codes of 9 to 12 bits stand for, the width changed one code early."""
    bits = held = 0
    width, table, last = 9, _fresh(), b""
    made = bytearray()
    for byte in data:
        held, bits = (held << 8 | byte) & 0xFFFFFFFF, bits + 8
        if bits < width:
            continue
        bits -= width
        code = held >> bits & ((1 << width) - 1)
        if code == _END:
            break
        if code == _CLEAR:
            width, table, last = 9, _fresh(), b""
            continue
        if code < len(table):
            entry = table[code]
        elif last:
            entry = last + last[:1]
        else:
            break
        made += entry
        if len(made) > _PIECE:
            yield bytes(made)
            made.clear()
        if last and len(table) < _MAX_TABLE:
            table.append(last + entry[:1])
        last = entry
        width = max(9, min(12, (len(table) + 1).bit_length()))
    yield bytes(made)


def _fresh() -> list[bytes]:
    return [bytes((value,)) for value in range(256)] + [b"", b""]


FILTERS: Final[dict[bytes, Callable[[bytes], Iterator[bytes]]]] = {
    b"FlateDecode": flate,
    b"Fl": flate,
    b"ASCIIHexDecode": ascii_hex,
    b"AHx": ascii_hex,
    b"ASCII85Decode": ascii_85,
    b"A85": ascii_85,
    b"RunLengthDecode": run_length,
    b"RL": run_length,
    b"LZWDecode": lzw,
    b"LZW": lzw,
}


def predicted(data: bytes, columns: int, colors: int, bits: int) -> bytes:
    """Return data without a PNG predictor (7.4.4.4), as object streams may have one."""
    width = max(1, (columns * colors * bits + 7) // 8)
    step = max(1, colors * bits // 8)
    done, above = bytearray(), bytes(width)
    for at in range(0, len(data), width + 1):
        row = bytearray(data[at + 1 : at + 1 + width].ljust(width, b"\0"))
        _unfilter(data[at], row, above, step)
        done += row
        above = bytes(row)
    return bytes(done)


def differences(data: bytes, columns: int, colors: int, bits: int) -> bytes:
    """Return data without TIFF's predictor (7.4.4.4, TIFF 6 section 14), as far as its samples are bytes."""
    width, step = max(1, columns * colors), max(1, colors)
    if bits != 8:
        return data
    done = bytearray(data)
    for start in range(0, len(done), width):
        for at in range(start + step, min(start + width, len(done))):
            done[at] = (done[at] + done[at - step]) & 255
    return bytes(done)


def _unfilter(kind: int, row: bytearray, above: bytes, step: int) -> None:
    for place in range(len(row)):
        left = row[place - step] if place >= step else 0
        if kind == 1:
            row[place] = (row[place] + left) & 255
        elif kind == 2:
            row[place] = (row[place] + above[place]) & 255
        elif kind == 3:
            row[place] = (row[place] + (left + above[place]) // 2) & 255
        elif kind == 4:
            corner = above[place - step] if place >= step else 0
            row[place] = (row[place] + _paeth(left, above[place], corner)) & 255


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min(
        (abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner)
    )[2]

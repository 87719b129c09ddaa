"""Codes that put a file into text: uuencode, xxencode, yEnc, BinHex 4.0."""

import binascii
import itertools
from typing import Final

CRLF: Final = b"\r\n"
_XX: Final = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HQX: Final = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"  # RFC 1741 appendix A
_B64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _pieces(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def uu_lines(content: bytes, *, zero: bytes = b"`") -> bytes:
    """Return the data lines of uuencode (POSIX uuencode), ``zero`` for six zero bits, without begin and end."""
    lines = (binascii.b2a_uu(piece, backtick=zero == b"`").rstrip(b"\n") for piece in _pieces(content, 45))
    return b"".join(line + CRLF for line in (*lines, zero))


def uuencode(
    content: bytes,
    name: bytes = b"notes.dat",
    *,
    zero: bytes = b"`",
    mode: bytes = b"644",
    end: bytes = b"end\r\n",
) -> bytes:
    """Return a uuencoded file."""
    return b"begin %b %b\r\n" % (mode, name) + uu_lines(content, zero=zero) + end


def xxencode(content: bytes, name: bytes = b"notes.dat") -> bytes:
    """Return an xxencoded file: as uuencode, with letters that survive EBCDIC."""
    lines = []
    for piece in _pieces(content, 45):
        padded = piece + bytes(-len(piece) % 3)
        groups = (int.from_bytes(group, "big") for group in _pieces(padded, 3))
        coded = (_XX[group >> shift & 63] for group in groups for shift in (18, 12, 6, 0))
        lines.append(bytes((_XX[len(piece)], *coded)))
    return b"begin 644 %b\r\n" % name + CRLF.join((*lines, b"+", b"end", b""))


def _yenc_line(piece: bytes) -> bytes:
    out = bytearray()
    for byte in piece:
        coded = (byte + 42) % 256
        # NUL, TAB, LF, CR and "=" are escaped always, a dot at the line's start because of SMTP.
        if coded in (0, 9, 10, 13, 61) or (coded == 46 and not out):
            out += bytes((61, (coded + 64) % 256))
        else:
            out.append(coded)
    return bytes(out)


def _yenc_data(content: bytes) -> bytes:
    return b"".join(_yenc_line(piece) + CRLF for piece in _pieces(content, 128))


def yencode(content: bytes, name: bytes = b"notes.dat") -> bytes:
    """Return a yEnc file of one part (yEnc draft 1.3)."""
    crc = binascii.crc32(content)
    return (
        b"=ybegin line=128 size=%d name=%b\r\n" % (len(content), name)
        + _yenc_data(content)
        + b"=yend size=%d crc32=%08x\r\n" % (len(content), crc)
    )


def yencode_parts(content: bytes, cut: int, name: bytes = b"notes.dat") -> tuple[bytes, bytes]:
    """Return a yEnc file in two parts, cut after ``cut`` bytes."""
    parts = []
    for number, (start, end) in enumerate(itertools.pairwise((0, cut, len(content))), 1):
        piece = content[start:end]
        parts.append(
            b"=ybegin part=%d total=2 line=128 size=%d name=%b\r\n" % (number, len(content), name)
            + b"=ypart begin=%d end=%d\r\n" % (start + 1, end)
            + _yenc_data(piece)
            + b"=yend size=%d part=%d pcrc32=%08x\r\n" % (len(piece), number, binascii.crc32(piece))
        )
    return parts[0], parts[1]


def binhex(content: bytes, name: bytes = b"notes.dat") -> bytes:
    """Return a BinHex 4.0 file (RFC 1741 appendix A) with an empty resource fork."""
    head = bytes((len(name),)) + name + b"\0" + b"TEXTttxt" + bytes(2)
    head += len(content).to_bytes(4, "big") + bytes(4)
    forks = b"".join(part + binascii.crc_hqx(part, 0).to_bytes(2, "big") for part in (head, content, b""))
    runs = forks.replace(b"\x90", b"\x90\0")
    text = binascii.b2a_base64(runs, newline=False).rstrip(b"=").translate(bytes.maketrans(_B64, _HQX))
    lines = _pieces(b":" + text + b":", 64)
    return b"(This file must be converted with BinHex 4.0)\r\n\r\n" + b"".join(line + CRLF for line in lines)

"""Bytes that a document carries in text form: in ``data:`` addresses, escaped, as digits, or as long words."""

import binascii
import html
import re
import string
import zlib
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from filterd.config.inspection import BANNED_EXTENSIONS

from .kinds import KINDS, extension_of, kind_of
from .script_masks import FIRST_TWO, HEADS, combined, is_recovered, starts_like_a_file
from .script_residue import SHARE, is_outline, is_plain, is_plainly_readable, is_readable, is_words
from .smuggling import Constants
from .transfer import base64_plain

_IN_SOURCE: Final = re.compile(
    r"data:[\w.+/-]{0,100}(?:;[^,;\"'<>\s]{1,100}){0,10},[^\"'<>()`\s\\]++", re.IGNORECASE
)
_ENTITIES: Final = re.compile(r"(?:[^<>&\s]{0,8}&#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});?){12,}+[^<>&\s]*+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}+={0,3}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{24,}+")
_HEX_NOISE: Final = re.compile(r"\\x|0x|[\s,:;%|-]", re.IGNORECASE)
_HEX_STARTS: Final = frozenset(string.hexdigits + "\\%")
_DECIMALS: Final = re.compile(r"\d{1,3}(?:[\s,.;:|_-]++\d{1,3}){11,}+[\s,.;:|_-]*+")
_PERCENT: Final = re.compile(r"%u([0-9a-fA-F]{4})|%([0-9a-fA-F]{2})")
_URLSAFE: Final = bytes.maketrans(b"-_", b"+/")
_PRINTABLE: Final = string.printable.encode()
_SPACE: Final = re.compile(r"\s+")
_MAX_LAYERS: Final = 3
_MANY: Final = 8  # escapes that are no accident
_LONG: Final = 1024  # bytes: so much is offered whatever it looks like
_MIXED: Final = (
    160  # different byte values of 1 KiB that make it packed or ciphered: text and tables have fewer
)
_SMALL: Final = 512
_LEAST: Final = 12
_LEAST_BINARY: Final = 22  # bytes: of the shortest archive, an empty one
_BY_TEXT: Final = frozenset({"script", "url"})
_LEAST_FILE: Final = 64  # bytes: what is shorter and begins like a file does so by accident
_FIRST: Final = 512
_FIRST_KEYS: Final = 32
_DISK: Final = 32768
_XORS: Final = tuple(bytes(byte ^ key for byte in range(256)) for key in range(256))
_SUMS: Final = tuple(bytes((byte + shift) & 0xFF for byte in range(256)) for shift in range(256))
_SAMPLE: Final = 8192
_BYTE: Final = 0xFF
# Kinds with marks of two or three bytes, which one key in some hundreds makes of anything.
_SHORT_MARKS: Final = frozenset(
    {"pe", "script", "gz", "bz2", "arj", "compress", "cpio", "swf", "rare", "mp3", "jpeg"}
)
_MAX_INFLATED: Final = 16 << 20
_NO_KIND: Final = frozenset({"empty", "unknown", "text"})  # text in whatever charset: any bytes but controls

DANGEROUS: Final = frozenset(
    {
        "pe", "elf", "macho", "java-class", "dex", "lnk", "url", "script", "msi", "chm", "hlp", "jar", "apk", "swf",
        "zip", "rar", "7z", "tar", "cpio", "ar", "cab", "arj", "lha", "ace", "zoo", "xar", "rpm", "gz", "bz2", "xz",
        "lzma", "lzip", "zst", "lz4", "compress", "szdd", "wim", "iso", "udf", "vhd", "dmg", "img", "one",
    }
)  # fmt: skip
_PACKED: Final = frozenset(
    extension for kind in DANGEROUS if kind in KINDS for extension in KINDS[kind].extensions
) | frozenset({"docm", "xlsm", "xlsb", "dotm", "pptm"})
# Names of pages stand in many a script; these extensions count only where the kind of the content says so too.
_COMMON: Final = frozenset(
    {"js", "bin", "o", "so", "z", "ar", "lib", "py", "pl", "php", "rb", "sh", "com", "a", "theme", "desktop"}
)
_DANGEROUS_NAMES: Final = (_PACKED | frozenset(BANNED_EXTENSIONS)) - _COMMON
_ACTIVE_PAGE: Final = re.compile(rb"<script|<iframe|\son[a-z]{3,20}\s*=|javascript:", re.IGNORECASE)
_FILE_NAME: Final = re.compile(r"(?=[^.]*\w)[^/\\<>:\"|?*\r\n\t{}();=]{1,120}\.[A-Za-z0-9_-]{1,12}")


class Payload(Struct, frozen=True, kw_only=True):
    """Bytes that stood in a document. ``script``: one of its scripts holds them. ``opened``: a click opens them."""

    data: bytes
    claimed: str = ""
    name: str = ""
    script: bool = False
    opened: bool = False


def from_address(address: str, *, opened: bool = False, script: bool = False) -> Iterator[Payload]:
    """Yield what a ``data:`` address holds (RFC 2397), read as browsers do: odd cases, blanks, no padding."""
    header, comma, body = address[5:].partition(",")
    if not comma:
        return
    claimed, *parameters = (field.strip() for field in header.split(";"))
    name = next((field[5:] for field in parameters if field[:5].lower() == "name="), "")
    raw = unquote_to_bytes(body)
    if any(field.replace(" ", "").lower() == "base64" for field in parameters):
        raw = base64_bytes(raw.partition(b"#")[0].decode("latin-1")) or raw
    if raw:
        yield Payload(data=raw, claimed=claimed.lower(), name=name, opened=opened, script=script)


def addresses_in(source: str) -> Iterator[str]:
    """Yield the ``data:`` addresses that stand anywhere in a text: styles, scripts, comments, srcset."""
    if "data:" in source.lower():
        yield from (found[0] for found in _IN_SOURCE.finditer(source))


def entities_in(source: str) -> Iterator[str]:
    """Yield texts that are written in character references, which nobody does by hand."""
    if "&#" in source:
        yield from (html.unescape(found[0]) for found in _ENTITIES.finditer(source))


def base64_bytes(text: str) -> bytes:
    """Return what base64 decodes to, either alphabet, blanks and padding aside; b"" when it is no base64."""
    text = _SPACE.sub("", text)
    if not _BASE64.fullmatch(text):
        return b""
    try:
        return base64_plain(text.rstrip("=").encode("ascii").translate(_URLSAFE))
    except (ValueError, binascii.Error):
        return b""


def decodings(text: str, *, reverses: bool = False, layers: int = _MAX_LAYERS) -> Iterator[bytes]:
    """Yield what a text is in every usual code: base64, hexadecimal, decimal, percent escapes; each layer of several.

    ``reverses``: also from its end. Yields nothing for ordinary text.
    """
    found = [one for one in _decoded(text) if is_worth_offering(one)]
    if reverses:
        found += [one for one in _decoded(text[::-1]) if is_worth_offering(one)]
    for data in found:
        yield data
        if layers > 1 and len(data) >= _LEAST and not data.translate(None, _PRINTABLE):
            yield from decodings(data.decode("ascii"), reverses=reverses, layers=layers - 1)


def _decoded(text: str) -> Iterator[bytes]:
    if "%" in text:
        yield from _unescaped(text)
    digits = _HEX_NOISE.sub("", text) if text[:1] in _HEX_STARTS else ""
    if len(digits) % 2 == 0 and _HEX.fullmatch(digits):
        yield bytes.fromhex(digits)
    # Base64 of many zeros has no other letters than a number in base 16.
    if (data := base64_bytes(text)) and (len(data) < _LONG or not is_words(text)):
        yield data
    if _DECIMALS.fullmatch(text.strip("[]() \t\r\n")):
        values = [int(one) for one in re.findall(r"\d+", text)]
        if max(values) <= _BYTE:
            yield bytes(values)


def _unescaped(text: str) -> Iterator[bytes]:
    plain, count = _PERCENT.subn(lambda found: chr(int(found[1] or found[2], 16)), text)
    if count < _MANY:
        return
    try:
        yield plain.encode("latin-1")
    except UnicodeEncodeError:
        # Each %u is two bytes to a program that copies it into memory.
        yield plain.encode("utf-16-le", "surrogatepass")
        yield plain.encode("utf-8", "replace")


def deciphered(data: bytes, found: Constants) -> Iterator[bytes]:
    """Yield ``data`` under exclusive or with each key that the script names, where that makes something of it."""
    head = data[:_FIRST]
    if is_plain(head) and len(data) <= _DISK:
        return  # no cipher is readable
    yield from _by_bytes(data, head, found)
    if found.unpacks and (plain := _inflated(data)):
        yield plain
    for key_bytes in _keys_for(head, found):
        start = combined(data[:_LEAST], key_bytes)
        worth = starts_like_a_file(start) or (_may_be_text(start) and _says_words(combined(head, key_bytes)))
        if worth and _is_found(plain := combined(data, key_bytes)):
            yield plain
        elif not worth and len(data) > _DISK and _is_disk_under(data, key_bytes):
            yield combined(data, key_bytes)


def _by_bytes(data: bytes, head: bytes, found: Constants) -> Iterator[bytes]:
    """Yield ``data`` with each byte changed by a key or sum that the script names, where that makes a file or text."""
    is_text = _is_text(head)
    if is_text and len(data) <= _DISK and is_outline(head.decode("latin-1")):
        return
    for table in (*(_XORS[key] for key in found.keys), *(_SUMS[shift] for shift in found.shifts)):
        start = head[:_LEAST].translate(table)
        # Most keys are seen not to fit by the first bytes; an image of a disk has its mark far behind.
        worth = starts_like_a_file(start) or (len(data) > _DISK and _is_disk(data, table))
        if not worth and (len(data) >= _LEAST_FILE or _may_be_text(start)):
            first = head.translate(table)
            worth = len(data) >= _LEAST_FILE and kind_of(first) not in _NO_KIND
            # Of text another key makes text as well; it is something only if it reads better.
            worth = worth or (_is_text(first) and (not is_text or _says_words(first)))
        if worth and _is_found(plain := data.translate(table)):
            yield plain


def _says_words(data: bytes) -> bool:
    """Return whether bytes are readable for more than signs that look like code's."""
    return is_plain(data) and is_plainly_readable(data.decode("utf-8", "ignore"))


def _is_disk(data: bytes, table: bytes) -> bool:
    """Return whether ``table`` makes an image of a disk of these bytes: its mark stands far from the start."""
    return any(data[at : at + len(mark)].translate(table) == mark for at, mark in HEADS if at)


def _is_disk_under(data: bytes, key: bytes) -> bool:
    """Return the like for a key that repeats."""
    return any(
        combined(data[at : at + len(mark)], key[at % len(key) :] + key[: at % len(key)]) == mark
        for at, mark in HEADS
        if at
    )


def _is_found(plain: bytes) -> bool:
    """Return whether what a key made is something: a file that has more than a mark of two bytes, or a text."""
    if not _makes_sense(plain):
        return False
    if starts_like_a_file(plain):
        return is_recovered(plain) and (len(plain) >= _LEAST_FILE or is_plain(plain))
    return kind_of(plain) not in _SHORT_MARKS or (plain[:1] != b"#" and _is_text(plain[:_FIRST]))


def _keys_for(head: bytes, found: Constants) -> Iterator[bytes]:
    """Yield the texts that are tried as a key: the first ones, and each that makes a file's start of these bytes."""
    near = (found.keys_by_two.get(combined(head[:2], two), ()) for two in FIRST_TWO)
    keys = (text.encode("latin-1", "replace") for text in found.key_texts[:_FIRST_KEYS])
    # A key that begins like a file makes one of zeros.
    yield from (key for key in chain(keys, *near) if not starts_like_a_file(key))


def _inflated(data: bytes) -> bytes:
    """Return what raw deflate unpacks, if it makes sense; what has a header of its own is opened by its kind."""
    try:
        plain = zlib.decompressobj(-15).decompress(data, _MAX_INFLATED)
    except zlib.error:
        return b""
    return plain if _makes_sense(plain) else b""


def _is_name(text: str) -> bool:
    """Return whether a text of base64's letters is the words of a name, whatever it decodes to."""
    return is_words(text) and is_readable(text)


def concealed(text: str, found: Constants) -> Iterator[bytes]:
    """Yield what is in a text that is nothing in itself, by the keys, shifts and packing that the script names."""
    if (found.keys or found.key_texts or found.shifts or found.unpacks) and not _is_name(text):
        for data in _decoded(text):
            yield from deciphered(data, found)


def sensible(text: str) -> Iterator[bytes]:
    """Yield what a text is in base64, if that is a file of some kind or a text."""
    data = base64_bytes(text)
    if data and _makes_sense(data):
        yield data


def _may_be_text(data: bytes) -> bool:
    return len(data.translate(None, _PRINTABLE)) * 4 < len(data)


def _makes_sense(data: bytes) -> bool:
    return len(data) >= _LEAST and (kind_of(data) not in _NO_KIND or _is_text(data))


def _is_text(data: bytes) -> bool:
    data = data[::2] if not any(data[1:32:2]) else data[1::2] if not any(data[:32:2]) else data
    return len(data.translate(None, _PRINTABLE)) * 20 < len(data)


def is_worth_offering(data: bytes) -> bool:
    """Return whether bytes are anything: of a known kind, or text, or long. A word that happens to be base64 is not."""
    return len(data) >= _LONG or _makes_sense(data)


def is_dangerous(payload: Payload) -> bool:
    """Return whether a file of these bytes does more than show something when it is opened."""
    kind = kind_of(payload.data, payload.name)
    if kind in {"html", "svg", "xml"}:
        return is_active_page(payload.data)
    if kind not in _BY_TEXT and len(payload.data) < _LEAST_BINARY:
        kind = ""
    return kind in DANGEROUS or extension_of(payload.name) in _DANGEROUS_NAMES


def is_active_page(data: bytes) -> bool:
    """Return whether bytes are HTML or SVG that runs a script, or opens a further document, when it is shown."""
    return _ACTIVE_PAGE.search(data) is not None


def explains(data: bytes) -> bool:
    """Return whether bytes are a picture, sound, font, document or readable text, rather than what a code gives."""
    return len(data) >= _LEAST and (kind_of(data) not in _NO_KIND or is_plain(data))


def is_opaque(payload: Payload, size: int = 0) -> bool:
    """Return whether these are bytes of no known kind that look packed or ciphered.

    At least 1 KiB, and a little more in a script of many characters (``size``): libraries have tables.
    """
    data = payload.data[:_SAMPLE]
    if (
        len(payload.data) < _LONG + size // SHARE
        or kind_of(payload.data) not in _NO_KIND
        or len(set(data)) < _MIXED
    ):
        return False
    if min(len(set(data[at::4])) for at in range(4)) < _MIXED // 4:
        return False  # numbers of two or four bytes, the higher ones of which are small
    # A table that rises and falls has many values, but few steps from one to the next.
    return len({(after - before) & _BYTE for before, after in pairwise(data)}) >= _MIXED


def is_small_text(payload: Payload) -> bool:
    """Return whether this is a short text of a script, of which libraries have thousands, and no file by its start."""
    data = payload.data
    return (
        payload.script and len(data) < _SMALL and not starts_like_a_file(data) and kind_of(data) in _NO_KIND
    )


def dangerous_name(texts: list[str]) -> str:
    """Return the first of the texts that is a file name with an extension that does harm, or ""."""
    for text in texts:
        if _FILE_NAME.fullmatch(text) and extension_of(text) in _DANGEROUS_NAMES:
            return text
    return ""


def is_dangerous_name(name: str) -> bool:
    """Return whether a file that is saved under this name does harm, or is an archive of such."""
    return extension_of(name) in _DANGEROUS_NAMES | _COMMON

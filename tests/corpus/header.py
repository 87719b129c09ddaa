"""Header tricks: fields that one reader honours and another overlooks. The payload is base64 throughout.

Most are from the MIME grammar itself (RFC 5322 3.2.2 folding and comments, RFC 2045 5.1 and 6.1), the rest from what
mail readers were seen to forgive.
"""

from collections.abc import Callable, Iterator
from typing import Final

from .mail import (
    BOUNDARY,
    CRLF,
    ENCODED,
    base64_lines,
    file_fields,
    file_part,
    head,
    mixed,
    multipart,
    multipart_type,
    rows,
    single,
    text_part,
    variant,
)
from .variant import MALFORMED, NEVER, Variant

_CTE: Final = b"Content-Transfer-Encoding"
_PLAIN: Final = b"Content-Type: text/plain"

# Slug, title, the lines that stand for Content-Transfer-Encoding in an attachment, what the twin may be.
_ENCODING: Final = (
    ("upper", "encoding in capitals", _CTE.upper() + b": BASE64", NEVER),
    ("mixed-case", "encoding in odd cases", b"content-TRANSFER-Encoding: BaSe64", NEVER),
    ("folded", "encoding on a folded line", _CTE + b":\r\n base64", NEVER),
    ("folded-tab", "encoding folded by a tab", _CTE + b":\r\n\tbase64", NEVER),
    ("folded-twice", "encoding folded over an empty-looking line", _CTE + b":\r\n \r\n base64", MALFORMED),
    ("folded-behind", "an empty-looking fold behind the encoding", _CTE + b": base64\r\n ", MALFORMED),
    ("comment-behind", "a comment behind the encoding", _CTE + b": base64 (as ever)", MALFORMED),
    ("comment-before", "a comment before the encoding", _CTE + b": (as ever) base64", MALFORMED),
    ("comment-nested", "nested comments round it", _CTE + b": (a (b)) base64 (c\\))", MALFORMED),
    ("parameter", "a parameter behind the encoding", _CTE + b": base64; line=76", MALFORMED),
    ("semicolon", "a semicolon behind the encoding", _CTE + b": base64;", MALFORMED),
    ("comma", "two encodings in a list", _CTE + b": base64, 7bit", MALFORMED),
    ("two-words", "two encodings behind each other", _CTE + b": base64 7bit", MALFORMED),
    ("quoted", "the encoding in quotes", _CTE + b': "base64"', MALFORMED),
    ("blanks-behind", "blanks behind the encoding", _CTE + b": base64   ", NEVER),
    ("tab-behind", "a tab behind the encoding", _CTE + b": base64\t", NEVER),
    ("blanks-before", "many blanks before the encoding", _CTE + b":     base64", NEVER),
    ("tab-before", "a tab before the encoding", _CTE + b":\tbase64", NEVER),
    ("no-blank", "no blank behind the colon", _CTE + b":base64", NEVER),
    ("blank-colon", "a blank before the colon", _CTE + b" : base64", MALFORMED),
    ("tab-colon", "a tab before the colon", _CTE + b"\t: base64", MALFORMED),
    ("twice-same", "the encoding given twice", rows(_CTE + b": base64") + _CTE + b": base64", MALFORMED),
    ("first-of-two", "base64, then 7bit", rows(_CTE + b": base64") + _CTE + b": 7bit", MALFORMED),
    ("last-of-two", "7bit, then base64", rows(_CTE + b": 7bit") + _CTE + b": base64", MALFORMED),
    ("empty-first", "an empty encoding, then base64", rows(_CTE + b":") + _CTE + b": base64", MALFORMED),
    ("unknown-first", "an unknown encoding, then base64", rows(_CTE + b": x-none") + _CTE + b": base64", MALFORMED),
    ("nul-behind", "NUL behind the encoding", _CTE + b": base64\0", MALFORMED),
    ("nul-before", "NUL before the encoding", _CTE + b": \0base64", MALFORMED),
    ("form-feed", "a form feed before the encoding", _CTE + b":\x0cbase64", MALFORMED),
    ("vertical-tab", "a vertical tab behind the encoding", _CTE + b": base64\x0b", MALFORMED),
    ("bare-cr", "a bare CR before the field", b"X-Note: one\r" + _CTE + b": base64", MALFORMED),
    ("bare-lf", "a bare LF before the field", b"X-Note: one\n" + _CTE + b": base64", MALFORMED),
    ("cr-in-fold", "the encoding behind a bare CR", _CTE + b":\r base64", MALFORMED),
    ("behind-no-field", "a line that is no field before it", b"no field at all\r\n" + _CTE + b": base64", MALFORMED),
    ("behind-first-fold", "a folded first line of the part", b" folded: nothing\r\n" + _CTE + b": base64", MALFORMED),
    ("behind-long-line", "a line of 2000 before it", b"X-Note: " + b"n" * 2000 + CRLF + _CTE + b": base64", MALFORMED),
    ("behind-many", "two hundred fields before it", b"X-Note: one\r\n" * 200 + _CTE + b": base64", NEVER),
    ("colonless", "a blank instead of the colon", _CTE + b" base64\r\n" + _CTE + b": base64", MALFORMED),
)  # fmt: skip

# Slug, title, the line that stands for the mail's own Content-Type, what the twin may be.
_TYPE: Final = (
    ("case", "multipart in odd cases", b"cOnTeNt-TyPe: MuLtIpArT/MiXeD; BoUnDaRy=" + BOUNDARY, NEVER),
    ("folded", "parameters on folded lines", b'Content-Type: multipart/mixed;\r\n\tboundary="=_part"', NEVER),
    ("folded-inside", "the type folded inside", b'Content-Type: multipart/\r\n mixed; boundary="=_part"', MALFORMED),
    ("folded-first", "the type on a folded line", b'Content-Type:\r\n multipart/mixed; boundary="=_part"', NEVER),
    ("comment", "a comment behind the type", b'Content-Type: multipart/mixed (c); boundary="=_part"', MALFORMED),
    ("comment-inside", "a comment in the type", b'Content-Type: multipart (c) /mixed; boundary="=_part"', MALFORMED),
    ("comment-first", "a comment before the type", b'Content-Type: (c) multipart/mixed; boundary="=_part"', MALFORMED),
    ("blank-colon", "a blank before its colon", b'Content-Type : multipart/mixed; boundary="=_part"', MALFORMED),
    ("blank-slash", "blanks round the slash", b'Content-Type: multipart / mixed; boundary="=_part"', MALFORMED),
    ("semicolons", "two semicolons", b'Content-Type: multipart/mixed;; boundary="=_part"', MALFORMED),
    ("no-semicolon", "no semicolon", b'Content-Type: multipart/mixed boundary="=_part"', MALFORMED),
    ("comma", "a comma for the semicolon", b'Content-Type: multipart/mixed, boundary="=_part"', MALFORMED),
    ("end-semicolon", "a semicolon at the end", b'Content-Type: multipart/mixed; boundary="=_part";', NEVER),
    ("quoted", "the type in quotes", b'Content-Type: "multipart/mixed"; boundary="=_part"', MALFORMED),
    ("nul", "NUL behind the type", b'Content-Type: multipart/mixed\0; boundary="=_part"', MALFORMED),
    ("first-of-two", "multipart, then text", multipart_type() + CRLF + _PLAIN, MALFORMED),
    ("last-of-two", "text, then multipart", _PLAIN + CRLF + multipart_type(), MALFORMED),
    ("empty-first", "an empty type, then multipart", b"Content-Type:\r\n" + multipart_type(), MALFORMED),
    ("bare-lf", "the type behind a bare LF", b"X-Note: one\n" + multipart_type(), MALFORMED),
    ("bare-cr", "the type behind a bare CR", b"X-Note: one\r" + multipart_type(), MALFORMED),
    ("no-field", "the type behind a line that is no field", b"no field at all\r\n" + multipart_type(), MALFORMED),
    ("charset", "a charset on multipart", multipart_type() + b"; charset=utf-8", NEVER),
)  # fmt: skip

# Slug, title, the line that stands for the attachment's Content-Type, what the twin may be.
_PART: Final = (
    ("empty", "an attachment with an empty type", b"Content-Type:", MALFORMED),
    ("none", "an attachment without a type", b"X-Note: one", NEVER),
    ("unknown", "an unknown major type", b"Content-Type: thing/other", NEVER),
    ("no-subtype", "a type without subtype", b"Content-Type: application", MALFORMED),
    ("junk", "a type with junk behind it", b"Content-Type: application/octet-stream junk", MALFORMED),
    ("eight-bit", "raw eight-bit text in a field", b"X-Note: Gr\xc3\xbc\xc3\x9fe\r\nContent-Type: application/octet-stream", MALFORMED),
)  # fmt: skip


def _with_encoding(title: str, lines: bytes) -> Callable[[bytes], bytes]:
    def build(payload: bytes) -> bytes:
        return mixed(title, text_part(), rows(*file_fields(), lines, b"") + base64_lines(payload))

    return build


def _with_type(title: str, line: bytes) -> Callable[[bytes], bytes]:
    def build(payload: bytes) -> bytes:
        return head(title, line) + CRLF + multipart(text_part(), file_part(payload))

    return build


def _with_part_type(title: str, line: bytes) -> Callable[[bytes], bytes]:
    def build(payload: bytes) -> bytes:
        fields = (line, file_fields()[1], ENCODED)
        return mixed(title, text_part(), rows(*fields, b"") + base64_lines(payload))

    return build


def _single(payload: bytes) -> bytes:
    return single("a mail that is the file", base64_lines(payload), *file_fields(), ENCODED)


def _with_versions(title: str, *versions: bytes) -> Callable[[bytes], bytes]:
    def build(payload: bytes) -> bytes:
        top = head(title, *versions, multipart_type(), version=False)
        return top + CRLF + multipart(text_part(), file_part(payload))

    return build


def _before(title: str, line: bytes) -> Callable[[bytes], bytes]:
    def build(payload: bytes) -> bytes:
        return line + mixed(title, text_part(), file_part(payload))

    return build


def _blank_separator(payload: bytes) -> bytes:
    top = head("a line of one blank between header and body", *file_fields(), ENCODED)
    return top + b" \r\n" + base64_lines(payload)


def _table() -> Iterator[Variant]:
    for slug, title, lines, may in _ENCODING:
        yield variant(f"header.encoding-{slug}", title, _with_encoding(title, lines), may)
    for slug, title, lines, may in _TYPE:
        yield variant(f"header.type-{slug}", title, _with_type(title, lines), may)
    for slug, title, lines, may in _PART:
        yield variant(f"header.part-{slug}", title, _with_part_type(title, lines), may)


VARIANTS: Final = (
    *_table(),
    variant("header.single", "a mail that is the file", _single),
    variant("header.no-version", "no MIME-Version", _with_versions("no MIME-Version")),
    variant(
        "header.version-comment",
        "MIME-Version with a comment",
        _with_versions("MIME-Version with a comment", b"MIME-Version: 1.0 (by hand)"),
    ),
    variant(
        "header.version-two",
        "an unknown MIME-Version",
        _with_versions("an unknown MIME-Version", b"MIME-Version: 2.0"),
        MALFORMED,
    ),
    variant(
        "header.version-twice",
        "two MIME-Versions",
        _with_versions("two MIME-Versions", b"MIME-Version: 1.0", b"MIME-Version: 1.0"),
        MALFORMED,
    ),
    variant(
        "header.first-folded",
        "a folded first line",
        _before("a folded first line", b" folded\r\n"),
        MALFORMED,
    ),
    variant(
        "header.first-from",
        "an mbox line before the header",
        _before("an mbox line before the header", b"From corpus@sender.example Sat Nov 21 10:00:00 2026\r\n"),
        MALFORMED,
    ),
    variant(
        "header.blank-separator", "a line of one blank between header and body", _blank_separator, MALFORMED
    ),
)

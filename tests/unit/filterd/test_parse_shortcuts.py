"""The short ways through ordinary mail lead where the long ones do."""

import base64
import random
from email import message_from_bytes

import pytest

from filterd.config.inspection import Bounds
from filterd.parse.harvest import Budget
from filterd.parse.links import addresses_in
from filterd.parse.mime_fields import lenient_head
from filterd.parse.mime_tree import read_tree, skeleton_of
from filterd.parse.text_encodings import uuencoded
from filterd.parse.transfer import decode

_DATA = random.Random(4).randbytes(60_001)  # noqa: S311 - no secret
_HEAD = b"From: a@sender.example\r\n"
_PROSE = b"Some words that go on, and a line of them: here it ends.\r\n" * 100


def _lines(width: int, end: bytes = b"\r\n") -> bytes:
    letters = base64.b64encode(_DATA)
    return b"".join(letters[at : at + width] + end for at in range(0, len(letters), width))


@pytest.mark.parametrize("width", [76, 64, 75, 100, 101])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_base64_of_any_shape_is_the_same_file(width: int, end: bytes) -> None:
    decoded = decode(_lines(width, end), ("base64",))
    assert decoded.first == _DATA
    assert decoded.clean


@pytest.mark.parametrize("junk", [b"-", b"=", b"\n", b" ", b"A"])
def test_base64_with_something_in_it_goes_the_long_way(junk: bytes) -> None:
    body = bytearray(_lines(76))
    body[40_000:40_000] = junk
    decoded = decode(bytes(body), ("base64",))
    ways = {decoded.first, *(data for _, data in decoded.others)}
    assert (_DATA in ways) == (junk != b"A")


def test_base64_with_any_other_byte_is_read_as_by_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = []
    for byte in range(256):
        for at in (0, 77, 40_003, 40_015):
            body = bytearray(_lines(76))
            body[at] = byte
            bodies.append(bytes(body))
    short = [decode(body, ("base64",)) for body in bodies]
    monkeypatch.setattr("filterd.parse.transfer._LARGE", 10**9)
    assert short == [decode(body, ("base64",)) for body in bodies]


@pytest.mark.parametrize("last", [b"QUJD" * 18 + b"QUI=", b"QUJD" * 14 + b"\r\n\r\n--=_0123456789--"])
def test_a_run_ends_before_a_last_line_that_is_as_long_and_no_base64(last: bytes) -> None:
    assert len(last) == 76
    lines = _lines(76)[: 60 * 78]
    raw = _HEAD + b"\r\n" + lines + last + b"\r\nmore\r\n"
    assert skeleton_of(raw).runs == [lines[:-2]]


def test_base64_with_blanks_within_its_lines_is_read() -> None:
    decoded = decode(b"QUJDRE VGR0hJ\tS\r\nQUJD\r\n", ("base64",))
    assert decoded.first.startswith(b"ABCDEFGHI")


@pytest.mark.parametrize(
    "body",
    [
        _PROSE,
        _PROSE + b"--x",
        _PROSE + b"\r\n" + _PROSE + b"\n--\r\n" + _PROSE,
        b"\r\n" + _PROSE,
        b"Field: of no header\r\n" + _PROSE,
        _PROSE + b"\r\n" + _lines(76) + b"\r\n" + _PROSE,
    ],
)
@pytest.mark.parametrize(
    "kind", [b"text/plain", b"message/rfc822", b"message/delivery-status", b"multipart/mixed; boundary=x"]
)
def test_long_texts_come_out_as_they_went_in(kind: bytes, body: bytes) -> None:
    raw = _HEAD + b"Content-Type: " + kind + b"\r\n\r\n" + body
    entities = read_tree(skeleton_of(raw), "1", 0, Budget(Bounds()))
    plain = [part for part in message_from_bytes(raw).walk() if not part.is_multipart()]
    bodies = [str(part.get_payload()).encode("ascii", "surrogateescape") for part in plain]
    assert [entity.body for entity in entities if entity.shape == "leaf"] == bodies
    preambles = [(part.preamble or "").encode() for part in message_from_bytes(raw).walk()]
    assert [entity.preamble for entity in entities] == preambles


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_a_line_of_blanks_may_end_a_header(end: bytes) -> None:
    raw = b"A: b" + end + b" \t" + end + b"text" + end + end + b"more"
    assert raw.index(b"text") in lenient_head(raw).bodies


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see HTTP://a.example/x, and", ["HTTP://a.example/x"]),
        ("xhttp://a.example ftp:/b.example @https://c.example", ["ftp:/b.example"]),
        ("http://a.example/?u=http://b.example ", ["http://a.example/?u=http://b.example"]),
        ("http:http://b.example", ["http://b.example"]),
    ],
)
def test_addresses_begin_at_their_scheme(text: str, found: list[str]) -> None:
    assert list(addresses_in(text)) == found


@pytest.mark.parametrize("prefix", [b"", b"> ", b"- " * 8, b"\t|"])
@pytest.mark.parametrize("before", [b"", b"to begin with\r\n", (b"begin x" + b"\r\n" * 8) * 50])
def test_uuencode_begins_behind_what_mail_puts_before_it(before: bytes, prefix: bytes) -> None:
    text = before + prefix + b"BEGIN 644 a.txt\n" + prefix + b"#86)C\n" + prefix + b"`\n"
    assert b"abc" in [block.data for block in uuencoded(text)]

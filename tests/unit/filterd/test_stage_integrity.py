"""The rules of integrity: each matches its example, and ordinary mail matches none."""

import base64

import pytest

from filterd.anatomy import Anatomy, Leaf
from filterd.config.inspection import Inspection
from filterd.stages import integrity
from tests.corpus.payload import HARMLESS
from tests.corpus.table import VARIANTS
from tests.corpus.variant import NEVER

from .reading import HEAD, mixed, read, rules_of

TEXT = b"Content-Type: text/plain\r\n\r\nGood morning."
ENCODED = base64.b64encode(b"nothing at all of any interest to anyone")
FILE = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + ENCODED
MIXED = mixed(TEXT, FILE)


def _part(fields: bytes) -> bytes:
    return mixed(TEXT, fields + b"\r\n" + ENCODED)


EXAMPLES = (
    ("conflicting-field", MIXED.replace(b"MIME-V", b"Content-Type: text/plain\r\nMIME-V")),
    ("repeated-field", HEAD + b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\nx\r\n"),
    ("repeated-header", HEAD + b"From: <boss@bastide.example>\r\n\r\nx\r\n"),
    ("from-several", HEAD.replace(b"Anna <", b"<boss@bastide.example>, Anna <") + b"\r\nx\r\n"),
    ("from-missing", HEAD.partition(b"\r\n")[2] + b"\r\nx\r\n"),
    ("date-missing", HEAD.replace(b"Date", b"X-Date") + b"\r\nx\r\n"),
    ("no-field", HEAD + b"this is no field\r\nX-A: b\r\n\r\nx\r\n"),
    ("no-field", MIXED.replace(b"Content-Type: multipart", b"Content-Type : multipart")),
    ("mbox-line", b"From anna Sat Nov 21 10:00:00 2026\r\n" + HEAD + b"\r\nx\r\n"),
    ("eight-bit-header", HEAD + b"X-A: \xc3\xa4\r\n\r\nx\r\n"),
    ("control-character", HEAD + b"X-A: a\x07\r\n\r\nx\r\n"),
    ("control-in-mime", _part(b"Content-Transfer-Encoding: base64\x01\r\n")),
    ("nul", HEAD + b"X-A: a\0b\r\n\r\nx\r\n"),
    ("nul", MIXED.replace(b"--=_part\r\n", b"--\0=_part\r\n", 1)),
    ("nul-body", HEAD + b"\r\na\0b\r\n"),
    ("bare-line-end", HEAD + b"X-A: b\rX-B: c\r\n\r\nx\r\n"),
    ("bare-line-end-body", HEAD + b"\r\none\rtwo\r\n"),
    ("long-line", HEAD + b"\r\n" + b"a " * 600 + b"\r\n"),
    ("type-malformed", _part(b"Content-Type: application\r\n")),
    ("type-ambiguous", _part(b'Content-Type: multipart ; boundary="b"\r\n')),
    ("encoding-unknown", _part(b"Content-Transfer-Encoding: x-mine\r\n")),
    ("encoding-odd", _part(b"Content-Transfer-Encoding: base64; x\r\n")),
    ("encoding-conflict", _part(b"Content-Transfer-Encoding: base64 7bit\r\n")),
    ("encoded-mail", _part(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n")),
    ("encoded-multipart", _part(b"Content-Type: multipart/mixed; boundary=q\r\nContent-Transfer-Encoding: base64\r\n")),
    ("encoded-multipart-said", MIXED.replace(b"MIME-V", b"Content-Transfer-Encoding: base64\r\nMIME-V")),
    ("base64", _part(b"Content-Transfer-Encoding: base64\r\n") .replace(ENCODED, b"QUFB=\r\n" + ENCODED)),
    ("base64-tail", _part(b"Content-Transfer-Encoding: base64\r\n").replace(ENCODED, ENCODED + b"\r\nlist footer")),
    ("boundary-missing", MIXED.replace(b'; boundary="=_part"', b"")),
    ("boundary-ambiguous", MIXED.replace(b'"=_part"', b'"=_part"; boundary=x')),
    ("boundary-mistaken", MIXED.replace(b'"=_part"', b'"other"')),
    ("boundary-split", MIXED.replace(b'boundary="=_part"', b'boundary*0="=_"; boundary*1=part')),
    ("boundary-odd", MIXED.replace(b"--=_part\r\n", b"--=_part x\r\n", 1)),
    ("boundary-long", mixed(TEXT, FILE, boundary=b"b" * 71)),
    ("boundary-open", MIXED.replace(b"--=_part--\r\n", b"")),
    ("outside", MIXED + b"--=_part\r\n" + FILE + b"\r\n"),
    ("partial", HEAD + b"Content-Type: message/partial; number=1; total=2; id=x\r\n\r\nx\r\n"),
    ("external-body", HEAD + b"Content-Type: message/external-body; access-type=ftp\r\n\r\nx\r\n"),
    ("many-fields", HEAD + b"X-A: b\r\n" * 1001 + b"\r\nx\r\n"),
    ("long-field", HEAD + b"X-A: " + b"b" * 110_000 + b"\r\n\r\nx\r\n"),
    ("many-parameters", HEAD + b"Content-Type: text/plain" + b"; a=b" * 120 + b"\r\n\r\nx\r\n"),
    ("encrypted", HEAD + b"Content-Type: application/pkcs7-mime\r\n\r\nAAAA\r\n"),
)  # fmt: skip
NAMES = (
    ("name-bidi", "a\u202efdp.exe"),
    ("name-clsid", "a.{00020d01-0000-0000-c000-000000000046}"),
    ("name-trailing", "a.exe. ."),
    ("name-control", "a\x00.txt"),
    ("name-control", "a.e\u200bxe"),
    ("name-mark", "a\u200cb.txt"),
    ("name-long", "a" * 251 + ".exe" + "b" * 40 + ".pdf"),
    ("name-double-extension", "invoice.pdf.exe"),
    ("name-double-extension", "invoice          .exe"),
)


@pytest.mark.parametrize(("rule", "raw"), EXAMPLES, ids=[one[0] for one in EXAMPLES])
def test_each_rule_matches_its_example(rule: str, raw: bytes) -> None:
    # R06, M03, P16
    assert f"integrity.{rule}" in {found.rule for found in read(raw)[0].findings}


@pytest.mark.parametrize(("rule", "name"), NAMES)
def test_names(rule: str, name: str) -> None:
    # M03
    anatomy = Anatomy(leaves=(Leaf(path="1.2", names=(name,)),))
    assert f"integrity.{rule}" in {found.rule for found in integrity.judge(anatomy, Inspection())}


@pytest.mark.parametrize("name", ["report.tar.gz", "Rechnung 21.11.2026.pdf", "v1.2.3.zip", "a.b.c", ""])
def test_ordinary_names(name: str) -> None:
    assert integrity.judge(Anatomy(leaves=(Leaf(path="1.2", names=(name,)),)), Inspection()) == ()


@pytest.mark.parametrize(
    "value",
    [
        b'"Doe, John" <a@b.example>',
        b"Doe, John <a@b.example>",
        b"a@b.example",
        b'"x@y.example" <a@b.example>',
    ],
)
def test_one_mailbox_is_one(value: bytes) -> None:
    assert not rules_of(HEAD.replace(b"Anna <anna@sender.example>", value) + b"\r\nx\r\n")


SEVERAL = HEAD.replace(b"Anna <", b"<boss@bastide.example>, Anna <")


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        (b"Sender: Anna <anna@sender.example>\r\n", False),
        (b"", True),
        (b"Sender: \r\n", True),
        (b"Sender: <a@b.example>, <c@d.example>\r\n", True),
        (b"Sender: <a@b.example>\r\nSender: <c@d.example>\r\n", True),
    ],
)
def test_several_authors_with_one_sender_are_legal(fields: bytes, *, refused: bool) -> None:
    """RFC 5322 3.6.2."""
    found = rules_of(SEVERAL + fields + b"\r\nx\r\n")
    assert ("integrity.from-several" in found) is refused


@pytest.mark.parametrize(
    "boundary",
    [
        b'boundary="=_part" (comment)',
        b'boundary="=_part" (a comment; of two)',
        b'boundary="=_part"\r\n (folded); charset=us-ascii',
        b'boundary="=_part" (one (within) another)',
    ],
)
def test_a_comment_behind_a_boundary_is_legal(boundary: bytes) -> None:
    """RFC 2045 5.1: both readers see the parts."""
    anatomy, contents = read(MIXED.replace(b'boundary="=_part"', boundary))
    assert anatomy.findings == ()
    assert [leaf.path for leaf in anatomy.leaves] == ["1.1", "1.2"]
    assert contents == read(MIXED)[1]


def test_lines_for_who_reads_no_comments_are_a_second_boundary() -> None:
    raw = MIXED.replace(b'boundary="=_part"', b'boundary="=_part" (comment)')
    raw = raw.replace(b"--=_part\r\n", b'--"=_part" (comment)\r\n', 1)
    assert "integrity.boundary-ambiguous" in rules_of(raw)


def test_ordinary_mail_has_no_finding() -> None:
    assert read(MIXED)[0].findings == ()


@pytest.mark.parametrize(
    "variant",
    [
        one
        for one in VARIANTS
        if one.family in {"header", "boundary", "transfer-encoding", "nesting", "text-embedded"}
        and one.twin_may_be == NEVER
    ],
    ids=lambda one: one.id,
)
def test_no_harmless_twin_is_refused(variant: object) -> None:
    raw = variant.build(HARMLESS)  # type: ignore[attr-defined]  # pytest's parameters have no types
    assert not {rule for rule in rules_of(raw) if rule.startswith(("integrity.", "limit."))}


def test_every_rule_has_an_example_or_a_name() -> None:
    shown = {f"integrity.{rule}" for rule, _ in (*EXAMPLES, *NAMES)}
    elsewhere = {
        "boundary-repeated",
        "boundary-prefix",
        "parsers-disagree",
        "unreadable",
        "tnef-broken",
        "name-conflict",
        "name-differs",
    }
    assert {rule.id for rule in integrity.STAGE.rules} == shown | {f"integrity.{rule}" for rule in elsewhere}

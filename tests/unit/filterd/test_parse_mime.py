"""Whole messages: the tree, its paths, all readings of its structure, names, headers, protection."""

import base64
import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filterd.parse.mime_fields import decode_words, lenient_head, parameters
from filterd.parse.names import names_of
from tests.corpus.payload import EICAR
from tests.corpus.table import VARIANTS

from .reading import HEAD, mixed, read, rules_of

TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGood morning."
FILE = (
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode(EICAR)
)


def test_paths_and_bytes_are_those_of_the_standard_library() -> None:
    inner = EmailMessage(policy=email.policy.SMTP)
    inner["Subject"] = "inner"
    inner.set_content("inner text")
    outer = EmailMessage(policy=email.policy.SMTP)
    outer["From"], outer["Date"] = "a@b.example", "Sat, 21 Nov 2026 10:00:00 +0000"
    outer.set_content("Grüße", cte="8bit")
    outer.add_alternative("<p>Grüße</p>", subtype="html", cte="quoted-printable")
    outer.add_attachment(b"\0\1\2" * 5000, maintype="application", subtype="octet-stream", filename="ä.dat")
    outer.add_attachment(inner)
    anatomy, contents = read(outer.as_bytes())
    assert [leaf.path for leaf in anatomy.leaves] == ["1.1.1", "1.1.2", "1.2", "1.3.1"]
    assert contents[2] == b"\0\1\2" * 5000
    assert anatomy.leaves[2].name == "ä.dat"
    assert not anatomy.findings


def test_long_base64_comes_back_whole() -> None:
    content = bytes(range(256)) * 4000
    part = b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(content).replace(b"\n", b"\r\n")
    anatomy, contents = read(mixed(TEXT, part[:-2]))
    assert content in contents
    assert len(anatomy.leaves) == 2


def test_a_file_with_lf_only_is_read_as_the_mta_would() -> None:
    raw = mixed(TEXT, FILE).replace(b"\r\n", b"\n")
    assert EICAR in read(raw)[1]
    assert not rules_of(raw)


_FIELDS = b"Reporting-MTA: dns; a.example\r\n\r\nFinal-Recipient: rfc822; b@c.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"


@pytest.mark.parametrize(
    "kind",
    [
        "delivery-status",
        "global-delivery-status",
        "disposition-notification",
        "feedback-report",
        "tracking-status",
    ],
)
def test_a_report_is_read_alike_by_both_parsers_and_what_it_holds_is_looked_at(kind: str) -> None:
    # RFC 3464, 6533, 8098, 5965, 3886
    report = b"Content-Type: message/%s\r\n\r\n%s" % (kind.encode(), _FIELDS)
    assert not rules_of(mixed(TEXT, report), "warn")
    assert not rules_of(mixed(TEXT, report))
    carrying = report + b"\r\n" + EICAR
    assert any(EICAR in content for content in read(mixed(TEXT, carrying))[1])


def test_what_only_one_parser_sees_is_a_disagreement() -> None:
    whole = (
        b"Content-Type: multipart/related\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode(HEAD + b"\r\nx")
    )
    assert "integrity.parsers-disagree" in rules_of(mixed(TEXT, whole), "warn")


def test_headers_are_decoded_in_order() -> None:
    raw = HEAD.replace(b"Order", b"=?utf-8?q?Gr=C3=BC?=\r\n =?utf-8?b?w58=?= raw \xc3\xa4") + b"\r\nx\r\n"
    anatomy, _ = read(raw)
    assert anatomy.header("subject") == "Grüß raw ä"
    assert [name for name, _ in anatomy.headers[:3]] == ["from", "to", "subject"]


def test_a_character_cut_between_two_encoded_words() -> None:
    assert decode_words("=?utf-8?b?w4M=?= =?utf-8?q?=C3?= =?utf-8?q?=BC?=") == "Ãü"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (b"Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\na\r\n--x--\r\n", "signed"),
        (b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nAAAA\r\n", "encrypted"),
        (b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\nAAAA\r\n", "signed"),
        (b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n", "calendar"),
        (b"\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nxx\r\n-----END PGP MESSAGE-----\r\n", "encrypted"),
        (b"DKIM-Signature: v=1\r\n\r\nhello\r\n", ""),
    ],
)
def test_protection(fields: bytes, kind: str) -> None:
    assert read(HEAD + fields)[0].protected == kind


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ('attachment; filename="a.pdf"', "a.pdf"),
        ("attachment; filename=a b.pdf", "a b.pdf"),
        ('attachment; filename="=?utf-8?q?=C3=A4=2Eexe?="', "ä.exe"),
        ("attachment; filename*=utf-8''%c3%a4.exe; filename=a.txt", "ä.exe"),
        ('attachment; filename*1=.exe; filename*0="x"', "x.exe"),
        ("attachment; filename*0*=utf-8''%c3%a4; filename*1=\".exe\"", "ä.exe"),
        ('attachment;filename = "q\\"x.exe"', 'q"x.exe'),
    ],
)
def test_names(field: str, name: str) -> None:
    assert names_of([field], [])[0] == name


@pytest.mark.parametrize(
    "field",
    [
        'x; filename="a.txt".exe',
        "x; filename='b.exe'",
        'x; filename="evil\uff0eexe"',
        'x; filename="evil.\uff45\uff58\uff45"',
    ],
)
def test_a_name_is_read_as_old_programs_save_it(field: str) -> None:
    assert any(name.endswith(".exe") for name in names_of([field], []))


@pytest.mark.parametrize(
    "field",
    ['x; filename="a.pdf" (.exe)', 'x; filename="a.pdf"; size=1', 'x; filename="\u5831\u544a\u66f8.pdf"'],
)
def test_an_ordinary_name_has_one_reading(field: str) -> None:
    assert len(names_of([field], [])) == 1


def test_all_readings_of_a_name_are_kept() -> None:
    found = names_of(['x; filename="a%2Eexe"'], ['y; name="..\\b.scr"'])
    assert {"a%2Eexe", "a.exe", "..\\b.scr", "b.scr"} <= set(found)


def test_lenient_head_takes_what_forgiving_readers_take() -> None:
    head = lenient_head(b"X: 1\rContent-Type : a/b\nno field\r\nContent-Transfer-Encoding base64\r\n\r\nbody")
    assert head.values("content-type") == ["a/b"]
    assert head.values("content-transfer-encoding") == ["base64"]


def test_parameters_with_five_thousand_digits_do_not_raise() -> None:
    assert parameters("a/b; boundary*" + "9" * 5000 + "=x") == []
    assert read(HEAD + b"Content-Type: multipart/mixed; boundary*" + b"9" * 5000 + b"=x\r\n\r\nx\r\n")


@pytest.mark.parametrize(
    "variant",
    [
        one
        for one in VARIANTS
        if one.family in {"header", "boundary", "transfer-encoding", "nesting", "text-embedded"}
    ],
    ids=lambda one: one.id,
)
def test_every_disguise_of_mail_itself_is_seen_or_refused(variant: object) -> None:
    raw = variant.build(EICAR)  # type: ignore[attr-defined]  # pytest's parameters have no types
    anatomy, contents = read(raw)
    refused = any(found.verdict in {"malformed", "encrypted", "over-limit"} for found in anatomy.findings)
    assert any(EICAR in content for content in contents) or refused


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(
            [b"\r\n", b"\n", b"\r", b"--x", b"--x--", b"--", b"\0", b"Content-Type: ", b"multipart/mixed; boundary=x", b"message/rfc822",
             b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"begin 644 a", b"M", b"=ybegin ", b"=?utf-8?b?", b"?=",
             b"filename*0*=", b"\xff", b"A" * 61, b":", b"=41", b"%", b'"', b";", b"(", b"text/plain; charset=utf-7", b"+AAA-"]
        ),
        max_size=60,
    )
)  # fmt: skip
def test_no_bytes_raise(pieces: list[bytes]) -> None:
    read(b"".join(pieces))

"""Stamps: behind the text, in its own charset, and on nothing that they would break."""

import html

import pytest

from filterd.anatomy import RewriteOrder
from filterd.fields import Change, changed
from filterd.rewrite import rewrite
from filterd.rewrite.transfer import as_base64
from tests.unit.filterd.rewritten import HTML, PLAIN, attachment, crlf, mixed, order, parsed, span, text

UTF16 = as_base64("Grüße\r\n".encode("utf-16-le"))
UTF16_BIG = as_base64(b"\xfe\xff" + "Grüße\r\n".encode("utf-16-be"))
STAMP = "Checked by the gateway.\nSecond line"
UMLAUTS = "Geprüft: § Ω"


@pytest.mark.parametrize(
    ("head", "body", "stamp"),
    [
        ("Content-Type: text/plain\n", b"text\r\n", STAMP),
        ("", b"text\r\n", STAMP),
        ("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", "Grüße\r\n".encode(), UMLAUTS),
        ("Content-Type: text/plain; charset=utf-8\n", b"text\r\n", UMLAUTS),
        ("Content-Type: text/plain\n", b"text\r\n", UMLAUTS),
        ("Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n", b"Gr=FC=DFe\r\n", UMLAUTS),
        ("Content-Type: text/plain; charset=iso-8859-15\nContent-Transfer-Encoding: quoted-printable\n", b"Gr=FC=DFe=", "grüßt"),
        ("Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64\n", UTF16, UMLAUTS),
        ("Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n", UTF16_BIG, UMLAUTS),
        ("Content-Type: text/html; charset=iso-8859-1\n", b"<html><body><p>x</p></body></html>\r\n", UMLAUTS),
        ("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n", as_base64("<p>ü".encode()), UMLAUTS),
        ("Content-Type: text/plain; charset=iso-2022-jp\n", "日本\r\n".encode("iso-2022-jp"), STAMP),
    ],
)  # fmt: skip
def test_stamp_stands_behind_the_text_in_its_own_charset(head: str, body: bytes, stamp: str) -> None:
    raw = b"Subject: x\r\nMIME-Version: 1.0\r\n" + crlf(head) + b"\r\n" + body
    result, whole = rewrite(raw, RewriteOrder(stamp=stamp))
    assert result.stamped
    before, after = parsed(raw, "1"), parsed(whole, "1")

    seen = html.unescape(text(after))
    for line in stamp.splitlines():
        assert line in seen
    if after.get_content_type() == "text/plain":
        assert text(after).startswith(text(before).removesuffix("="))
        assert text(after).replace("\r\n", "\n").count("\n\n" + stamp.split("\n", maxsplit=1)[0]) <= 1
    assert max(map(len, whole.split(b"\r\n"))) <= 998
    # What the milter is told is what the whole message has.
    rebuilt, _ = changed(
        raw[: raw.index(b"\r\n\r\n") + 2], [Change(name=e.name, value=e.value) for e in result.headers]
    )
    assert whole.startswith(rebuilt + b"\r\n")


def test_stamp_leaves_lines_that_are_joined_joined() -> None:
    raw = b"MIME-Version: 1.0\r\nContent-Type: text/plain; format=Flowed; delsp=yes\r\n\r\none \r\ntwo\r\n"
    _, whole = rewrite(raw, RewriteOrder(stamp=UMLAUTS))
    assert b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n" in whole


def test_stamp_stands_in_both_alternatives_and_in_no_attachment() -> None:
    alternative = mixed(PLAIN, HTML, boundary="inner", kind="alternative").split(b"MIME-Version: 1.0\r\n", 1)[
        1
    ]
    named = b'Content-Type: text/plain; name="notes.txt"\r\n\r\nnotes\r\n'
    raw = mixed(alternative, named, attachment(b"MZ"))
    result, whole = rewrite(raw, RewriteOrder(stamp="Stamp words"))
    assert result.stamped
    assert whole.count(b"Stamp words") == 2
    assert b"Stamp words" in span(whole, "1.1.1")
    assert b"Stamp words" in span(whole, "1.1.2")
    assert span(whole, "1.2") == named
    assert result.headers == ()


@pytest.mark.parametrize(
    "raw",
    [
        mixed(PLAIN, attachment(b"s", "smime.p7s"), kind="signed"),
        mixed(PLAIN, b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n"),
        crlf("Content-Type: application/pkcs7-mime; name=smime.p7m\n\nabc\n"),
        crlf("Subject: x\n\n-----BEGIN PGP SIGNED MESSAGE-----\ntext\n"),
        crlf("Subject: x\n\n-----BEGIN PGP MESSAGE-----\ntext\n"),
        crlf("Content-Type: application/pdf\n\nabc\n"),
        crlf("Content-Type: text/plain; charset=x-none\n\nabc\n"),
    ],
)
def test_signed_and_encrypted_mail_is_not_stamped(raw: bytes) -> None:
    result, whole = rewrite(raw, RewriteOrder(stamp=STAMP))
    assert (result.stamped, whole) == (False, raw)


def test_stamp_and_edit_go_together() -> None:
    result, whole = rewrite(mixed(PLAIN, attachment(b"MZ")), order(("1.2", "warn"), stamp="Stamp words"))
    assert result.stamped
    assert b"Stamp words" in span(whole, "1.1")
    assert parsed(whole, "1.2").get_filename() == "warn.txt"

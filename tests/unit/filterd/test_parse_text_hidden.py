"""Files that hide in text, and the containers of mail programs: TNEF, BinHex, AppleDouble, CMS."""

import base64
import binascii

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.parse.charsets import text_of, transcoded
from filterd.parse.cms import is_cms
from filterd.parse.forks import is_macbinary
from filterd.parse.text_encodings import binhexed, uuencoded, yencoded
from filterd.parse.transfer import decode, encodings
from tests.corpus.writers.textcodes import binhex, uuencode, xxencode, yencode, yencode_parts

from .reading import HEAD, read

CONTENT = b"MZ" + bytes(range(256)) * 2


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        (["base64"], ("base64",)),
        (["\r\n BASE64"], ("base64",)),
        (['(a) "Base64"; x=y'], ("base64",)),
        (["7bit", "base64"], ("plain", "base64")),
        (["x-mine"], ("",)),
        (["base\r\n 64"], ("base64",)),
        (["x-uuencode"], ("uu",)),
        ([], ()),
    ],
)
def test_encodings(values: list[str], meant: tuple[str, ...]) -> None:
    assert encodings(values) == meant


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=400))
def test_codes_give_back_what_was_put_in(content: bytes) -> None:
    assert [block.data for block in uuencoded(uuencode(content))][:1] == [content]
    assert content in [block.data for block in uuencoded(xxencode(content))]
    assert [block.data for block in yencoded(yencode(content))] == [content]
    assert decode(binascii.b2a_base64(content), ("base64",)).first == content
    assert decode(binascii.b2a_qp(content, istext=False), ("qp",)).first == content


def test_binhex_gives_the_data_fork() -> None:
    assert [(block.name, block.data) for block in binhexed(binhex(CONTENT))] == [("notes.dat", CONTENT)]


def test_yenc_parts_are_joined() -> None:
    assert CONTENT in [block.data for block in yencoded(b"".join(reversed(yencode_parts(CONTENT, 99))))]


def test_base64_is_read_in_each_way_where_readers_differ() -> None:
    two = base64.b64encode(b"first") + b"\r\n" + base64.b64encode(b"second, and longer than twenty letters")
    decoded = decode(two, ("base64",))
    results = {decoded.first, *(data for _, data in decoded.others)}
    assert {b"first", b"firstsecond, and longer than twenty letters"} <= results
    assert decoded.problem == "base64"


def test_a_footer_behind_base64_is_only_a_tail() -> None:
    body = base64.b64encode(b"content!") + b"\r\n_______________________________\r\nlist mailing list\r\n"
    assert decode(body, ("base64",)).problem == "tail"


@pytest.mark.parametrize(
    "text",
    [
        b"Hello\r\n" + base64.encodebytes(CONTENT).replace(b"\n", b"\r\n"),
        b"> " + base64.encodebytes(CONTENT).replace(b"\n", b"\r\n> "),
        b"ATTACH;ENCODING=BASE64:" + base64.encodebytes(CONTENT).replace(b"\n", b"\r\n "),
        b"x=" + base64.urlsafe_b64encode(CONTENT) + b";",
        uuencode(CONTENT),
        b"".join(b"> " + line + b"\r\n" for line in uuencode(CONTENT).splitlines()),
    ],
    ids=["word-before", "quoted", "midway", "url-alphabet", "uu", "uu-quoted"],
)
def test_hidden_files_are_found_in_plain_text(text: bytes) -> None:
    _, contents = read(HEAD + b"\r\nDear reader,\r\n\r\n" + text + b"\r\nbye\r\n")
    assert any(content.startswith(CONTENT) for content in contents)


def test_signatures_and_links_are_no_files() -> None:
    token = base64.urlsafe_b64encode(bytes((at * 7919 + 13) % 256 for at in range(100)))
    text = b"https://x.example/?t=" + token + b"\r\n"
    anatomy, _ = read(HEAD + b"\r\n" + text * 50)
    assert len(anatomy.leaves) == 1


def test_charsets() -> None:
    assert text_of(b"\xe4", "iso-8859-1") == "ä"
    assert text_of(b"\xe4", "punycode") == "ä"
    assert ("utf-16", b"plain text") in list(transcoded("plain text".encode("utf-16"), ""))
    assert list(transcoded(b"1 + 1 = 2, c++ and +49", "")) == []


def test_what_is_none_of_them_is_not_taken_for_one() -> None:
    assert not is_cms(b"\x30\x03abc")
    assert not is_macbinary(bytes(200))

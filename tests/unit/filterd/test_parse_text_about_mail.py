"""Texts that speak of mail: what they show looks like messages, is looked at, and is neither deep nor malformed."""

import base64
import gzip
import io
import tarfile

import pytest

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.parse.anatomise import anatomise
from tests.corpus.mail import file_part, mixed, text_part
from tests.unit.filterd.reading import HEAD, MODES

CASES = 60
HIDDEN = b"What stands behind all of the text, and is a file of its own. " * 9


def packed(text: bytes, name: str = "notes.md") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        made.addfile(entry, io.BytesIO(text))
    return mixed("test", text_part(), file_part(gzip.compress(file.getvalue()), b"notes.tgz"))


def counting(anatomy: Anatomy) -> set[str]:
    return {found.rule for found in anatomy.findings if MODES.get(found.rule, "on") == "on"}


def manual(separator: str, indent: str) -> bytes:
    """Return a manual in Markdown that shows one message after another."""
    lines = ["# Replies of the desk", "", "Every block is one reply as the clerk's mailbox has it.", ""]
    for number in range(CASES):
        lines += [f"## Reply {number}", "", separator, f"{indent}From: clerk{number}@office.example"]
        lines += [f"{indent}Subject: Your request {number}", f"{indent}Content-Type: text/plain", ""]
        lines += [f"{indent}We took it down and answer within {number + 2} days.", ""]
    return "\n".join(lines).encode()


def repeated(block: str) -> bytes:
    return "".join(block.replace("#", str(number)) for number in range(CASES)).encode()


TEXTS = {
    "headers, one mail after the other": repeated(
        "From: clerk#@office.example\nSubject: Request #\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\n"
    ),
    "headers with types": repeated(
        "From: clerk#@office.example\nSubject: Request #\nContent-Type: text/plain\n\n"
    ),
    "answers of a web server": repeated(
        "$ fetch http://shop.example/#\nHTTP/1.1 200 OK\nContent-Type: text/html\n\n<html>#</html>\n\n"
    ),
    "multiparts": repeated(
        'Case #\n\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b#"\n\n'
        "--b#\nContent-Type: text/plain\n\nGood morning #\n--b#--\n\n"
    ),
    "forwarded again and again": repeated(
        "From: clerk#@office.example\nTo: desk@office.example\nSubject: Request #\n\nSee below, #.\n\n"
        "-----Original Message-----\n"
    ),
}


@pytest.mark.parametrize("indent", ["", "    ", "> "], ids=["plain", "indented", "quoted"])
@pytest.mark.parametrize("separator", ["", "---", "--- 8< ---"])
def test_a_manual_that_shows_messages_is_not_refused(separator: str, indent: str) -> None:
    anatomy, _ = anatomise(packed(manual(separator, indent)), Inspection())
    assert counting(anatomy) == set()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("name", TEXTS)
def test_texts_full_of_headers_are_not_refused(name: str, line_end: bytes) -> None:
    text = TEXTS[name].replace(b"\n", line_end)
    anatomy, _ = anatomise(packed(text), Inspection())
    assert counting(anatomy) == set()


def test_a_body_full_of_headers_is_not_refused() -> None:
    body = TEXTS["headers with types"].replace(b"\n", b"\r\n")
    anatomy, _ = anatomise(HEAD + b"\r\n" + body, Inspection())
    assert counting(anatomy) == set()


@pytest.mark.parametrize("name", ["", *TEXTS])
def test_what_hides_behind_such_a_text_is_found(name: str) -> None:
    text = TEXTS.get(name, b"".join(b"Paragraph %d.\n\n" % number for number in range(CASES)))
    part = b"\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
    _, contents = anatomise(packed(text + part + base64.encodebytes(HIDDEN)), Inspection())
    assert any(content.startswith(HIDDEN) for content in contents)


def test_what_stands_plain_behind_a_head_is_offered_from_its_start() -> None:
    text = b"Some words.\n\nContent-Type: text/plain\n\n" + HIDDEN
    _, contents = anatomise(packed(text), Inspection())
    assert any(content.startswith(HIDDEN) for content in contents)

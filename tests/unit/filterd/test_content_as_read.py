"""The operator's patterns are held against text as a reader has it, however its lines were wrapped on their way."""

import pytest

from filterd.config.inspection import ContentRule, Inspection
from filterd.parse.anatomise import anatomise

from .reading import HEAD


def matches(pattern: str, kind: str, body: str, subject: str = "Order") -> bool:
    rule = ContentRule(name="mine", pattern=pattern)
    head = HEAD.decode().replace("Order", subject)
    raw = f"{head}Content-Type: {kind}; charset=utf-8\n\n{body}\n".replace("\r\n", "\n").replace("\n", "\r\n")
    anatomy, _ = anatomise(raw.encode(), Inspection(content=(rule,)))
    return any(found.rule == "content.mine" for found in anatomy.findings)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", "<p>the secret\nheron</p>"),
        ("text/html", "<p>the secret\n <b>heron</b></p>"),
        ("text/plain; format=flowed", "the secret \nheron"),
        ("text/plain; format=flowed", "> the secret \n> heron"),
        ("text/plain; format=flowed; delsp=yes", "the sec \nret heron"),
        ("text/plain; format=flowed; delsp=yes", "the secret \nheron"),
        ("text/plain", "the secret  \t heron"),
        ("text/calendar", "BEGIN:VCALENDAR\nSUMMARY:the secret her\n on\nEND:VCALENDAR"),
        ("text/vcard", "BEGIN:VCARD\nNOTE:the secr\n\tet heron\nEND:VCARD"),
    ],
)
def test_a_phrase_is_found_across_the_ends_of_lines_that_nobody_sees(kind: str, body: str) -> None:
    assert matches("secret heron", kind, body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", "<p>secret<p>heron"),
        ("text/html", "secret<br>heron"),
        ("text/html", "<pre>secret\nheron</pre>"),
        ("text/plain; format=flowed", "secret\nheron"),
        ("text/plain; format=flowed", "secret\n-- \nheron"),
        ("text/calendar", "SUMMARY:secret\\nheron"),
    ],
)
def test_lines_that_the_reader_sees_stay(kind: str, body: str) -> None:
    assert not matches("secret heron|-- heron", kind, body)
    assert matches("secret$", kind, body)
    assert matches("^heron", kind, body)


def test_a_subject_folded_with_a_tab_is_read_with_a_blank() -> None:
    assert matches("secret heron", "text/plain", "hi", "the secret\n\theron")


def test_a_link_in_a_folded_line_of_an_invitation_is_one_link() -> None:
    folded = "DESCRIPTION:Join\\nhttps://www.bank.exa\n mple@evil.test/x\\nBye"
    body = f"BEGIN:VCALENDAR\n{folded}\nEND:VCALENDAR"
    raw = HEAD + f"Content-Type: text/calendar\n\n{body}\n".replace("\n", "\r\n").encode()
    found = [one for one in anatomise(raw, Inspection())[0].findings if one.rule == "link.userinfo"]
    assert [one.detail for one in found] == ["https://www.bank.example@evil.test/x"]

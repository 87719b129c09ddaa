"""The one author of a message, for lists of senders (R08): plainly written, and nobody else like an address beside him."""

import pytest

from filterd.config.inspection import Inspection
from filterd.parse.anatomise import anatomise


def author(*fields: str) -> str:
    head = "".join(f"{one}\r\n" for one in fields).encode()
    return anatomise(head + b"Subject: x\r\n\r\nbody\r\n", Inspection())[0].author


@pytest.mark.parametrize(
    "value",
    [
        "a@b.example", "Alice <a@b.example>", '"Smith, Alice" <A@B.example>', '"a@b.example" <a@b.example>',
        "=?utf-8?b?w6Q=?= <a@b.example>", "Alice\r\n <a@b.example>",
    ],
)  # fmt: skip
def test_one_plain_author(value: str) -> None:
    assert author(f"From: {value}") == "a@b.example"


@pytest.mark.parametrize(
    "value",
    [
        "a@b.example, c@d.example", "x@evil.example <a@b.example>", '"x@evil.example" <a@b.example>',
        "=?utf-8?q?x=40evil.example?= <a@b.example>", "evil@evil.example =?utf-8?q?<a=40b.example>?=",
        "<a@b.example> (c)", '"a@b.example.evil.example" <a@b.example>', "G: a@b.example;", "", "<@r.example:a@b.example>",
        '"a"@b.example', "a@b.example <>", "<a@b.example> <c@d.example>", '"' + "\\\\" * 9000,
    ],
)  # fmt: skip
def test_none_where_two_readers_may_see_two(value: str) -> None:
    assert not author(f"From: {value}")


def test_none_where_there_are_two_fields() -> None:
    assert not author("From: a@b.example", "From: a@b.example")
    assert not author("From: a@b.example", "from : c@d.example")
    assert not author("To: a@b.example")


def test_an_attached_message_has_no_say() -> None:
    inner = b"From: c@d.example\r\n\r\nx\r\n"
    raw = b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    assert anatomise(raw, Inspection())[0].author == "a@b.example"

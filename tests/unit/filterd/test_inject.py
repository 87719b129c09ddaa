"""Injection: all recipients of all variants, or nobody."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filterd.carry.inject import InjectError, Letter, NeverInjectedError, inject
from filterd.config import InjectSettings
from tests.unit.filterd.mta import Mta


@pytest.fixture
def mta(tmp_path: Path) -> Iterator[Mta]:
    with Mta(tmp_path / "inject.sock") as server:
        yield server


def letter(
    content: bytes = b"Subject: x\r\n\r\nbody\r\n",
    *recipients: bytes,
    sender: bytes = b"<a@b.example>",
    piece: int = 1000,
) -> Letter:
    return Letter(
        sender=sender,
        recipients=recipients or (b"<c@d.example>",),
        content=[content[at : at + piece] for at in range(0, len(content), piece)],
        eight_bit=not content.isascii(),
    )  # fmt: skip


def send(server: Mta, *letters: Letter, timeout_s: float = 3.0) -> list[str]:
    chosen = InjectSettings(socket=str(server.path), timeout_s=timeout_s)
    return asyncio.run(inject(chosen, b"mx.example", letters))


def test_letters_arrive_with_their_own_recipients(mta: Mta) -> None:
    said = send(
        mta,
        letter(b"one\r\n", b"<x@d.example>", b"<y@d.example>", b"<x@d.example>"),
        letter(b"two\r\n", sender=b"<>"),
    )
    assert [one.split(" as ")[0] for one in said] == ["250 2.0.0 Ok: queued"] * 2
    assert mta.letters == [
        (b"<a@b.example>", [b"<x@d.example>", b"<y@d.example>"], b"one\r\n"),
        (b"<>", [b"<c@d.example>"], b"two\r\n"),
    ]  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from([b"\r\n", b".", b"..", b"a", b"\r\n.\r\n", b"\xff", b"\r", b"x" * 40]), max_size=30
    ),
    st.integers(1, 5),
)
def test_any_content_arrives_byte_for_byte(mta: Mta, parts: list[bytes], piece: int) -> None:
    content = b"".join(parts)
    mta.letters.clear()
    send(mta, letter(content, piece=piece))
    expected = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    assert mta.letters[0][2] == (expected or b"")


def test_bare_line_feed_does_not_end_a_message_early(mta: Mta) -> None:
    send(mta, letter(b"text\n.\r\nMAIL FROM:<evil@x.example>\r\n"))
    assert mta.letters[0][2].count(b"MAIL FROM") == 1
    assert len(mta.letters) == 1


def test_options_are_used_only_where_offered(mta: Mta) -> None:
    send(mta, letter(b"\xff\r\n", "<ü@d.example>".encode()))
    assert b"MAIL FROM:<a@b.example> BODY=8BITMIME SMTPUTF8\r\n" in mta.lines
    mta.extensions = ()
    mta.lines.clear()
    send(mta, letter(b"\xff\r\n"))
    assert b"MAIL FROM:<a@b.example>\r\n" in mta.lines
    with pytest.raises(InjectError, match="ASCII"):
        send(mta, letter(b"\r\n", "<ü@d.example>".encode()))


@pytest.mark.parametrize("stage", [b"", b"EHLO", b"MAIL", b"RCPT TO:<BAD", b"DATA", b"."])
@pytest.mark.parametrize(
    "answer",
    [b"451 4.3.0 later", b"550 5.1.1 no", b"nonsense", b"250-endless\r\n" * 200, b"x" * 10_000, None],
)
def test_refusal_anywhere_means_that_nobody_got_anything(
    mta: Mta, stage: bytes, answer: bytes | None
) -> None:
    mta.answers[stage] = answer
    with pytest.raises(InjectError):
        send(
            mta,
            letter(b"one\r\n", b"<good@d.example>", b"<bad@d.example>"),
            letter(b"two\r\n", b"<bad@d.example>"),
        )
    assert mta.letters == [] or stage == b"."
    assert len(mta.letters) <= 1


def test_second_letter_that_is_refused_keeps_the_first_from_being_sent(mta: Mta) -> None:
    mta.answers[b"RCPT TO:<BAD"] = b"550 5.1.1 no such user"
    with pytest.raises(InjectError, match=r"550 5\.1\.1 no such user"):
        send(mta, letter(b"one\r\n", b"<good@d.example>"), letter(b"two\r\n", b"<bad@d.example>"))
    assert mta.letters == []


@pytest.mark.parametrize(
    "bad", [b"a@b.example", b"<a@b>\r\nRCPT TO:<c@d>", b"<a b@c.example>", b"<a@b\x00>", b"", b"<<a@b>>"]
)
def test_address_that_would_be_a_command_is_not_sent(mta: Mta, bad: bytes) -> None:
    with pytest.raises(InjectError, match="SMTP command"):
        send(mta, letter(b"\r\n", bad))
    with pytest.raises(InjectError, match="SMTP command"):
        send(mta, letter(b"\r\n", sender=bad))
    assert mta.lines == []


@pytest.mark.parametrize(
    "address",
    [
        b'<"a b"@d.example>',
        b'<"a\\" b"@d.example>',
        b'<"a\\\\"@d.example>',
        # RFC 5322 4.4 and RFC 5321 appendix C: pieces of a local part, and whoever is behind a source route.
        b'<a."b c"@d.example>',
        b'<@x.example:"a b"@d.example>',
        b"<a\\ b@d.example>",
        b'<"a<b>"@d.example>',
    ],
)
def test_quoted_local_part_is_an_address(mta: Mta, address: bytes) -> None:
    send(mta, letter(b"\r\n", address))
    assert mta.letters[0][1] == [address]


@pytest.mark.parametrize("bad", [b'<"a\\"@d.example>', b'<"a" b"@d.example>', b'<"a\\\r\n"@d.example>'])
def test_quoting_that_does_not_end_is_no_address(mta: Mta, bad: bytes) -> None:
    with pytest.raises(NeverInjectedError, match="SMTP command") as caught:
        send(mta, letter(b" \r\n", bad, b"<c d@x>"))
    assert caught.value.obstacle == "address"


def test_address_of_any_length_is_looked_at_quickly(mta: Mta) -> None:
    started = time.monotonic()
    for long in (b'<"' + b"a " * 50_000 + b"@d>", b'<"a"' * 50_000, b"<" + b"\\a" * 480 + b'"'):
        with pytest.raises(NeverInjectedError, match="SMTP command"):
            send(mta, letter(b"\r\n", long))
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("stage", [b"MAIL", b"."])
def test_mta_that_says_too_large_will_say_so_for_ever(mta: Mta, stage: bytes) -> None:
    mta.answers[stage] = b"552 5.3.4 Error: message file too big"
    with pytest.raises(NeverInjectedError, match=r"552 5\.3\.4") as caught:
        send(mta, letter())
    assert caught.value.obstacle == "size"
    # RFC 5321 4.5.3.1.10: there it means too many recipients.
    mta.answers = {b"RCPT": b"552 5.3.4 Too many"}
    with pytest.raises(InjectError) as other:
        send(mta, letter())
    assert not isinstance(other.value, NeverInjectedError)


def test_mta_is_told_the_size_before_the_content(mta: Mta) -> None:
    send(mta, Letter(sender=b"<>", recipients=(b"<c@d.example>",), content=[b"x\r\n"], size=3))
    assert b"MAIL FROM:<> BODY=8BITMIME SIZE=3\r\n" in mta.lines


def test_what_the_sender_asked_to_be_told_goes_on(mta: Mta) -> None:
    asked = Letter(
        sender=b"<a@b.example>",
        recipients=(b"<c@d.example>", b"<e@d.example>"),
        content=[b"x\r\n"],
        eight_bit=False,
        sender_parameters=(b"RET=HDRS", b"ENVID=a+2Bb", b"SIZE=1", b"BODY=8BITMIME", b"smtputf8", b"AUTH=<>", b"RET=X"),
        parameters={b"<c@d.example>": (b"NOTIFY=NEVER", b"ORCPT=rfc822;c@old", b"X=y", b"NOTIFY=NEVER\r\nDATA")},
    )  # fmt: skip
    mta.extensions = (b"DSN", b"SMTPUTF8")
    send(mta, asked)
    assert b"MAIL FROM:<a@b.example> SMTPUTF8 RET=HDRS ENVID=a+2Bb\r\n" in mta.lines
    assert b"RCPT TO:<c@d.example> NOTIFY=NEVER ORCPT=rfc822;c@old\r\n" in mta.lines
    assert b"RCPT TO:<e@d.example>\r\n" in mta.lines
    mta.extensions = (b"8BITMIME",)
    send(mta, asked)
    assert b"MAIL FROM:<a@b.example> BODY=8BITMIME\r\n" in mta.lines
    mta.extensions = ()
    mta.lines.clear()
    send(mta, asked)
    assert b"MAIL FROM:<a@b.example>\r\n" in mta.lines
    assert b"RCPT TO:<c@d.example>\r\n" in mta.lines


def test_silent_or_absent_mta_is_an_error_in_time(mta: Mta, tmp_path: Path) -> None:
    with pytest.raises(InjectError, match="cannot be reached"):
        asyncio.run(inject(InjectSettings(socket=str(tmp_path / "none")), b"mx", [letter()]))
    mta.answers[b"MAIL"] = b"250-more to come"
    with pytest.raises(InjectError, match=r"no answer in 0\.2 s"):
        send(mta, letter(), timeout_s=0.2)


def test_message_without_recipients_is_refused_here(mta: Mta) -> None:
    with pytest.raises(InjectError, match="without recipients"):
        send(mta, Letter(sender=b"<>", recipients=(), content=[]))

"""Mail through the gateway: what passes is untouched, what must not pass is refused while its sender listens."""

import time
import uuid

import pytest

from audit.samples import EICAR, SAMPLES, Letter, build
from roles.mta.defences import DEFENCES
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.outside import HELO, Outside, Step, content, envelope, line

LIMIT = 26_214_400
VERIFIED_SECONDS = 60.0


# Headers, body and MAIL parameters of mail as it is, each with something that some server on its way would mend.
LEFT_ALONE = {
    "bcc": (b"Subject: x\r\nBcc: carol@bastide.example\r\n", b"text\r\n", ""),
    "return-path": (b"Return-Path: <other@sender.example>\r\nSubject: x\r\n", b"text\r\n", ""),
    "content-length": (b"Subject: x\r\nContent-Length: 6\r\n", b"text\r\n", ""),
    # RFC 5322 2.1.1 forbids it, much software sends it.
    "line-of-1500": (b"Subject: x\r\n", b"before\r\n" + b"word " * 300 + b"\r\nafter\r\n", ""),
    # RFC 6152
    "8-bit": (
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n",
        bytes(range(0xA0, 0x100)) + b"\r\n\x80\xff \xc3\xa4\r\n",
        " BODY=8BITMIME",
    ),
    "header-of-50-kB": (
        b"X-Long: begins\r\n"
        + b" folded text of a long header, 50 octets in a row\r\n" * 1000
        + b"Subject: x\r\n",
        b"text\r\n",
        "",
    ),
}


# What an MTA cannot leave alone, as mta.headers-unchanged says.
NOT_LEFT_ALONE = {
    ("sendmail", "bcc"): (b"Bcc: carol@bastide.example\r\n", b"Bcc:\r\n"),
    ("sendmail", "return-path"): (b"Return-Path: <other@sender.example>\r\n", b""),
}


def letter(mark: str, recipient: str = "bob@bastide.example") -> Letter:
    return Letter(sender="alice@sender.example", recipient=recipient, unique=mark, size_limit=LIMIT)


def mark() -> str:
    return f"mark-{uuid.uuid4().hex}"


@pytest.mark.parametrize("sample", ["clean", "dot-lines", "empty-body"])
def test_clean_mail_arrives_byte_for_byte(sample: str, wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    sent = build(sample, letter(unique))
    assert wan.sent(sent).startswith("250 ")
    (record,) = gateway.awaited(unique)
    assert record.content.endswith(sent)
    assert record.content.removesuffix(sent).startswith(b"Received: from client.sender.example")
    assert (record.sender, record.recipients) == ("alice@sender.example", ("bob@bastide.example",))


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_what_servers_like_to_mend_arrives_byte_for_byte(
    case: str, wan: Outside, gateway: GatewayHost
) -> None:
    unique = mark()
    headers, body, options = LEFT_ALONE[case]
    sent = f"Message-ID: <{unique}@sender.example>\r\n".encode() + headers + b"\r\n" + body
    helo, mail, *rest = envelope("bob@bastide.example")
    mail = Step(send=mail.send.replace("\r\n", f"{options}\r\n"))
    replies = wan.dialogue(helo, mail, *rest, content(sent), persist=False)
    assert replies[-1].startswith("250 2.0.0 "), replies
    (record,) = gateway.awaited(unique)
    arrives = sent.replace(*NOT_LEFT_ALONE.get((SETTINGS.mta, case), (b"", b"")))
    assert record.content.endswith(arrives)
    assert record.content.removesuffix(arrives).startswith(b"Received: from client.sender.example")


@pytest.mark.parametrize("sample", [name for name in SAMPLES if name.startswith(("eicar", "gtube"))])
def test_bad_mail_is_refused_and_nothing_of_it_arrives(
    sample: str, wan: Outside, gateway: GatewayHost
) -> None:
    unique = mark()
    reply = wan.sent(build(sample, letter(unique)))
    rule = "spam" if sample == "gtube" else "virus"
    assert reply.startswith("550 5.7.1 ")
    assert f"[{rule}." in reply
    probe = mark()
    assert wan.sent(build("clean", letter(probe))).startswith("250 ")
    gateway.awaited(probe)
    assert not gateway.received(unique)


def test_virus_in_a_chunk_is_refused(wan: Outside) -> None:
    # RFC 3030: BDAT is another way in for the same content.
    message = b"Subject: chunk\r\n\r\n" + EICAR + b"\r\n"
    *before, _data = envelope("bob@bastide.example")
    replies = wan.dialogue(*before, Step(send=f"BDAT {len(message)} LAST\r\n" + message.decode("latin-1")))
    # Sendmail 8.17 does not know the command: there is no such way in.
    assert replies[4].startswith("550 5.7.1 " if "CHUNKING" in replies[1] else "500 5.5.1 ")


def test_second_message_of_a_session_is_looked_at_too(wan: Outside, gateway: GatewayHost) -> None:
    first, third = mark(), mark()
    virus = build("eicar", letter(mark()))
    again = envelope("bob@bastide.example")[1:]
    replies = wan.dialogue(
        *envelope("bob@bastide.example"),
        content(build("clean", letter(first))),
        *again,
        content(virus),
        *again,
        content(build("clean", letter(third))),
    )
    ends = [reply for reply in replies if reply.startswith(("250 2.0.0", "550 "))]
    assert [end[:3] for end in ends] == ["250", "550", "250"]
    assert len(gateway.awaited(first)) == len(gateway.awaited(third)) == 1


def test_oversize_without_declaring_it_is_refused(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    assert wan.sent(build("oversize", letter(unique))).startswith("552 ")
    assert not gateway.received(unique)


def test_virus_behind_a_large_clean_part_is_found(wan: Outside) -> None:
    # P07: as large as the gateway takes, and only the last part is infected.
    filler = (b"x" * 76 + b"\r\n") * ((LIMIT - 2_000_000) // 78)
    head = b'Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_b"\r\n\r\n'
    message = (
        head
        + b"--=_b\r\n\r\n"
        + filler
        + b"--=_b\r\nContent-Type: text/plain\r\n\r\n"
        + EICAR
        + b"\r\n--=_b--\r\n"
    )
    reply = wan.sent(message)
    assert reply.startswith("550 5.7.1 "), reply


def test_many_recipients_all_get_it_and_too_many_are_deferred(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    # Each new mailbox is asked for at the next hop, which takes a second: a few of them, each named often.
    names = [f"user{number % 4}@bastide.example" for number in range(101)]
    replies = wan.dialogue(
        line(f"EHLO {HELO}"),
        line("MAIL FROM:<alice@sender.example>"),
        *[line(f"RCPT TO:<{name}>") for name in names],
        line("DATA"),
        content(build("clean", letter(unique))),
    )
    assert [reply[:3] for reply in replies[3:104]] == ["250"] * 100 + ["452"]
    got = [recipient for record in gateway.awaited(unique) for recipient in record.recipients]
    assert sorted(got) == sorted(set(names))


@pytest.mark.parametrize("ending", ["\n.\n", "\n.\r\n", "\r\n.\n"], ids=["lf-lf", "lf-crlf", "crlf-lf"])
def test_bare_line_feed_smuggles_no_second_message(ending: str, wan: Outside, gateway: GatewayHost) -> None:
    # CVE-2023-51764: to a lax server the first lone dot ends the message, and what follows are commands.
    unique = mark()
    # Its sender is one that the gateway takes mail from: only the line end can be what stops it.
    hidden = "MAIL FROM:<forged@sender.example>\r\nRCPT TO:<bob@bastide.example>\r\nDATA\r\n"
    body = f"Subject: {unique}\r\n\r\nfirst{ending}{hidden}Subject: {unique}\r\n\r\nsecond\r\n.\r\n"
    replies = wan.dialogue(*envelope("bob@bastide.example"), Step(send=body), line("NOOP"))
    accepted = replies[5].startswith("250 2.0.0 ")
    assert accepted or replies[5].startswith("5"), replies
    assert replies[6].lower().startswith("250 2.0.0 ok") or replies[6] == "closed", replies
    if accepted:
        gateway.awaited(unique)
    # Whatever was smuggled went into the queue before this one.
    after = mark()
    assert wan.sent(build("clean", letter(after))).startswith("250 ")
    gateway.awaited(after)
    records = gateway.received(unique)
    assert [record.sender for record in records] == (["alice@sender.example"] if accepted else [])
    assert all(b"forged@sender.example" in record.content for record in records)


def test_mail_to_the_gateway_itself_reaches_its_administrator(wan: Outside, gateway: GatewayHost) -> None:
    # RFC 5321 4.5.1: postmaster is always there.
    unique = mark()
    assert wan.sent(build("clean", letter(unique)), "postmaster@mx1.bastide.example").startswith("250 ")
    (record,) = gateway.awaited(unique)
    assert record.recipients == ("postmaster@bastide.example",)


def test_unknown_mailbox_of_the_gateway_is_refused(wan: Outside) -> None:
    replies = wan.dialogue(
        line(f"EHLO {HELO}"),
        line("MAIL FROM:<alice@sender.example>"),
        line("RCPT TO:<nobody@mx1.bastide.example>"),
    )
    assert replies[-1].startswith("550 5.1.1 ")


def test_recipient_that_the_next_hop_does_not_know_is_refused_in_the_session(
    wan: Outside, gateway: GatewayHost
) -> None:
    if why := next(each for each in DEFENCES if each.id == "mta.recipient-verified").lacks.get(SETTINGS.mta):
        pytest.skip(why)
    before = set(gateway.queue())
    name = f"unknown-{uuid.uuid4().hex}@bastide.example"
    asked = (line(f"EHLO {HELO}"), line("MAIL FROM:<alice@sender.example>"), line(f"RCPT TO:<{name}>"))
    deadline = time.monotonic() + VERIFIED_SECONDS
    # Until the next hop has answered the gateway, its sender is told to try again.
    while (said := wan.dialogue(*asked)[-1]).startswith("450 4.1.1 "):
        assert time.monotonic() < deadline, said
        time.sleep(1)
    assert said.startswith("550 5.1.1 "), said
    # A bounce would wait here: nobody listens at its sender.
    while set(gateway.queue()) - before:
        assert time.monotonic() < deadline, gateway.queue()
        time.sleep(1)


def test_a_header_that_the_mta_would_cut_is_refused(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    folded = b"".join(b"\r\n " + b"y" * 70 for _ in range(1600))
    for header in (b"X-Long: " + b"x" * 117_000, b"X-Folded:" + folded):
        message = b"Subject: " + unique.encode() + b"\r\n" + header + b"\r\n\r\nbody\r\n"
        assert wan.sent(message).startswith(("552 5.3.4 ", "552 5.6.0 ", "451 4.7.1 ")), header[:9]
    assert not gateway.received(unique)

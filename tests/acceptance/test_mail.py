"""Mail through the gateway: what passes is untouched, what must not pass is refused while its sender listens."""

import uuid

import pytest

from audit.samples import EICAR, SAMPLES, Letter, build
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.outside import HELO, Outside, Step, content, envelope, line

LIMIT = 26_214_400


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
    assert replies[-1].startswith("550 5.7.1 ")


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
    names = [f"user{number}@bastide.example" for number in range(101)]
    replies = wan.dialogue(
        line(f"EHLO {HELO}"),
        line("MAIL FROM:<alice@sender.example>"),
        *[line(f"RCPT TO:<{name}>") for name in names],
        line("DATA"),
        content(build("clean", letter(unique))),
    )
    assert [reply[:3] for reply in replies[3:104]] == ["250"] * 100 + ["452"]
    got = [recipient for record in gateway.awaited(unique) for recipient in record.recipients]
    assert sorted(got) == sorted(names[:100])


def test_bare_line_feed_smuggles_no_second_message(wan: Outside, gateway: GatewayHost) -> None:
    # CVE-2023-51764: to a lax server the first lone dot ends the message, and what follows are commands.
    unique = mark()
    hidden = f"MAIL FROM:<forged@bastide.example>\nRCPT TO:<bob@bastide.example>\nDATA\nSubject: {unique}\n\nsecond"
    body = f"Subject: {unique}\r\n\r\nfirst\n.\n{hidden}\r\n.\r\n"
    for ending in ("\n.\n", "\n.\r\n", "\r\n.\n"):
        replies = wan.dialogue(
            *envelope("bob@bastide.example"), Step(send=body.replace("\n.\n", ending, 1)), line("NOOP")
        )
        assert replies[-2][:3] in {"250", "550"}, ending
        assert replies[-1].startswith("250 2.0.0 Ok") or replies[-1] == "closed", ending
    for record in gateway.received(unique):
        assert record.sender == "alice@sender.example"


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

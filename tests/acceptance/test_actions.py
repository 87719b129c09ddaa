"""Each action through a real MTA: what the sender saw, what each recipient got, what was kept (R11 to R22)."""

import base64
import email
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from email.policy import SMTP, compat32
from typing import Any

import pytest

from audit.samples import EICAR
from tests.acceptance import dkim
from tests.acceptance.gateway import GatewayHost, Record
from tests.acceptance.outside import HELO, Outside, content, line
from tests.acceptance.policy import policy, stored

BOB, CAROL, DAVE = (f"{name}@bastide.example" for name in ("bob", "carol", "dave"))
ADMIN = "postmaster@bastide.example"
PLAIN = (
    b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"Gr\xfc\xdfe,   \r\n.dot\r\n\t\r\nlong " + b"word " * 180 + b"end"
)
PICTURE = b"Content-Type: application/octet-stream; name=data.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\nBgcICQ=="


def mark() -> str:
    return f"mark-{uuid.uuid4().hex}"


def attachment(data: bytes, name: str = "x.exe") -> bytes:
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    return (
        f'Content-Type: application/octet-stream; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    ).encode() + encoded


def letter(unique: str, *parts: bytes) -> bytes:
    head = (
        f"From: Alice <alice@sender.example>\r\nTo: bob@bastide.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        f"Message-ID: <{unique}@sender.example>\r\nx-odd:\tcase \r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed;\r\n\tboundary="=_b"\r\n\r\npreamble\r\n'
    ).encode()
    return head + b"".join(b"--=_b\r\n" + part + b"\r\n" for part in parts) + b"--=_b--\r\nepilogue\r\n"


def send(wan: Outside, message: bytes, *recipients: str) -> str:
    replies = wan.dialogue(
        line(f"EHLO {HELO}"),
        line("MAIL FROM:<alice@sender.example> BODY=8BITMIME"),
        *[line(f"RCPT TO:<{who}>") for who in recipients or (BOB,)],
        line("DATA"),
        content(message),
        persist=False,
    )
    return replies[-1]


def delivered(gateway: GatewayHost, unique: str, *, count: int = 1) -> list[Record]:
    """Return what arrived of a message, without what the gateway's MTA puts on top of it."""
    return gateway.awaited(unique, count)


def own(record: Record) -> bytes:
    """Return a record's content without the traces of the way it took; none of these letters brings one along."""
    header, gap, body = record.content.partition(b"\r\n\r\n")
    return re.sub(rb"(?m)^Received:.*\r\n(?:[ \t].*\r\n)*", b"", header + b"\r\n") + gap[2:] + body


def nothing_arrived(wan: Outside, gateway: GatewayHost, unique: str) -> bool:
    """Send something clean behind it; when that is there and the queue is empty, the other will not come."""
    probe = mark()
    assert send(wan, letter(probe, PLAIN)).startswith("250 ")
    gateway.awaited(probe)
    return not gateway.received(unique)


def part(message: bytes, number: int) -> "Message[str, str]":
    tree = email.message_from_bytes(message, policy=compat32)
    found: Any = tree.get_payload()
    one = found[number - 1]
    assert isinstance(one, Message)
    return one


def data(message: "Message[str, str]") -> bytes:
    content = message.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


@contextmanager
def banned(gateway: GatewayHost, *chain: str, **more: Any) -> Iterator[None]:
    with policy(gateway, {"banned": chain}, **more):
        yield


@pytest.mark.parametrize("form", ["simple", "relaxed"])
def test_untouched_mail_keeps_its_dkim_signature(form: str, wan: Outside, gateway: GatewayHost) -> None:
    key, unique = dkim.new_key(), mark()
    sent = dkim.signed(letter(unique, PLAIN, PICTURE), key, form)
    assert dkim.verifies(sent, key)
    assert not dkim.verifies(sent.replace(b"Gr\xfc", b"gr\xfc"), key)
    assert not dkim.verifies(sent.replace(b"=C3=BC", b"=C3=BD"), key)
    assert send(wan, sent).startswith("250 ")
    (record,) = delivered(gateway, unique)
    assert own(record) == sent
    assert dkim.verifies(own(record), key)


def test_clean_takes_the_part_out_and_marks_the_rest(wan: Outside, gateway: GatewayHost) -> None:
    # R11
    unique = mark()
    with policy(gateway, {"infected": ("tag", "clean", "reject")}):
        assert send(wan, letter(unique, PLAIN, attachment(EICAR, "eicar.com"), PICTURE)).startswith("250 ")
        (record,) = delivered(gateway, unique)
    assert own(record) == b"X-Bastide-Tag: infected virus.signature\r\n" + letter(unique, PLAIN, PICTURE)
    assert record.recipients == (BOB,)


def test_clean_that_is_not_possible_gives_way_to_reject(wan: Outside, gateway: GatewayHost) -> None:
    # R11: "if it cannot, next action in the chain; if none, reject".
    unique = mark()
    message = letter(unique, PLAIN).replace(b"x-odd:", b"X-Virus: " + EICAR + b"\r\nx-odd:")
    for chain in (("clean",), ("clean", "delete"), ("clean", "delete", "rename", "reject")):
        with policy(gateway, {"infected": chain}):
            assert send(wan, message).startswith("550 5.7.1 Message refused: virus [virus.signature] id=")
    assert nothing_arrived(wan, gateway, unique)


def test_move_keeps_the_message_and_delivers_nothing(wan: Outside, gateway: GatewayHost) -> None:
    # R12
    unique = mark()
    sent = letter(unique, PLAIN, attachment(b"MZ"))
    with banned(gateway, "move"):
        reply = send(wan, sent, BOB, CAROL)
        assert reply.startswith("250 2.0.0 ")
        assert nothing_arrived(wan, gateway, unique)
        ((entry, message),) = stored(gateway, "quarantine", unique)
    assert message == sent
    assert entry["recipients"] == [BOB, CAROL]
    assert (entry["sender"], entry["fate"], entry["verdict"]) == ("alice@sender.example", "move", "banned")
    assert entry["queue_id"] in reply
    assert message[entry["header_bytes"] :].startswith(b"preamble")
    assert {found["path"] for found in entry["findings"]} == {"1.2"}


def test_copy_goes_on_down_the_chain(wan: Outside, gateway: GatewayHost) -> None:
    # R13
    unique = mark()
    sent = letter(unique, PLAIN, attachment(b"MZ"))
    with banned(gateway, "copy", "archive", "ignore"):
        assert send(wan, sent).startswith("250 ")
        (record,) = delivered(gateway, unique)
        for kind in ("copy", "archive"):
            ((entry, message),) = stored(gateway, kind, unique)
            assert (entry["recipients"], message) == ([BOB], sent)
    assert own(record) == sent


SIZES = (0, 10, 250_000, 5_000_000)


def test_delete_leaves_a_warning_of_exactly_the_same_size(wan: Outside, gateway: GatewayHost) -> None:
    # R14
    with banned(gateway, "delete", "reject"):
        for size in SIZES:
            unique = mark()
            sent = letter(unique, PLAIN, attachment(b"M" * size), PICTURE)
            assert send(wan, sent).startswith("250 ")
            (record,) = delivered(gateway, unique)
            got = own(record)
            warn = part(got, 2)
            assert len(data(warn)) == size
            assert (warn.get_content_type(), warn.get_filename(), warn.get_param("name")) == (
                "text/plain",
                "warn.txt",
                "warn.txt",
            )
            if size >= 1000:
                assert b"x.exe" in data(warn)
                assert set(data(warn)[1000:]) == {0x20}
            head, tail = sent.split(attachment(b"M" * size))
            assert got.startswith(head)
            assert got.endswith(tail)


def test_delete_of_the_only_part_makes_the_body_a_warning(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    head = f"Subject: x\r\nMessage-ID: <{unique}@sender.example>\r\n".encode()
    sent = head + attachment(b"M" * 500) + b"\r\n"
    with banned(gateway, "clean", "delete", "discard"):
        assert send(wan, sent).startswith("250 ")
        (record,) = delivered(gateway, unique)
    got = email.message_from_bytes(own(record), policy=compat32)
    assert (got.get_filename(), len(data(got))) == ("warn.txt", 500)
    assert len(got.get_all("content-type", [])) == len(got.get_all("mime-version", [])) == 1
    assert own(record).startswith(head)


def test_delete_notice_leaves_a_short_text(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    sent = letter(unique, PLAIN, attachment(b"M" * 90_000), PICTURE)
    with banned(gateway, "delete notice", "reject"):
        assert send(wan, sent).startswith("250 ")
        (record,) = delivered(gateway, unique)
    notice = part(own(record), 2)
    assert b"x.exe" in data(notice)
    assert len(data(notice)) < 1000
    assert own(record).endswith(b"\r\n--=_b\r\n" + PICTURE + b"\r\n--=_b--\r\nepilogue\r\n")


def test_rename_makes_the_name_harmless_and_keeps_the_content(wan: Outside, gateway: GatewayHost) -> None:
    # R15
    unique = mark()
    sent = letter(unique, PLAIN, attachment(bytes(range(256)) * 9), PICTURE)
    with banned(gateway, "rename", "reject"):
        assert send(wan, sent).startswith("250 ")
        (record,) = delivered(gateway, unique)
    got = part(own(record), 2)
    assert (got.get_filename(), got.get_param("name"), got.get_content_type()) == (
        "x.exe.txt",
        "x.exe.txt",
        "application/octet-stream",
    )
    assert data(got) == bytes(range(256)) * 9
    assert (
        own(record)
        .replace(b"x.exe.txt", b"x.exe")
        .replace(b";\r\n ", b"; ")
        .endswith(sent.split(b"--=_b\r\n", 2)[2].replace(b";\r\n ", b"; "))
    )


def test_ignore_delivers_it_as_it_came(wan: Outside, gateway: GatewayHost) -> None:
    # R16
    unique = mark()
    sent = letter(unique, PLAIN, attachment(b"MZ"))
    with banned(gateway, "ignore"):
        assert send(wan, sent).startswith("250 ")
        (record,) = delivered(gateway, unique)
    assert own(record) == sent


def test_reject_is_told_in_the_session_and_nothing_is_kept(wan: Outside, gateway: GatewayHost) -> None:
    # R17
    unique = mark()
    with banned(gateway, "reject"):
        reply = send(wan, letter(unique, PLAIN, attachment(b"MZ")))
        assert reply.startswith(
            "550 5.7.1 Message refused: content of this kind is not accepted [attachment.extension] id="
        )
        assert nothing_arrived(wan, gateway, unique)
        assert [stored(gateway, kind, unique) for kind in ("quarantine", "copy", "archive", "discarded")] == [
            []
        ] * 4
    assert gateway.queue() == []


def test_discard_says_yes_and_keeps_it_for_some_days(wan: Outside, gateway: GatewayHost) -> None:
    # R18
    unique = mark()
    sent = letter(unique, PLAIN, attachment(b"MZ"))
    with banned(gateway, "discard"):
        assert send(wan, sent).startswith("250 2.0.0 ")
        assert nothing_arrived(wan, gateway, unique)
        ((entry, message),) = stored(gateway, "discarded", unique)
    assert (entry["recipients"], message) == ([BOB], sent)


def test_papers_chain_ends_where_its_first_possible_step_is(wan: Outside, gateway: GatewayHost) -> None:
    # R19, in the papers' words: clean, delete, discard.
    first, second, third = mark(), mark(), mark()
    with policy(gateway, {"infected": ("clean", "delete", "discard")}):
        assert send(wan, letter(first, PLAIN, attachment(EICAR, "a.txt"))).startswith("250 ")
        alone = (
            f"Subject: x\r\nMessage-ID: <{second}@sender.example>\r\n".encode()
            + attachment(EICAR, "a.txt")
            + b"\r\n"
        )
        assert send(wan, alone).startswith("250 ")
        hidden = letter(third, PLAIN).replace(b"x-odd:", b"X-Virus: " + EICAR + b"\r\nx-odd:")
        assert send(wan, hidden).startswith("250 ")
        (cleaned,) = delivered(gateway, first)
        (deleted,) = delivered(gateway, second)
        assert nothing_arrived(wan, gateway, third)
        assert len(stored(gateway, "discarded", third)) == 1
    assert own(cleaned) == letter(first, PLAIN)
    assert len(data(email.message_from_bytes(own(deleted), policy=compat32))) == len(EICAR)


def test_tag_marks_header_and_subject_and_removes_forged_marks(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    forged = letter(unique, PLAIN, attachment(b"MZ")).replace(
        b"x-odd:", b"X-Bastide-Tag: clean\r\nX-BASTIDE-Verdict: clean\r\nx-odd:"
    )
    with banned(gateway, "tag subject", "ignore"):
        assert send(wan, forged).startswith("250 ")
        (record,) = delivered(gateway, unique)
    got = own(record)
    assert got == b"X-Bastide-Tag: banned attachment.extension\r\n" + letter(
        unique, PLAIN, attachment(b"MZ")
    ).replace(b"Subject: =?", b"Subject: [banned] =?")
    assert email.message_from_bytes(got, policy=SMTP)["subject"] == "[banned] Grüße"


def test_stamp_is_appended_and_left_out_on_signed_mail(wan: Outside, gateway: GatewayHost) -> None:
    first, second = mark(), mark()
    stamps = {"notify": {"stamps": {"legal": "Geprüft."}}}
    with banned(gateway, "stamp legal", "ignore", tables=stamps):
        assert send(wan, letter(first, PLAIN, attachment(b"MZ"), PICTURE)).startswith("250 ")
        signed = letter(second, PLAIN, attachment(b"MZ")).replace(
            b"multipart/mixed;",
            b'multipart/signed; micalg=sha-256;\r\n\tprotocol="application/pkcs7-signature";',
        )
        assert send(wan, signed).startswith("250 ")
        (stamped,) = delivered(gateway, first)
        (left,) = delivered(gateway, second)
    assert own(stamped) == letter(first, PLAIN + b"\r\n\r\nGepr\xfcft.\r\n", attachment(b"MZ"), PICTURE)
    assert own(left) == signed


GROUPS = (
    {"name": "lab", "recipients": [CAROL], "chains": {"infected": ["ignore"]}},
    {"name": "careful", "recipients": [DAVE], "chains": {"infected": ["move"]}},
)


def test_recipients_of_one_message_meet_different_fates(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com"), PICTURE)
    with policy(gateway, {"infected": ("tag", "clean", "reject")}, *GROUPS):
        reply = send(wan, sent, BOB, CAROL, DAVE)
        assert reply.startswith("250 2.0.0 ")
        records = {record.recipients: record for record in delivered(gateway, unique, count=2)}
        assert nothing_arrived(wan, gateway, mark())
        ((entry, message),) = stored(gateway, "quarantine", unique)
    assert set(records) == {(BOB,), (CAROL,)}
    assert own(records[CAROL,]) == sent
    assert own(records[BOB,]) == b"X-Bastide-Tag: infected virus.signature\r\n" + letter(
        unique, PLAIN, PICTURE
    )
    assert {record.sender for record in records.values()} == {"alice@sender.example"}
    assert (entry["recipients"], message) == ([DAVE], sent)
    # The injected one tells of the client that sent it, as the carried one does.
    assert b"from client.sender.example" in records[BOB,].content
    assert entry["queue_id"].encode() in records[BOB,].content
    assert len(gateway.received(unique)) == 2


@pytest.mark.parametrize("refused", ["carried", "moved"])
def test_refusal_for_some_becomes_quarantine_for_them(
    refused: str, wan: Outside, gateway: GatewayHost
) -> None:
    unique = mark()
    sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com"))
    chain = ("ignore",) if refused == "carried" else ("discard",)
    with policy(
        gateway,
        {"infected": ("reject",)},
        {"name": "other", "recipients": [CAROL], "chains": {"infected": list(chain)}},
    ):
        reply = send(wan, sent, BOB, CAROL)
        assert reply.startswith("250 ")
        ((entry, _),) = stored(gateway, "quarantine", unique)
    assert (entry["recipients"], entry["wanted"]) == ([BOB], "reject")


def test_forward_sends_the_message_as_it_came(wan: Outside, gateway: GatewayHost) -> None:
    first, second = mark(), mark()
    sent = letter(second, PLAIN, attachment(b"MZ"))
    with banned(gateway, f"forward {DAVE}", "ignore"):
        assert send(wan, letter(first, PLAIN, attachment(b"MZ"))).startswith("250 ")
        along = delivered(gateway, first)
    with banned(gateway, f"forward {DAVE}", "clean", "reject"):
        assert send(wan, sent).startswith("250 ")
        records = {record.recipients: own(record) for record in delivered(gateway, second, count=2)}
    assert {who for record in along for who in record.recipients} == {BOB, DAVE}
    assert records == {(BOB,): letter(second, PLAIN), (DAVE,): sent}


def test_notices_reach_administrator_and_recipient(wan: Outside, gateway: GatewayHost) -> None:
    # R21, R22
    unique = mark()
    with policy(gateway, {"infected": ("notify admin recipient", "move")}):
        sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com")).replace(
            b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", unique.encode()
        )
        assert send(wan, sent).startswith("250 ")
        records = {record.recipients: record for record in delivered(gateway, unique, count=2)}
    assert set(records) == {(ADMIN,), (BOB,)}
    for record in records.values():
        assert record.sender in {"", "<>"}
        notice = email.message_from_bytes(record.content, policy=SMTP)
        assert notice["auto-submitted"] == "auto-generated"
        assert "eicar.com" in notice.get_content()
    assert gateway.queue() == []


BROKEN = {
    "injection-service-is-away": (
        "chmod 600 /var/spool/postfix/public/filterd-inject",
        "chmod 666 /var/spool/postfix/public/filterd-inject",
    ),
    "store-cannot-be-written": (
        "mv /var/lib/filterd/store /var/lib/filterd/away; touch /var/lib/filterd/store",
        "rm /var/lib/filterd/store; mv /var/lib/filterd/away /var/lib/filterd/store",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_cannot_be_carried_out_comes_again(broken: str, wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com"))
    recipients: Sequence[str] = (BOB, CAROL, DAVE)
    with policy(gateway, {"infected": ("clean", "reject")}, *GROUPS):
        gateway.run("install -d -m 700 -o filterd -g filterd /var/lib/filterd/store")
        with gateway.altered(*BROKEN[broken]):
            assert send(wan, sent, *recipients).startswith("451 4.3.0 ")
        assert nothing_arrived(wan, gateway, unique)
        assert stored(gateway, "quarantine", unique) == []
        # The sender tries again: now everybody has it once.
        assert send(wan, sent, *recipients).startswith("250 ")
        assert len(delivered(gateway, unique, count=2)) == 2
        assert len(stored(gateway, "quarantine", unique)) == 1

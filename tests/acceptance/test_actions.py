"""Each action through a real MTA: what the sender saw, what each recipient got, what was kept (R11 to R18)."""

import email
from email.policy import SMTP, compat32

import pytest

from audit.samples import EICAR
from tests.acceptance import dkim
from tests.acceptance.desk import stored
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.letters import (
    BOB,
    CAROL,
    PICTURE,
    PLAIN,
    attachment,
    banned,
    data,
    delivered,
    letter,
    mark,
    nothing_arrived,
    own,
    part,
    send,
)
from tests.acceptance.outside import Outside
from tests.acceptance.policy import policy


@pytest.mark.parametrize("form", ["simple", "relaxed"])
def test_untouched_mail_keeps_its_dkim_signature(form: str, wan: Outside, gateway: GatewayHost) -> None:
    # P17
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
    assert {found["path"] for found in entry["findings"]} == {"1.2"}


def test_copy_goes_on_down_the_chain(wan: Outside, gateway: GatewayHost) -> None:
    # R13, M05
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
    # R05, P17
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

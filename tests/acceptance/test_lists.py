"""Lists of senders through a real MTA, SpamAssassin and DNS (R07, R08)."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.samples import EICAR
from lab.plan import LabState
from tests.acceptance import dkim
from tests.acceptance.desk import stored
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.letters import BOB, CAROL, PLAIN, attachment, delivered, letter, mark
from tests.acceptance.outside import HELO, Outside, content, line
from tests.acceptance.policy import policy
from tests.acceptance.scored import SCORED

# sender.example's SPF record names the client; spoof.example has none.
ALICE, NOBODY = "alice@sender.example", "alice@spoof.example"
_WORDS = SCORED["gtube"].partition(b"\r\n\r\n")[2]
SPAM = b"Content-Type: text/plain\r\n\r\n" + _WORDS
REFUSED = "550 5.7.1 Message refused: spam [spam.score] id="


def send(wan: Outside, message: bytes, sender: str, *recipients: str) -> str:
    replies = wan.dialogue(
        line(f"EHLO {HELO}"),
        line(f"MAIL FROM:<{sender}> BODY=8BITMIME"),
        *[line(f"RCPT TO:<{who}>") for who in recipients or (BOB,)],
        line("DATA"),
        content(message),
        persist=False,
    )
    return replies[-1]


def entry(verdict: str, *senders: str, **more: Any) -> dict[str, Any]:
    return {"name": "mine", "verdict": verdict, "senders": list(senders), **more}


@contextmanager
def lists(gateway: GatewayHost, *entries: dict[str, Any]) -> Iterator[None]:
    with policy(gateway, {}, tables={"list": entries}):
        yield


@pytest.fixture(scope="module")
def world(lab: LabState) -> GatewayHost:
    """Return the lab's name server."""
    return GatewayHost(lab=lab, host=lab.hosts["world"])


def test_an_accepted_sender_s_virus_is_refused(wan: Outside, gateway: GatewayHost) -> None:
    # R07
    with lists(gateway, entry("accept", ALICE)):
        refused = send(wan, letter(mark(), PLAIN, attachment(EICAR, "eicar.com")), ALICE)
        assert refused.startswith("550 5.7.1 Message refused: virus [virus.signature] id=")
        banned = send(wan, letter(mark(), PLAIN, attachment(b"MZ")), ALICE)
        assert banned.startswith("550 5.7.1 ")


def test_a_proven_sender_s_score_does_not_count_and_nobody_else_s(wan: Outside, gateway: GatewayHost) -> None:
    # R08
    unique = mark()
    with lists(gateway, entry("accept", ALICE, NOBODY)):
        assert send(wan, letter(unique, PLAIN, SPAM), ALICE).startswith("250 ")
        delivered(gateway, unique)
        assert send(wan, letter(mark(), PLAIN, SPAM), NOBODY).startswith(REFUSED)
        assert send(wan, letter(mark(), PLAIN, SPAM), "carol@sender.example").startswith(REFUSED)
    assert send(wan, letter(mark(), PLAIN, SPAM), ALICE).startswith(REFUSED)


def test_what_a_message_says_of_its_own_proof_does_not_count(wan: Outside, gateway: GatewayHost) -> None:
    forged = (
        b"X-Envelope-From: <alice@sender.example>\r\nReturn-Path: <alice@sender.example>\r\n"
        b"Received-SPF: pass (x) client-ip=198.51.100.10; envelope-from=alice@spoof.example; helo=client.sender.example\r\n"
        b"Authentication-Results: mx1.bastide.example; spf=pass smtp.mailfrom=alice@spoof.example; dkim=pass header.d=sender.example\r\n"
        b"Received: from client.sender.example (client.sender.example [198.51.100.10])\r\n"
        b"\tby mx1.bastide.example with ESMTP id X\r\n\t(envelope-from <alice@sender.example>); Sun, 22 Nov 2026 07:00:00 +0000\r\n"
        b"X-Spam-Status: No, tests=SPF_PASS,DKIM_VALID_AU\r\n"
    )
    with lists(gateway, entry("accept", ALICE, NOBODY)):
        assert send(wan, forged + letter(mark(), PLAIN, SPAM), NOBODY).startswith("550 5.7.1 ")


def test_recipients_have_lists_of_their_own(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    sent = letter(unique, PLAIN, SPAM)
    with lists(gateway, entry("accept", "@sender.example", recipients=[BOB])):
        assert send(wan, sent, ALICE, BOB, CAROL).startswith("250 ")
        (record,) = delivered(gateway, unique)
        assert send(wan, letter(mark(), PLAIN, SPAM), ALICE, CAROL).startswith(REFUSED)
    assert record.recipients == (BOB,)
    ((kept, _),) = stored(gateway, "quarantine", unique)
    assert CAROL in json.dumps(kept)


def test_a_refused_sender_is_refused_for_whose_list_it_is_and_no_engine_is_asked(
    wan: Outside, gateway: GatewayHost
) -> None:
    unique = mark()
    with lists(gateway, entry("reject", ALICE, recipients=[BOB])):
        reply = send(wan, letter(mark(), PLAIN), ALICE)
        assert reply.startswith(
            "550 5.7.1 Message refused: content of this kind is not accepted [list.reject] id="
        )
        queue_id = reply.partition("id=")[2].strip()
        (told,) = gateway.run(
            f"journalctl -u filterd -o cat --since -10min | grep -F '\"{queue_id}\"'"
        ).splitlines()
        assert list(json.loads(told)["stage_ms"]) == ["lists", "rate"]
        assert send(wan, letter(unique, PLAIN), ALICE, BOB, CAROL).startswith("250 ")
        (record,) = delivered(gateway, unique)
    assert record.recipients == (CAROL,)


def test_an_author_is_proven_by_the_signature_of_his_domain(
    wan: Outside, gateway: GatewayHost, world: GatewayHost
) -> None:
    key, other = dkim.new_key(), dkim.new_key()
    with published(world, key), lists(gateway, entry("accept", ALICE)):
        unique = mark()
        assert send(wan, dkim.signed(letter(unique, PLAIN, SPAM), key, "relaxed"), NOBODY).startswith("250 ")
        delivered(gateway, unique)
        sent = dkim.signed(letter(mark(), PLAIN, SPAM), other, "relaxed")
        assert send(wan, sent, NOBODY).startswith(REFUSED)
        # The signature of sender.example says nothing of an author elsewhere.
        elsewhere = letter(mark(), PLAIN, SPAM).replace(
            b"<alice@sender.example>", b"<alice@spoof.example>", 1
        )
        assert send(wan, dkim.signed(elsewhere, key, "relaxed"), NOBODY).startswith(REFUSED)


@contextmanager
def published(world: GatewayHost, key: rsa.RSAPrivateKey) -> Iterator[None]:
    """Let the lab's DNS have the key with which the tests sign, for the length of a block."""
    public = base64.b64encode(
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()
    zone = "/etc/bind/zones/db.sender.example"
    record = f'test._domainkey TXT "v=DKIM1; k=rsa; p={public[:200]}" "{public[200:]}"'
    change = f"cp -p {zone} {zone}.kept; echo '{record}' >> {zone}; /usr/sbin/rndc reload sender.example >/dev/null; sleep 1"
    with world.altered(
        change, f"mv {zone}.kept {zone}; touch {zone}; /usr/sbin/rndc reload sender.example >/dev/null"
    ):
        yield

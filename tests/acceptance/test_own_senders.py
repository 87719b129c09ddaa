"""Strangers who send as one of the house, through a real MTA, SpamAssassin and DNS (A12, A24)."""

from dataclasses import replace

import pytest

from lab.plan import LabState
from tests.acceptance import dkim
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.letters import PLAIN, delivered, letter, mark
from tests.acceptance.outside import HELO, Outside, content, line
from tests.acceptance.policy import policy
from tests.acceptance.test_lists import published

OWN = "carol@bastide.example"
REFUSED = "550 5.7.1 Message refused: "


def sent(side: Outside, message: bytes, sender: str) -> str:
    steps = [line(f"MAIL FROM:<{sender}> BODY=8BITMIME"), line("RCPT TO:<bob@bastide.example>"), line("DATA")]
    return side.dialogue(line(f"EHLO {HELO}"), *steps, content(message), persist=False)[-1]


@pytest.fixture(scope="module")
def world(lab: LabState) -> GatewayHost:
    return GatewayHost(lab=lab, host=lab.hosts["world"])


def test_a_forged_colleague_is_refused_and_told_the_rule(wan: Outside) -> None:
    said = sent(wan, letter(mark(), PLAIN), OWN)
    assert said.startswith(REFUSED)
    assert "[list.unproven] id=" in said
    assert "[list.unproven] id=" in sent(wan, letter(mark(), PLAIN), OWN.upper())


def test_a_mailing_list_brings_back_an_author_of_the_house(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    message = letter(unique, PLAIN).replace(b"<alice@sender.example>", f"<{OWN}>".encode(), 1)
    assert sent(wan, message, "list-bounces@sender.example").startswith("250 ")
    delivered(gateway, unique)


def test_a_forwarder_brings_back_what_the_house_has_signed(
    wan: Outside, gateway: GatewayHost, world: GatewayHost
) -> None:
    key = dkim.new_key()
    with published(world, key):
        # The key that is published is sender.example's, so for this test that domain is one of the house.
        own = {"policy": {"own_domains": ["sender.example"]}}
        with policy(gateway, {}, tables=own):
            # From an address that sender.example's SPF does not name.
            stranger = replace(wan, source="198.51.100.67")
            unique = mark()
            signed = dkim.signed(letter(unique, PLAIN), key, "relaxed")
            assert sent(stranger, signed, "alice@sender.example").startswith("250 ")
            delivered(gateway, unique)
            unsigned = sent(stranger, letter(mark(), PLAIN), "alice@sender.example")
            assert "[list.unproven] id=" in unsigned
            # SPF names this one.
            unique = mark()
            assert sent(wan, letter(unique, PLAIN), "alice@sender.example").startswith("250 ")
            delivered(gateway, unique)


def test_hosts_of_the_house_and_other_domains_are_not_asked(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    assert sent(wan, letter(unique, PLAIN), "dave@spoof.example").startswith("250 ")
    delivered(gateway, unique)
    with policy(gateway, {}, tables={"policy": {"internal_networks": ["198.51.100.10/32"]}}):
        unique = mark()
        assert sent(wan, letter(unique, PLAIN), OWN).startswith("250 ")
        delivered(gateway, unique)


def test_it_can_be_let_only_warn(wan: Outside, gateway: GatewayHost) -> None:
    with policy(gateway, {}, tables={"rules": {"list.unproven": "warn"}}):
        unique = mark()
        assert sent(wan, letter(unique, PLAIN), OWN).startswith("250 ")
        delivered(gateway, unique)

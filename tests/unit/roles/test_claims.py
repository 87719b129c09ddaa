"""Claims: each refuses a record that cannot fail, and tells good sights from bad ones."""

from collections.abc import Callable
from typing import Any

import pytest

from roles.claims import (
    Answers,
    Arrival,
    Delivered,
    DnsSilence,
    Greeting,
    Reply,
    Scan,
    SshAlgorithms,
    SshMethods,
    Verdict,
)

SENT = b"From: a@example.org\r\n\r\nhello \r\n"


def answers(*answered: int, declared: tuple[int, ...] = (25,)) -> Answers:
    return Answers(answered=frozenset(answered), declared=frozenset(declared))


def arrival(prefix: bytes, content: bytes | None = SENT) -> Arrival:
    return Arrival(sent=SENT, arrived=None if content is None else prefix + content)


GREETING = Greeting(matches=r"220 [\w.-]+ ESMTP", refuted_by="220 mx ESMTP Postfix")
REPLY = Reply(about="vrfy", lines=("VRFY bob",), matches=r"50[02] [^\n]*", refuted_by="250 <bob@example.org>")
DECLARED = Scan(scanner="syn", family=4, expects="declared", refuted_by=answers(22, 25))
NOTHING = Scan(scanner="null", family=6, expects="none", refuted_by=answers(25))
VERDICT = Verdict(sample="eicar", matches=r"550 5\.7\.1 [^\n]*", refuted_by="250 2.0.0 Ok")
DELIVERED = Delivered(sample="clean", refuted_by=arrival(b"", b"other"))
METHODS = SshMethods(exactly=frozenset({"publickey"}), refuted_by=frozenset({"publickey", "password"}))
MACS = SshAlgorithms(about="mac", within=frozenset({"a", "b"}), refuted_by=frozenset({"a", "c"}))

RECEIVED = b"Received: from a (b [192.0.2.1])\r\n\tby mx1.example.org with ESMTP;\r\n Mon, 1 Jan\r\n"


@pytest.mark.parametrize(
    "unfailing",
    [
        lambda: Greeting(matches=r"220 .*", refuted_by="220 mx ESMTP Postfix"),
        lambda: Reply(about="any", lines=("HELP",), matches=r"(?s).*", refuted_by="250 Postfix"),
        lambda: Scan(scanner="syn", family=4, expects="declared", refuted_by=answers(25)),
        lambda: Scan(scanner="udp", family=6, expects="none", refuted_by=answers()),
        lambda: Verdict(sample="eicar", matches=r"\d{3} .*", refuted_by="250 2.0.0 Ok"),
        lambda: Delivered(sample="clean", refuted_by=arrival(RECEIVED)),
        lambda: SshMethods(exactly=frozenset({"publickey"}), refuted_by=frozenset({"publickey"})),
        lambda: SshAlgorithms(about="kex", within=frozenset({"a", "b"}), refuted_by=frozenset({"b"})),
        lambda: DnsSilence(protocol="udp", family=4, refuted_by="silent"),
    ],
    ids=[
        "greeting",
        "reply",
        "scan-declared",
        "scan-none",
        "verdict",
        "delivered",
        "methods",
        "algorithms",
        "dns",
    ],
)
def test_a_claim_that_holds_for_its_counter_example_cannot_be_made(unfailing: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="holds for its own counter-example"):
        unfailing()


@pytest.mark.parametrize(
    ("claim", "good"),
    [
        (GREETING, "220 mx1.example.org ESMTP"),
        (REPLY, "502 5.5.1 disabled"),
        (REPLY, "500 what"),
        (DECLARED, answers(25)),
        (DECLARED, answers(22, 25, declared=(22, 25))),
        (DECLARED, answers(declared=())),
        (NOTHING, answers()),
        (NOTHING, answers(declared=(22, 25))),
        (VERDICT, "550 5.7.1 Refused [virus.found]"),
        (DELIVERED, arrival(b"")),
        (DELIVERED, arrival(RECEIVED)),
        (DELIVERED, arrival(b"Return-Path: <a@b>\r\nDelivered-To: x@y\r\nX-Original-To: x@y\r\n" + RECEIVED)),
        (METHODS, frozenset({"publickey"})),
        (MACS, frozenset({"a", "b"})),
        (MACS, frozenset({"b"})),
    ],
)
def test_a_claim_holds_for_what_it_describes(claim: Any, good: object) -> None:
    assert claim.holds(good)


@pytest.mark.parametrize(
    ("claim", "bad"),
    [
        (GREETING, ""),
        (GREETING, "220 mx1.example.org ESMTP\n"),
        (GREETING, "220-mx1.example.org ESMTP\n220 Postfix"),
        (GREETING, "x220 mx1.example.org ESMTP"),
        (GREETING, "554 mx1.example.org ESMTP"),
        (REPLY, ""),
        (REPLY, "250 <bob@example.org>"),
        (REPLY, "502 disabled\n250 <bob@example.org>"),
        (DECLARED, answers()),
        (DECLARED, answers(22)),
        (DECLARED, answers(22, 25)),
        (DECLARED, answers(25, declared=(22, 25))),
        (NOTHING, answers(25)),
        (NOTHING, answers(80, declared=())),
        (VERDICT, ""),
        (VERDICT, "451 4.7.1 Try again later"),
        (VERDICT, "550 5.7.1 Refused\n250 Ok"),
        (DELIVERED, arrival(b"", None)),
        (DELIVERED, arrival(b"", b"")),
        (DELIVERED, arrival(b"", SENT.replace(b" \r\n", b"\r\n"))),
        (DELIVERED, arrival(b"", SENT + b"-- \r\nscanned\r\n")),
        (DELIVERED, arrival(b"", SENT.replace(b"\r\n", b"\n"))),
        (DELIVERED, arrival(b"X-Scanned: yes\r\n")),
        (DELIVERED, arrival(RECEIVED + b"Subject: other\r\n")),
        (DELIVERED, arrival(b"Received: from a\r\n\r\n")),
        (DELIVERED, arrival(b"\tfolded before any header\r\n")),
        (DELIVERED, arrival(b"Received: from a\n")),
        (DELIVERED, Arrival(sent=b"Received: a\r\n", arrived=b"Received: a\r\nReceived: b\r\n")),
        (METHODS, frozenset()),
        (METHODS, frozenset({"publickey", "password"})),
        (METHODS, frozenset({"password"})),
        (MACS, frozenset()),
        (MACS, frozenset({"a", "b", "c"})),
        (MACS, frozenset({"c"})),
    ],
)
def test_a_claim_does_not_hold_for_anything_else(claim: Any, bad: object) -> None:
    assert not claim.holds(bad)


@pytest.mark.parametrize(
    ("claim", "title", "vantage"),
    [
        (GREETING, "greeting-25", "wan"),
        (REPLY, "vrfy", "wan"),
        (DECLARED, "syn-ipv4-wan", "wan"),
        (NOTHING, "null-ipv6-wan", "wan"),
        (VERDICT, "verdict-eicar", "wan"),
        (DELIVERED, "delivered-clean", "wan"),
        (METHODS, "ssh-methods", "control"),
        (MACS, "ssh-mac", "control"),
    ],
)
def test_titles_and_vantages_make_test_ids(claim: Any, title: str, vantage: str) -> None:
    assert (claim.title(), claim.vantage) == (title, vantage)


def test_a_scan_from_elsewhere_has_another_title() -> None:
    lan = Scan(scanner="syn", family=4, expects="none", refuted_by=answers(25), vantage="lan")
    assert lan.title() == "syn-ipv4-lan"

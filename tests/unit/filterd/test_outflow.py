"""What goes out: bursts, and what of the header stays in the house."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from filterd.anatomy import Anatomy, RewriteOrder
from filterd.carry.heading import Heading, edits
from filterd.carry.hiding import hidden
from filterd.carry.plan import needed, variant
from filterd.config import Config, OutboundSettings, PolicySettings
from filterd.config.policy import Chains
from filterd.disposition import Disposition
from filterd.fields import edited
from filterd.findings import Verdict
from filterd.health import Condition
from filterd.message import Envelope
from filterd.milter.negotiation import Action
from filterd.outflow import Outflow
from filterd.pipeline import Report, StageResult
from filterd.policy import decide
from filterd.policy.decide import REQUIRED
from filterd.rates import Rates

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def config(**outbound: Any) -> Config:
    return Config(
        policy=PolicySettings(internal_networks=("10.0.0.0/8",)),
        outbound=OutboundSettings(inner_domains=("house.example",), **outbound),
    )


def envelope(client: bytes = b"10.0.0.1", sender: bytes = b"<a@house.example>", **more: Any) -> Envelope:
    given: dict[str, Any] = {"recipients": [b"<b@world.example>"], "host": b"mx.house.example"} | more
    return Envelope(client_address=client, sender=sender, **given)


def clean() -> Report:
    results = [StageResult(stage=one, milliseconds=1.0, findings=()) for one in sorted(REQUIRED)]
    return Report(results=tuple(results), anatomy=Anatomy())


def outflow(chosen: Config, rates: Rates | None = None) -> tuple[Outflow, Condition]:
    condition = Condition()
    return Outflow(chosen, rates or Rates(), condition), condition


def rules(one: Outflow, sent: Envelope) -> list[str]:
    return [finding.rule for finding in one.judged(clean(), sent).findings]


def test_what_is_beyond_the_limit_is_a_burst_and_goes_into_quarantine() -> None:
    chosen = config(sender_messages=3)
    one, condition = outflow(chosen)
    assert [rules(one, envelope()) for _ in range(3)] == [[], [], []]
    assert condition.failures == 0
    report = one.judged(clean(), envelope())
    (disposition,) = decide(report, envelope(), chosen, now=NOW)
    assert (disposition.verdict, disposition.fate, disposition.rule) == (Verdict.BURST, "move", "rate.sender")
    assert condition.problem == "sender a@house.example: 4 messages within 3600 s, 3 are allowed"


def test_senders_and_hosts_are_counted_apart() -> None:
    one, _ = outflow(config(sender_messages=1, client_messages=3))
    assert rules(one, envelope(sender=b"<a@house.example>")) == []
    assert rules(one, envelope(sender=b"<A@HOUSE.example>")) == ["rate.sender"]
    assert rules(one, envelope(sender=b"<b@house.example>")) == []
    assert rules(one, envelope(sender=b"<c@house.example>")) == ["rate.client"]
    assert rules(one, envelope(client=b"10.0.0.2", sender=b"<d@house.example>")) == []
    # A user who has logged in is one, whatever he says.
    assert rules(one, envelope(client=b"10.0.0.3", sender=b"<e@house.example>", user=b"eve")) == []
    assert rules(one, envelope(client=b"10.0.0.3", sender=b"<f@house.example>", user=b"eve")) == [
        "rate.sender"
    ]


def test_bounces_of_two_hosts_are_not_one_senders() -> None:
    one, _ = outflow(config(sender_messages=1))
    assert [rules(one, envelope(client=host, sender=b"<>")) for host in (b"10.0.0.1", b"10.0.0.2")] == [
        [],
        [],
    ]
    assert rules(one, envelope(sender=b"<>")) == ["rate.sender"]


def test_recipients_count_each() -> None:
    one, _ = outflow(config(sender_recipients=5))
    many = [f"<{n}@world.example>".encode() for n in range(6)]
    assert rules(one, envelope(recipients=many[:5])) == []
    assert rules(one, envelope(recipients=many[:1])) == ["rate.recipients"]


def test_mail_from_outside_is_not_counted() -> None:
    one, _ = outflow(config(sender_messages=1))
    assert [rules(one, envelope(client=b"192.0.2.1")) for _ in range(3)] == [[], [], []]


def test_what_comes_again_counts_once() -> None:
    one, _ = outflow(config(sender_messages=1))
    for _ in range(3):
        assert rules(one, envelope()) == []
        one.take_back(envelope())


def test_counts_outlive_their_worker() -> None:
    rates = Rates()
    chosen = config(sender_messages=1)
    assert rules(outflow(chosen, rates)[0], envelope()) == []
    assert rules(outflow(chosen, rates)[0], envelope()) == ["rate.sender"]


def test_a_burst_is_over_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    one, condition = outflow(config(sender_messages=1))
    assert [rules(one, envelope()) for _ in range(2)][1]
    asyncio.run(one.calm())
    assert condition.problem
    monkeypatch.setattr("filterd.outflow._CALM_S", 0.0)
    asyncio.run(one.calm())
    assert not condition.problem


INNER = b"Received: from pc.lan ([10.0.0.9])\r\n\tby mail.house.example; today\r\n"
OWN = b"Received: from a.example ([192.0.2.1]) by mx.house.example (ESMTP) id 1; then\r\n"
OUTER = b"Received: from b.example by a.example; before\r\n"
SECRET = b"X-Originating-IP: [10.0.0.9]\r\n"
REST = b"From: a@house.example\r\nSubject: x\r\n"
HIDING = config(hide_trace=True, hide_headers=("X-Originating-IP",))


def left(header: bytes, sent: Envelope | None = None, chosen: Config = HIDING) -> bytes:
    heading = Heading()
    for field in header.replace(b"\r\n\t", b"\n\t").split(b"\r\n")[:-1]:
        name, _, value = field.partition(b":")
        heading.note(name, value)
    inner = hidden(heading, sent or envelope(), chosen)
    deliver = Disposition(
        recipients=(b"<b@world.example>",), verdict=Verdict.CLEAN, fate="deliver", wanted="deliver"
    )
    made = variant(deliver, RewriteOrder(), add_header=False, hidden=inner)
    assert made.untouched is not bool(inner)
    return edited(header, edits(made.marks, heading))


def test_lines_of_the_inside_and_declared_fields_go() -> None:
    assert left(INNER + SECRET + INNER + REST + SECRET.lower()) == REST


def test_what_came_from_the_world_keeps_its_way() -> None:
    assert left(INNER + OWN + OUTER + REST) == OWN + OUTER + REST


@pytest.mark.parametrize("seen", [b"pc.lan [10.0.0.9]", b"[10.0.0.9]", b"unknown [10.0.0.9] (may be forged)"])
@pytest.mark.parametrize("helo", [b"pc", b"[192.0.2.1]", b"x by y [192.0.2.1]"])
def test_mail_of_the_house_that_has_passed_the_gateway_before_names_nobody_inside(
    helo: bytes, seen: bytes
) -> None:
    # From a host inside by the gateway to the mail server, which sends it on to the world.
    first = b"Received: from " + helo + b" (" + seen + b")\r\n\tby mx.house.example (x) with SMTP; then\r\n"
    assert left(INNER + first + INNER + REST) == REST
    assert left(INNER + first + INNER + OWN + OUTER + REST) == OWN + OUTER + REST


def test_a_name_that_only_ends_like_ours_is_not_the_gateway() -> None:
    forged = b"Received: from pc.lan by notmx.house.example; x\r\n"
    assert left(forged + REST) == REST


@pytest.mark.parametrize(
    "helo",
    [
        *(
            b"my pc",
            b"x by mx.house.example y",
            b"x by mx.house.example (ESMTP) id 1; then",
            b"by mx.house.example",
        ),
        *(
            b"x) by mx.house.example (",
            b"x ( by mx.house.example",
            b"(((((x) by mx.house.example (((",
            b"<x by mx.house.example",
        ),
    ],
)
def test_a_name_with_blanks_hides_no_line_of_the_inside_among_our_own(helo: bytes) -> None:
    forged = (
        b"Received: from "
        + helo
        + b" (pc.lan [10.0.0.9])\r\n\tby mail.house.example (Postfix)\r\n\tfor <b@x>; today\r\n"
    )
    assert left(forged + REST) == REST
    own = (
        b"Received: from "
        + helo.translate(None, b"()<")
        + b" (b [192.0.2.1])\r\n\tby MX.house.example (x (y)) with SMTP; then\r\n"
    )
    assert left(forged + own + OUTER + REST) == own + OUTER + REST


def test_a_line_of_comments_costs_no_time() -> None:
    deep = b"Received: from x " + b"(" * 30_000 + b")" * 30_000 + b" by mx.house.example; x\r\n"
    begin = time.monotonic()
    assert left(deep + REST) == REST
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    "names", [b"from:x-originating-ip", b"From : X-Originating-\r\n\tIP", b"X-ORIGINATING-IP"]
)
@pytest.mark.parametrize("field", [b"DKIM-Signature", b"ARC-Message-Signature"])
def test_what_a_signature_covers_stays(field: bytes, names: bytes) -> None:
    signature = field + b": v=1; bh=x;\r\n\th=" + names + b"; b=y\r\n"
    assert left(INNER + signature + SECRET + REST) == signature + SECRET + REST


def test_a_signature_over_traces_keeps_them() -> None:
    signature = b"DKIM-Signature: h=received:from; b=y\r\n"
    assert left(signature + INNER + REST) == signature + INNER + REST


def test_what_is_no_list_of_fields_keeps_nothing() -> None:
    signature = b"DKIM-Signature: v=1; bh=x-originating-ip; b=y\r\n"
    assert left(signature + SECRET + REST) == signature + REST


@pytest.mark.parametrize(
    "sent",
    [
        envelope(recipients=[b"<c@house.example>", b"<d@HOUSE.example>"]),
        envelope(client=b"192.0.2.1"),
    ],
)
def test_mail_that_stays_or_comes_from_outside_keeps_all(sent: Envelope) -> None:
    assert left(INNER + SECRET + REST, sent) == INNER + SECRET + REST


def test_one_recipient_outside_is_enough() -> None:
    both = envelope(recipients=[b"<c@house.example>", b"<b@world.example>"])
    assert left(INNER + REST, both) == REST


def test_the_mta_is_asked_for_the_right_only_where_something_is_hidden() -> None:
    # Chains of the default configuration tag mail, and ask for it as well.
    plain = PolicySettings(chains=Chains(encrypted=("ignore",)))
    assert Action.CHANGE_HEADERS in needed(Config(policy=plain, outbound=HIDING.outbound))
    assert Action.CHANGE_HEADERS not in needed(Config(policy=plain))
    assert left(INNER + SECRET + REST, chosen=config()) == INNER + SECRET + REST

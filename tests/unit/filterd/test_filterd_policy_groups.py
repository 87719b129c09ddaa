"""Groups, directions and modes: which chain and which findings hold for whom, and what one milter answer makes of it."""

from typing import Any

import pytest

from filterd.message import Envelope
from filterd.policy import decide, direction, explain
from tests.unit.filterd.policies import MONDAY, config, envelope, found, group, one, report

# --- recipients


FATES = {
    "deliver": ["ignore"],
    "reject": ["reject"],
    "tempfail": ["tempfail"],
    "move": ["move"],
    "discard": ["discard"],
}


@pytest.mark.parametrize(
    ("wanted", "final"),
    [
        (("reject", "reject"), ("reject", "reject")),
        (("reject", "deliver"), ("move", "deliver")),
        (("reject", "discard"), ("move", "discard")),
        (("reject", "move"), ("move", "move")),
        (("tempfail", "deliver"), ("tempfail", "tempfail")),
        (("tempfail", "reject"), ("tempfail", "tempfail")),
        (("tempfail", "discard"), ("tempfail", "tempfail")),
        (("discard", "discard"), ("discard", "discard")),
        (("discard", "deliver"), ("discard", "deliver")),
        (("move", "deliver"), ("move", "deliver")),
    ],
    ids=str,
)
def test_a_milter_answers_once(wanted: tuple[str, str], final: tuple[str, str]) -> None:
    settings = config(
        chains={"banned": FATES[wanted[1]]},
        group=[group("g", recipients=["a@example.org"], chains={"banned": ["copy", *FATES[wanted[0]]]})],
    )
    made = decide(report(found("banned")), envelope(), settings, now=MONDAY)
    by_recipient = {who: each for each in made for who in each.recipients}
    got = [by_recipient[who] for who in (b"<a@example.org>", b"<b@example.org>")]
    assert tuple(each.fate for each in got) == final
    assert tuple(each.wanted for each in got) == wanted
    assert all(bool(each.sides) == (each.fate != "tempfail") for each in got[:1])


def test_recipients_with_equal_outcomes_share_a_disposition_in_stable_order() -> None:
    settings = config(
        chains={"banned": ["rename"]},
        group=[
            group("same", recipients=["c@example.org"], chains={"banned": ["rename"]}),
            group("other", recipients=["b@example.org"], chains={"banned": ["delete"]}),
        ],
    )
    mail = envelope("a@example.org", "b@example.org", "c@example.org", "a@example.org")
    first, second = decide(report(found("banned")), mail, settings, now=MONDAY)
    assert first.recipients == (b"<a@example.org>", b"<c@example.org>", b"<a@example.org>")
    assert second.recipients == (b"<b@example.org>",)
    assert [each.groups for each in explain(report(found("banned")), mail, settings, now=MONDAY)] == [
        (),
        ("other",),
        ("same",),
    ]


def test_a_message_without_recipients_gets_one_disposition() -> None:
    made = one(report(found("infected")), mail=Envelope())
    assert (made.recipients, made.fate) == ((), "reject")


@pytest.mark.parametrize(
    ("conditions", "fits"),
    [
        ({}, True),
        ({"recipients": ["a@example.org"]}, True),
        ({"recipients": ["A@EXAMPLE.org"]}, True),
        ({"recipients": ["x@example.org", "@example.org"]}, True),
        ({"recipients": ["@.example.org"]}, False),
        ({"recipients": ["@.org"]}, True),
        ({"recipients": ["a@"]}, True),
        ({"recipients": ["b@"]}, False),
        ({"recipients": ["@ample.org"]}, False),
        ({"senders": ["@sender.example"]}, True),
        ({"senders": ["<>"]}, False),
        ({"clients": ["198.51.100.0/24"]}, True),
        ({"clients": ["198.51.100.10", "2001:db8::/32"]}, False),
        ({"direction": "in"}, True),
        ({"direction": "out"}, False),
        ({"times": ["Mon-Fri 08:00-18:00"]}, True),
        ({"times": ["Tue-Sun"]}, False),
        ({"times": ["Sat-Mon 10:00-11:00"]}, True),
        ({"times": ["10:30-10:31"]}, True),
        ({"times": ["10:31-10:30"]}, False),
        ({"times": ["Sun 22:00-10:31"]}, True),
        ({"times": ["Mon 22:00-10:31"]}, False),
        ({"recipients": ["a@example.org"], "clients": ["203.0.113.0/24"]}, False),
    ],
    ids=str,
)
def test_conditions_of_a_group(conditions: dict[str, Any], *, fits: bool) -> None:
    # R20
    settings = config(group=[group("g", **conditions, chains={"banned": ["move"]})])
    made = one(report(found("banned")), settings, envelope("a@example.org"))
    assert made.fate == ("move" if fits else "reject")


@pytest.mark.parametrize(
    "address",
    [
        "<A@Example.ORG>", "a@example.org", "<@x.example:a@example.org>", '<"a"@example.org.>', "< a@example.org >",
        "<a@ example.org>", "<a\t@example.org>", "<\\a@example.org>", '<"\\a"@example.org>', "<@:a@example.org>",
        "<@x.example,@y.example: a@example.org>", "<a(b)@example.org>", "<a@example.org(b(c)d)>", '(")<a@example.org>',
        "<a(\\))@example.org>", "<<a@example.org>>", '"B (" <a@example.org> (c', "<(@x.example:)a@(<b>)example.org.>",
    ],
)  # fmt: skip
def test_an_address_is_the_same_in_any_spelling(address: str) -> None:
    settings = config(group=[group("g", recipients=["a@example.org"], chains={"banned": ["move"]})])
    mail = Envelope(recipients=[address.encode()])
    assert one(report(found("banned")), settings, mail).fate == "move"


@pytest.mark.parametrize(
    ("pattern", "address", "fate"),
    [
        ("a.b@example.org", '<"a".b@example.org>', "move"),
        ("a.b@example.org", '<a."b"@example.org>', "move"),
        ("a@example.org", '<"a "@example.org>', "reject"),
        ("a@example.org", '<"a@x"@example.org>', "reject"),
        ("a@example.org", '<"a(b)"@example.org>', "reject"),
        ("a@example.org", '<"a<a@example.org>"@example.net>', "reject"),
        ("@example.net", '<"a<a@example.org>"@example.net>', "move"),
        ("@example.net", "<a\\(@example.net>", "move"),
        ("postmaster@", "<Postmaster>", "move"),
        ("@postmaster", "<postmaster>", "reject"),
    ],
)
def test_quoting_is_read_as_an_mta_reads_it(pattern: str, address: str, fate: str) -> None:
    settings = config(group=[group("g", recipients=[pattern], chains={"banned": ["move"]})])
    assert one(report(found("banned")), settings, Envelope(recipients=[address.encode()])).fate == fate


def test_the_first_group_that_fits_and_has_a_chain_decides() -> None:
    # R20
    settings = config(
        group=[
            group("none", recipients=["x@example.org"], chains={"banned": ["discard"]}),
            group("empty", chains={"spam": ["discard"]}),
            group("first", chains={"banned": ["move"]}),
            group("second", chains={"banned": ["ignore"]}),
        ],
    )
    assert one(report(found("banned")), settings).fate == "move"
    (why,) = explain(report(found("banned")), envelope(), settings, now=MONDAY)
    assert (why.groups, why.courses[0].group) == (("empty", "first", "second"), "first")


@pytest.mark.parametrize(
    ("client", "user", "way"),
    [
        ("192.0.2.7", None, "out"),
        ("::ffff:192.0.2.7", None, "out"),
        ("2001:db8::5", None, "out"),
        ("198.51.100.1", None, "in"),
        ("198.51.100.1", b"joe", "out"),
        ("unknown", None, "in"),
        ("", None, "in"),
    ],
)
def test_direction(client: str, user: bytes | None, way: str) -> None:
    settings = config(policy={"internal_networks": ["192.0.2.0/24", "2001:db8::/32"]})
    assert direction(Envelope(client_address=client.encode(), user=user), settings) == way


# --- modes


@pytest.mark.parametrize(
    ("sections", "counts"),
    [
        ({}, False),
        ({"rules": {"html.form": "on"}}, True),
        ({"rules": {"html.form": "on"}, "group": [group("g", rules={"html.form": "warn"})]}, False),
        ({"group": [group("g", rules={"html.form": "on"})]}, True),
        ({"group": [group("g", rules={"html.form": "off"}), group("h", rules={"html.form": "on"})]}, False),
        ({"rules": {"html.form": "off"}}, False),
    ],
    ids=str,
)
def test_modes_of_a_rule(sections: dict[str, Any], *, counts: bool) -> None:
    made = one(report(found("suspicious", rule="html.form")), config(**sections))
    assert made.fate == ("reject" if counts else "deliver")
    assert made.verdict == ("suspicious" if counts else "clean")


@pytest.mark.parametrize(
    ("content", "client", "counts"),
    [
        ({}, "198.51.100.1", True),
        ({"mode": "warn"}, "198.51.100.1", False),
        ({"direction": "out"}, "198.51.100.1", False),
        ({"direction": "out"}, "192.0.2.7", True),
        ({"direction": "in"}, "192.0.2.7", False),
    ],
    ids=str,
)
def test_content_rules_have_a_mode_and_a_direction(
    content: dict[str, Any], client: str, *, counts: bool
) -> None:
    settings = config(
        policy={"internal_networks": ["192.0.2.0/24"]}, content=[{"name": "x", "pattern": "x", **content}]
    )
    made = one(report(found("banned", rule="content.x")), settings, envelope(client=client))
    assert made.fate == ("reject" if counts else "deliver")


def test_no_mode_makes_clean_what_nobody_has_looked_at() -> None:
    settings = config(rules={"virus.unavailable": "off"})
    assert one(report(found("not-inspected", rule="virus.unavailable")), settings).fate == "tempfail"

"""Domains beyond ASCII: taken as they are read, A-labels everywhere, both where an envelope may have both."""

import re
from typing import Any

import pytest

from filterd.domains import in_ascii, in_unicode
from publish import records
from roles.errors import SettingError
from roles.international import spellings
from roles.mta import postfix
from roles.mta.access import access_tables
from roles.mta.known import directory_files, known, verified
from roles.mta.rules import today
from roles.mta.sendmail import _configuration
from roles.mta.tls.policy import next_hop_policies
from roles.settings import Gateway
from tests.unit.roles.examples import gateway

U, A = "münchen.example", "xn--mnchen-3ya.example"
LDAP = {"servers": ["ldaps://ldap.example.org"], "base": "dc=example"}


def house(**changes: Any) -> Gateway:
    domains = {U: "[192.0.2.25]:25", "example.org": "[192.0.2.26]:25"}
    rules = {"smtputf8": True, **changes.pop("mta_rules", {})}
    return gateway(**{"relay_domains": domains, "mta_rules": rules, **changes})


@pytest.mark.parametrize(
    ("read", "written"),
    [
        (U, A),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("faß.example", "xn--fa-hia.example"),
        ("xn--mnchen-3ya.example", None),
        ("example.org", "example.org"),
    ],
)
def test_labels_are_those_of_idna_2008(read: str, written: str | None) -> None:
    assert in_ascii(read) == (written or read)
    assert in_unicode(in_ascii(read)) == (
        read if written or (read.isascii() and not read.startswith("xn--")) else U
    )


@pytest.mark.parametrize(
    "text", ["MÜNCHEN.example", "mu\u0308nchen.example", "münchen。example", "\uff4dünchen.example"]
)
def test_other_spellings_are_the_same_name(text: str) -> None:
    assert in_ascii(text) == A


@pytest.mark.parametrize(
    "text", ["evil\uff20example.org", "a\ud800.example", "a\u2028ü.example", "ü" * 80 + ".example", "ü" * 400]
)
def test_what_is_no_name_becomes_none(text: str) -> None:
    assert "@" not in in_ascii(text)
    assert not in_ascii(text).isascii()


@pytest.mark.parametrize("label", ["xn--", "xn--a", "xn--\x00", "xn--99999999999999", "xn--MNCHEN-3YA"])
def test_a_labels_that_stand_for_none_stay(label: str) -> None:
    assert in_unicode(f"{label}.example") == f"{label}.example"


def test_b13_settings_become_a_labels() -> None:
    chosen = house(
        recipients={U: {"method": "list", "addresses": ["alice", f"bob@{U}"]}},
        administrator=f"root@{U}",
        outbound={"sender_domains": ["köln.example"]},
        tls={"mandatory": {U: {"level": "encrypt"}}},
        mta_rules={"sender": [{"id": "one", "match": f"@{U}", "verb": "reject", "reason": "test"}]},
    )
    assert chosen.domains == ("example.org", A)
    assert list(chosen.recipients) == [A]
    assert chosen.administrator == f"root@{A}"
    assert chosen.outbound.sender_domains == ("xn--kln-sna.example",)
    assert list(chosen.tls.mandatory) == [A]
    assert chosen.mta_rules.sender[0].match == f"@{A}"
    assert chosen == house(
        relay_domains={A: "[192.0.2.25]:25", "example.org": "[192.0.2.26]:25"},
        recipients={A: {"method": "list", "addresses": ["alice", f"bob@{U}"]}},
        administrator=f"root@{A}",
        outbound={"sender_domains": ["xn--kln-sna.example"]},
        tls={"mandatory": {A: {"level": "encrypt"}}},
        mta_rules={"sender": [{"id": "one", "match": f"@{A}", "verb": "reject", "reason": "test"}]},
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"relay_domains": {U: "[192.0.2.25]:25", A: "[192.0.2.25]:25"}},
            "`relay_domains`.*stands there already",
        ),
        (
            {"relay_domains": {"MÜNCHEN.example": "[192.0.2.25]:25"}},
            "`relay_domains`.*write it like 'münchen.example'",
        ),
        ({"relay_domains": {"☃.example": "[192.0.2.25]:25"}}, "`relay_domains`.*A-labels"),
        ({"outbound": {"sender_domains": ["a ü.example"]}}, "`outbound.sender_domains`"),
        ({"administrator": "mü@example.org"}, "`administrator`"),
        ({"recipients": {U: {"method": "list", "addresses": ["mü"]}}}, "`recipients`"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        house(**changes)


def test_b13_postfix_knows_a_domain_in_both_spellings() -> None:
    chosen = house(recipients={U: {"method": "list", "addresses": ["alice"]}})
    files = {file.path: file.content for file in postfix._files(chosen)}
    assert re.findall(r"^(\S+) relay:", files["/etc/postfix/transport"], re.MULTILINE) == [
        "example.org",
        A,
        U,
    ]
    assert known(chosen) == {"@example.org": "OK", f"alice@{A}": "OK", f"alice@{U}": "OK"}
    assert list(verified(house())) == ["example.org", A, U]
    (text,) = directory_files(house(recipients={U: {"method": "ldap", "ldap": LDAP}})).values()
    assert f"\ndomain = {A} {U}\n" in text
    sent = house(relay_networks=[{"network": "192.0.2.0/28"}])
    senders = {file.path: file.content for file in postfix._files(sent)}[
        "/etc/postfix/directions/senders.pcre"
    ]
    assert re.search(senders.splitlines()[3].split("/")[1], f"alice@{U}")


def test_b13_tls_that_a_domain_must_have_is_asked_for_either_spelling() -> None:
    chosen = gateway(tls={"mandatory": {U: {"level": "encrypt"}}}, mta_rules={"smtputf8": True})
    policies = next_hop_policies(chosen)
    assert (policies[A], policies[U]) == ("encrypt", "encrypt")


@pytest.mark.parametrize("changes", [{"mta": "sendmail"}, {"mta_rules": {"smtputf8": False}}])
def test_where_no_envelope_holds_u_labels_tables_hold_none(changes: dict[str, Any]) -> None:
    assert spellings(house(**changes), A) == (A,)
    if "mta" in changes:
        assert not any(U in text for text in _configuration(house(**changes)).values())


@pytest.mark.parametrize("match", [f"@{U}", f"bob@{U}", f"@.{U}"])
def test_b13_a_rule_finds_both_spellings(match: str) -> None:
    chosen = house(
        mta_rules={"recipient": [{"id": "one", "match": match, "verb": "reject", "reason": "test"}]}
    )
    (table,) = access_tables(chosen.mta_rules.recipient, today())
    expression = table.text.splitlines()[-1].split("/")[1]
    below = "sub." if "@." in match else ""
    for domain in (A, U, U.upper()):
        assert re.search(expression, f"bob@{below}{domain}", re.IGNORECASE)
    assert not re.search(expression, f"bob@{below}munchen.example", re.IGNORECASE)


def test_what_is_published_stands_in_a_labels() -> None:
    made = records.plan([house(publish={"addresses": ["192.0.2.1"]})], {})
    names = [record.owner for record in made.records]
    assert any(A in name for name in names)
    assert not any(U in name for name in names)

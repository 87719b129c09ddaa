"""Declared rules: what is refused, in which words, and what they become."""

import re
from datetime import date
from typing import Any

import pytest

from roles.errors import SettingError
from roles.mta.access import LONG, access_tables, check_map, content_tables, entries, rule_files
from roles.mta.rule_problems import WARNABLE
from roles.mta.rules import MtaRules, expired, in_force
from roles.registry import DEFENCES
from roles.rendering import named_refusals, restriction_lists
from roles.settings import Gateway
from tests.unit.roles.examples import gateway

TODAY = date(2026, 6, 1)
MATCHES = {
    "client": "192.0.2.7",
    "helo": "mail.example.com",
    "sender": "alice@example.com",
    "recipient": "bob@example.org",
    "content": "/^Subject: x/",
}


def rule(word: str = "client", **changes: Any) -> dict[str, Any]:
    part = {"part": "header"} if word == "content" else {}
    return {"id": "one", "match": MATCHES[word], "verb": "reject", "reason": "test", **part, **changes}


def ruled(word: str, *rules: dict[str, Any]) -> Gateway:
    return gateway(mta_rules={word: list(rules)})


def refusal(word: str, *rules: dict[str, Any]) -> str:
    with pytest.raises(SettingError) as error:
        ruled(word, *rules)
    return str(error.value)


@pytest.mark.parametrize(
    ("word", "match", "said"),
    [
        ("client", "192.0.2.1/24", "no address or network"),
        ("client", "192.0.2.0/33", "no address or network"),
        ("client", "2001:db8::/129", "no address or network"),
        ("client", "192.0.2", "no address or network"),
        ("client", "::ffff:192.0.2.1", "IPv4's"),
        ("client", "not a name", "no host name"),
        ("client", "localhost", "no host name"),
        ("client", "", "printable ASCII"),
        ("client", "a\nb.example REJECT", "printable ASCII"),
        ("client", "/(unclosed/", "no regular expression"),
        ("client", "/a\\/", "no regular expression"),
        ("client", f"/{'a' * 600}/", "printable ASCII"),
        ("helo", "a b", "no host name"),
        ("helo", "[192.0.2.0/24]", "no host name"),
        ("sender", "alice", "neither an address nor a domain"),
        ("sender", "@", "neither an address nor a domain"),
        ("sender", "alice@host", "neither an address nor a domain"),
        ("recipient", "<>", "neither an address nor a domain"),
        ("content", "lottery", "between slashes"),
        ("content", "/*/", "no regular expression"),
    ],
)
def test_a_match_that_means_nothing_is_refused_with_setting_entry_and_remedy(
    word: str, match: str, said: str
) -> None:
    words = refusal(word, rule(word, match=match))
    kind = "header" if word == "content" else word
    assert words.startswith(f"setting `mta_rules.{word}`: entry 1 (mta.{kind}.one): ")
    assert said in words


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("client", "192.0.2.0/24"),
        ("client", "2001:db8::/32"),
        ("client", "*.dsl.example.net"),
        ("client", "unknown"),
        ("client", "/^(host|dyn)-[0-9-]+\\./"),
        ("helo", "[192.0.2.1]"),
        ("helo", "[IPv6:2001:db8::1]"),
        ("helo", "localhost"),
        ("sender", "@example.com"),
        ("sender", "@.example.com"),
        ("sender", "<>"),
        ("content", "/^Subject:.*(lottery|win) a/b/"),
    ],
)
def test_what_can_be_meant_is_taken(word: str, match: str) -> None:
    assert getattr(ruled(word, rule(word, match=match)).mta_rules, word)[0].match == match


@pytest.mark.parametrize(
    "match", ["0.0.0.0/0", "::/0", "128.0.0.0/1", "2000::/3", "*.*", "/.*/", "/./", "/^/", "/(?:)/"]
)
def test_nobody_can_accept_everybody(match: str) -> None:
    assert "accepts anybody" in refusal("client", rule(match=match, verb="accept"))
    # To refuse everybody is nobody's mistake for long.
    assert ruled("client", rule(match=match))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verb": "accept", "mode": "warn"}, "nothing to warn of"),
        ({"verb": "accept", "text": "Welcome"}, "nobody is told"),
        ({"text": " blank"}, "blank"),
        ({"text": "two\nlines"}, "text"),
        ({"text": "x" * 161}, "text"),
        ({"id": "Upper"}, "id"),
        ({"id": "a b"}, "id"),
        ({"reason": ""}, "reason"),
        ({"verb": "bounce"}, "verb"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_rule_that_says_nothing_or_too_much_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in refusal("client", rule(**changes))


def test_a_name_is_given_once() -> None:
    words = refusal("client", rule(), rule(match="192.0.2.8"))
    assert "entry 2 (mta.client.one) has the name of entry 1" in words
    # Each list has names of its own.
    assert gateway(mta_rules={"client": [rule()], "helo": [rule("helo")]})


@pytest.mark.parametrize(
    ("word", "first", "second"),
    [
        ("client", "192.0.2.0/24", "192.0.2.7"),
        ("client", "2001:db8::/32", "2001:db8:1::/48"),
        ("client", "192.0.2.0/24", "192.0.2.0/24"),
        ("client", "*.example.net", "mail.example.net"),
        ("client", "/dsl/", "host.DSL.example.net"),
        ("sender", "@example.com", "alice@example.com"),
        ("sender", "@.com", "@example.com"),
        ("sender", "@.example.com", "@.a.example.com"),
        ("sender", "/@example/", "alice@example.com"),
        ("content", "/^Subject: x/", "/^Subject: x/"),
    ],
)
def test_a_rule_that_is_never_reached_is_refused(word: str, first: str, second: str) -> None:
    earlier, later = rule(word, match=first), rule(word, match=second, id="two")
    assert "entry 2" in refusal(word, earlier, later)
    assert "never reached" in refusal(word, earlier, later)
    # A rule that only warns, or that runs out sooner, leaves the other its turn.
    assert ruled(word, {**earlier, "mode": "warn"}, later)
    assert ruled(word, {**earlier, "expires": "2030-01-01"}, later)


@pytest.mark.parametrize(
    ("word", "first", "second"),
    [
        ("client", "192.0.2.7", "192.0.2.0/24"),
        ("client", "192.0.2.0/24", "2001:db8::/32"),
        ("client", "192.0.2.0/24", "*.example.net"),
        ("client", "mail.example.net", "*.example.net"),
        ("sender", "alice@example.com", "@example.com"),
        ("sender", "@example.com", "@.example.com"),
        ("sender", "@.example.com", "@example.com"),
        ("sender", "@example.com", "alice@a.example.com"),
        ("sender", "/@example/", "@example.com"),
        ("sender", "/^win/", "<>"),
    ],
)
def test_the_narrower_rule_first_is_how_exceptions_are_written(word: str, first: str, second: str) -> None:
    assert ruled(word, rule(word, match=first), rule(word, match=second, id="two"))


def test_a_rule_holds_up_to_its_last_day() -> None:
    rules = ruled("client", rule(expires="2026-06-01"), rule(id="two", match="192.0.2.8")).mta_rules.client
    assert [each.id for each in in_force(rules, TODAY)] == ["one", "two"]
    assert [each.id for each in in_force(rules, date(2026, 6, 2))] == ["two"]
    assert list(expired(rules, TODAY)) == []
    (said,) = expired(rules, date(2026, 6, 2))
    assert "mta.client.one has run out on 2026-06-01" in said


def tables(word: str, *rules: dict[str, Any]) -> list[tuple[str, bool, list[str]]]:
    """Return (file, warns, lines without comments) of the tables of some rules."""
    made = access_tables(getattr(ruled(word, *rules).mta_rules, word), TODAY)
    return [
        (table.file, table.warns, [line for line in table.text.splitlines() if not line.startswith("#")])
        for table in made
    ]


def test_tables_keep_the_declared_order_across_their_types() -> None:
    found = tables(
        "client",
        rule(verb="accept"),
        rule(id="net", match="192.0.2.0/24", text="No"),
        rule(id="name", match="*.dsl.example.net", verb="defer"),
        rule(id="last", match="198.51.100.1", verb="discard"),
    )
    assert [file for file, _, _ in found] == ["client-1.cidr", "client-2.pcre", "client-3.cidr"]
    assert found[0][2] == ["192.0.2.7 OK", "192.0.2.0/24 REJECT 5.7.1 No (rule mta.client.net)"]
    assert found[1][2][1] == (
        r"/^.*\.dsl\.example\.net$/ DEFER 4.7.1 Not now, try again later (rule mta.client.name)"
    )
    assert found[2][2] == ["198.51.100.1 DISCARD Discarded (rule mta.client.last)"]


@pytest.mark.parametrize("verb", ["reject", "defer", "discard", "hold"])
def test_a_rule_that_warns_has_a_table_of_its_own_and_does_nothing_else(verb: str) -> None:
    rules = [
        rule(),
        rule(id="two", match="192.0.2.8", mode="warn", verb=verb),
        rule(id="three", match="192.0.2.9", mode="warn"),
        rule(id="four", match="192.0.2.10"),
    ]
    found = tables("client", *rules)
    assert [warns for _, warns, _ in found] == [False, True, True, False]
    # warn_if_reject holds back refusals alone (postconf(5)).
    assert found[1][2] == [f"192.0.2.8 REJECT 5.7.1 would {verb}: {said(verb)} (rule mta.client.two)"]
    given = entries(ruled("client", *rules).mta_rules.client, TODAY)
    assert given[1] == "warn_if_reject check_client_access cidr:/etc/postfix/rules/client-2.cidr"
    assert given[3] == "check_client_access cidr:/etc/postfix/rules/client-4.cidr"


def said(verb: str) -> str:
    return {
        "reject": "Access denied",
        "defer": "Not now, try again later",
        "discard": "Discarded",
        "hold": "Held for a person to look at",
    }[verb]


@pytest.mark.parametrize(
    ("word", "match", "takes", "leaves"),
    [
        ("sender", "alice@example.com", ["alice@example.com"], ["malice@example.com", "alice@example.com.x"]),
        ("sender", "a+b@example.com", ["a+b@example.com"], ["aab@example.com", "ab@example.com"]),
        (
            "sender",
            "@example.com",
            ["x@example.com"],
            ["x@a.example.com", "x@example.community", "x@examplescom"],
        ),
        (
            "sender",
            "@.example.com",
            ["x@a.example.com", "x@b.a.example.com"],
            ["x@example.com", "x@aexample.com"],
        ),
        ("sender", "<>", ["<>"], ["a<>b", ""]),
        ("sender", "/a/b$/", ["xa/b"], ["a/bc", "ab"]),
        ("sender", r"/a\/b/", ["a/b"], ["ab"]),
        ("client", "*.dsl.example.net", ["a.b.dsl.example.net"], ["dsl.example.net", "a.dsl.example.net.x"]),
        ("helo", "[192.0.2.1]", ["[192.0.2.1]"], ["1", "x[192.0.2.1]"]),
    ],
)
def test_a_pattern_takes_what_it_means_and_nothing_beside(
    word: str, match: str, takes: list[str], leaves: list[str]
) -> None:
    ((_, _, lines),) = tables(word, rule(word, match=match))
    (line,) = [each for each in lines if each.startswith("/")]
    # As pcre_table(5) reads a line: up to the next slash that is not escaped.
    expression = re.match(r"/((?:\\.|[^/\\])*)/ REJECT", line)
    assert expression is not None
    for text in takes:
        assert re.search(expression[1], text, re.IGNORECASE), text
    for text in leaves:
        assert not re.search(expression[1], text, re.IGNORECASE), text


def test_a_text_is_said_as_it_is_written() -> None:
    ((_, _, lines),) = tables("sender", rule("sender", text="Costs $100, $1 and ${2}"))
    # pcre_table(5): $$ is a dollar sign, all else behind $ is replaced.
    assert lines[-1].endswith("REJECT 5.7.1 Costs $$100, $$1 and $${2} (rule mta.sender.one)")
    ((_, _, lines),) = tables("client", rule(text="Costs $100"))
    assert lines[-1].endswith("Costs $100 (rule mta.client.one)")


def test_content_rules_that_act_come_before_those_that_warn() -> None:
    found = content_tables(
        ruled(
            "content",
            rule("content", verb="warn"),
            rule("content", id="two", match="/^X: a/", mode="warn", verb="hold"),
            rule("content", id="three", match="/^X: b/", verb="ignore"),
            rule("content", id="four", match="/^X: c/", verb="discard"),
            rule("content", id="five", part="body", match="/^x/"),
        ).mta_rules.content,
        TODAY,
    )
    assert set(found) == {"header_checks", "body_checks"}
    lines = [line for line in found["header_checks"].text.splitlines() if not line.startswith("#")]
    assert lines == [
        "/^X: b/ IGNORE",
        "/^X: c/ DISCARD Discarded (rule mta.header.four)",
        "/^Subject: x/ WARN Counted (rule mta.header.one)",
        "/^X: a/ WARN would hold: Held for a person to look at (rule mta.header.two)",
    ]
    assert "/^x/ REJECT 5.7.1 Access denied (rule mta.body.five)" in found["body_checks"].text


def test_what_has_run_out_is_in_no_table() -> None:
    late = gateway(
        mta_rules={
            "client": [rule(expires="2020-01-01")],
            "content": [rule("content", expires="2020-01-01")],
        }
    )
    assert list(rule_files(late)) == [LONG]
    assert check_map(late, "header_checks") == ""
    assert not any(
        "rules/" in entry and LONG not in entry
        for pairs in restriction_lists(DEFENCES, late).values()
        for _, entry in pairs
    )


def test_no_rules_are_no_tables() -> None:
    assert list(rule_files(gateway())) == [LONG]
    assert MtaRules().every() == ()


def lists(**rules: Any) -> dict[str, list[str]]:
    made = restriction_lists(DEFENCES, gateway(mta_rules=rules))
    return {name: [entry for _, entry in pairs] for name, pairs in made.items()}


def test_the_order_of_restrictions() -> None:
    # A04
    found = lists(
        client=[rule(verb="accept")], sender=[rule("sender")], helo=[rule("helo")], helo_form="known"
    )
    assert found["smtpd_sender_restrictions"] == [
        "check_client_access cidr:/etc/postfix/rules/client-1.cidr",
        "check_helo_access pcre:/etc/postfix/rules/helo-1.pcre",
        "check_sender_access pcre:/etc/postfix/rules/sender-1.pcre",
        "reject_non_fqdn_sender",
        "permit_mynetworks",
        "reject_invalid_helo_hostname",
        "reject_non_fqdn_helo_hostname",
        "reject_unknown_helo_hostname",
        "reject_unknown_sender_domain",
    ]
    # No rule stands here: none of them can open the relay (A10).
    assert found["smtpd_relay_restrictions"] == [
        "reject_non_fqdn_recipient",
        "permit_mynetworks",
        "reject_unauth_destination",
    ]


@pytest.mark.parametrize("name", WARNABLE)
def test_a_defence_that_only_warns_warns_and_is_not_looked_at(name: str) -> None:
    (defence,) = [each for each in DEFENCES if each.id == name]
    chosen = gateway(mta_rules={"warn_only": [name], "helo_form": "known"})
    pairs = [
        pair for made in restriction_lists(DEFENCES, chosen).values() for pair in made if pair[0] == name
    ]
    assert pairs
    assert all(entry.startswith(("warn_if_reject ", "permit")) for _, entry in pairs)
    titles = [getattr(check, "about", "") for check in defence.checks(chosen)]
    assert "only-warns" in titles
    assert not set(defence.claims) & set(defence.checks(chosen))


@pytest.mark.parametrize("name", ["mta.no-open-relay", "mta.early-talker", "mta.client-rules", "nonsense"])
def test_no_other_defence_can_be_let_only_warn(name: str) -> None:
    with pytest.raises(SettingError, match=r"`mta_rules\.warn_only`: .* can only warn; these can: "):
        gateway(mta_rules={"warn_only": [name]})


def test_each_refusal_of_a_restriction_names_its_record() -> None:
    # A16
    text = named_refusals(DEFENCES, gateway(mta_rules={"helo_form": "known"}))
    for record, words in (
        ("mta.fqdn-sender", "504 5.5.2 <a@b>: Sender address rejected: need fully-qualified address"),
        ("mta.no-open-relay", "554 5.7.1 <a@b.example>: Relay access denied"),
        ("mta.helo-known", "450 4.7.1 <x>: Helo command rejected: Host not found"),
        (
            "mta.recipient-verified",
            "550 5.1.1 <a@b>: Recipient address rejected: undeliverable address: Address unknown",
        ),
    ):
        found = [
            line
            for line in text.splitlines()
            if line.startswith("/") and re.search(line[1:].partition("/ \\c")[0], words)
        ]
        assert found == [found[0]]
        assert found[0].endswith(f"\\c (rule {record})")

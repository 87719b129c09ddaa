"""Declared rules and block lists as Sendmail's maps and rulesets: what decides, what only counts, and in which order."""

import re
from datetime import date
from typing import Any

import pytest

from roles.kinds import SendmailPatterns, SendmailRule
from roles.kinds.sendmail import only_counted
from roles.mta.rulesets import (
    access_patterns,
    access_rules,
    answers,
    called,
    list_patterns,
    list_rules,
    posix,
    put_off_unless_answered,
    unlisted,
)
from roles.registry import DEFENCES
from tests.unit.roles.examples import gateway

TODAY = date(2026, 6, 1)
MATCHES = {
    "client": "192.0.2.7",
    "helo": "mail.example.com",
    "sender": "alice@example.com",
    "recipient": "bob@example.org",
}
ZONE = "bl.example.net"


def rule(word: str = "client", **changes: Any) -> dict[str, Any]:
    return {"id": "one", "match": MATCHES[word], "verb": "reject", "reason": "test", **changes}


def made(word: str, *rules: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Return maps and rules of some declared rules."""
    own = getattr(gateway(mta="sendmail", mta_rules={word: list(rules)}).mta_rules, word)
    return access_patterns(own, TODAY), list(access_rules(own, TODAY))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("^a$", "^a$$"),
        (r"\d+", "[0-9]+"),
        (r"\.", r"\."),
        (r"a\/b", "a[/]b"),
        (r"\<x\>", "[<]x[>]"),
        (r"\'\`", "['][`]"),
        (r"\$5", "\\$$5"),
        # Not an option of the map's, nor blanks that a K line loses.
        ("-dsl-", "[-]dsl-"),
        (" a b ", "[ ]a b[ ]"),
    ],
)
def test_an_expression_in_sendmails_words(text: str, wanted: str) -> None:
    assert posix(text) == wanted
    # What Sendmail reads of it ($$ is one dollar sign) means the same.
    assert re.compile(posix(text).replace("$$", "$"))


@pytest.mark.parametrize(
    ("word", "match", "takes", "leaves"),
    [
        ("sender", "alice@example.com", ["alice@example.com"], ["malice@example.com", "alice@example.com.x"]),
        ("sender", "@.example.com", ["x@a.example.com"], ["x@example.com", "x@aexample.com"]),
        ("sender", "<>", ["<>"], ["a<>b", ""]),
        ("sender", r"/^\d+@/", ["12@x"], ["d@x", "a1@x"]),
        ("client", "192.0.2.0/28", ["192.0.2.15"], ["192.0.2.16", "1192.0.2.15"]),
        ("client", "2001:db8::/32", ["IPv6:2001:db8:0:0:0:0:0:1"], ["IPv6:2001:db9:0:0:0:0:0:1"]),
        ("client", "*.dsl.example.net", ["a.dsl.example.net"], ["dsl.example.net"]),
        ("helo", "[192.0.2.1]", ["[192.0.2.1]"], ["1"]),
    ],
)
def test_a_map_takes_what_the_rule_means(word: str, match: str, takes: list[str], leaves: list[str]) -> None:
    maps, _ = made(word, rule(word, match=match))
    ((name, text),) = maps.items()
    assert name == f"rule_{word}_one"
    assert text.startswith("regex -aMATCH ")
    pattern = re.compile(text.removeprefix("regex -aMATCH ").replace("$$", "$"))
    assert all(pattern.search(each) for each in takes)
    assert not any(pattern.search(each) for each in leaves)


@pytest.mark.parametrize(
    ("changes", "decided"),
    [
        ({"verb": "accept"}, ["$@ $1"]),
        ({"verb": "reject"}, ['$#error $@ 5.7.1 $: "554 Access denied (rule mta.client.one)"']),
        ({"verb": "defer"}, ['$#error $@ 4.7.1 $: "450 Not now, try again later (rule mta.client.one)"']),
        ({"text": "Go away"}, ['$#error $@ 5.7.1 $: "554 Go away (rule mta.client.one)"']),
    ],
)
def test_what_becomes_of_a_match(changes: dict[str, Any], decided: list[str]) -> None:
    _, lines = made("client", rule(**changes))
    assert [line.partition("\t")[2] for line in lines if "$| MATCH\t" in line] == decided


@pytest.mark.parametrize("verb", ["reject", "defer", "discard", "hold"])
def test_a_rule_that_warns_counts_and_leaves_the_next_its_turn(verb: str) -> None:
    _, lines = made("client", rule(verb=verb, mode="warn"), rule(id="two", match="192.0.2.8"))
    (first, _) = [line for line in lines if "$| MATCH\t" in line]
    assert first.startswith(f'R$* $| MATCH\t$: $1 $(counted "would {verb}: ')
    assert "(rule mta.client.one)" in first
    assert not any("$#" in line for line in lines[: lines.index(first) + 1])
    assert sum("rule_client_two" in line for line in lines) == 1


@pytest.mark.parametrize(("verb", "mailer"), [("discard", "$#discard"), ("hold", "$#error $@ quarantine")])
def test_what_is_taken_is_taken_only_for_a_recipient_that_is_right(verb: str, mailer: str) -> None:
    for word, asks in (("sender", True), ("recipient", False)):
        _, lines = made(word, rule(word, verb=verb))
        (taken,) = [number for number, line in enumerate(lines) if mailer in line]
        calls = [number for number, line in enumerate(lines) if "$>Local_check_relay" in line]
        assert bool(calls) == asks
        assert all(number < taken for number in calls)


def test_rules_stand_in_the_declared_order_and_those_that_ran_out_not_at_all() -> None:
    maps, lines = made(
        "client",
        rule(verb="accept"),
        rule(id="net", match="192.0.2.0/24"),
        rule(id="old", match="198.51.100.1", expires="2026-05-31"),
        rule(id="today", match="198.51.100.2", expires="2026-06-01"),
    )
    assert list(maps) == ["rule_client_one", "rule_client_net", "rule_client_today"]
    asked = [found[1] for line in lines if (found := re.search(r"\$\((rule_client_\w+) ", line))]
    assert asked == list(maps)


@pytest.mark.parametrize("word", MATCHES)
@pytest.mark.parametrize("verb", ["accept", "reject", "defer", "discard", "hold"])
def test_each_line_is_a_rule(word: str, verb: str) -> None:
    _, lines = made(word, rule(word, verb=verb))
    assert SendmailRule("X", lambda _: tuple(lines)).made(gateway()) == tuple(lines)


def listed(**entry: Any) -> dict[str, Any]:
    return {"id": "one", "zone": ZONE, **entry}


@pytest.mark.parametrize(
    ("counted", "takes", "leaves"),
    [
        ("127.0.0.2", ["127.0.0.2", "127.0.0.9/127.0.0.2"], ["127.0.0.20", "1127.0.0.2", "127.0.0.9"]),
        ("127.0.0.[2..4;10]", ["127.0.0.3", "127.0.0.10"], ["127.0.0.5", "127.0.0.1", "127.0.1.3"]),
        ("127.0.[2..3].[1..2]", ["127.0.3.1/127.0.0.1"], ["127.0.1.1", "127.255.255.254", ""]),
    ],
)
def test_answers_that_count(counted: str, takes: list[str], leaves: list[str]) -> None:
    pattern = re.compile(answers(counted).replace("$$", "$"))
    assert all(pattern.search(each) for each in takes)
    assert not any(pattern.search(each) for each in leaves)


def test_a_zone_is_asked_once_and_the_threshold_decides() -> None:
    chosen = gateway(
        mta="sendmail",
        dnsbl=[
            listed(score=2),
            listed(id="two", answers="127.0.0.3", score=1),
            listed(id="good", zone="wl.example.net", score=-3),
            listed(id="tried", zone="new.example.net", mode="warn"),
        ],
        dnsbl_threshold=3,
    )
    lines = list_rules(chosen)
    asked = [found[1] for line in lines if (found := re.search(r"\$\(listed \$1\.(\S+)\. ", line))]
    assert sorted(asked) == ["bl.example.net", "new.example.net", "wl.example.net"]
    points = dict(
        re.findall(r"\$\((list_\w+) \$3.*?\n.*?\$\(add \+ \$@ \$2 \$@ (-?\d+) \$\)", "\n".join(lines))
    )
    assert points == {"list_one": "2", "list_two": "1", "list_good": "-3", "list_tried": "0"}
    assert sum("$(add l $@ $2 $@ 3 $)" in line for line in lines) == 1
    # Those that refuse nobody by themselves give no refusal its name.
    named = [re.findall(r"using (\S+?)[;\"]", line) for line in lines if "$#error" in line]
    assert sorted(named) == [["dnsbl.one"], ["dnsbl.two"]]
    assert sum('$(counted "would count: ' in line for line in lines) == 1
    assert set(list_patterns(chosen)) == {"list_one", "list_two", "list_good", "list_tried"}


def test_whom_no_list_is_asked_about() -> None:
    chosen = gateway(mta="sendmail", dnsbl=[listed()], dnsbl_allow=["192.0.2.0/24", "2001:db8::/32"])
    lines = list_rules(chosen)
    assert lines.index("R$*\t$: $>Declared unlisted $| $&{client_addr}") < min(
        number for number, line in enumerate(lines) if "$(listed" in line
    )
    assert unlisted(chosen) == {"unlisted:192.0.2": "MATCH", "unlisted:IPv6:2001:db8": "MATCH"}
    assert unlisted(gateway(mta="sendmail", dnsbl=[listed()])) == {}


def test_what_another_ruleset_refuses_is_refused() -> None:
    assert called("Listed")[0].endswith("$>Listed $1")
    assert "R$* $| $#$*\t$#$2" in called("Listed")


def test_a_domain_is_never_refused_for_good() -> None:
    lines = put_off_unless_answered("Not found (rule mta.x)")
    refusals = re.findall(r"<(\w+)>\t\$#error \$@ (\S+) \$: \"(\d+) ", "\n".join(lines))
    assert refusals == [("PERM", "4.1.8", "450"), ("TEMP", "4.1.8", "450")]


def test_each_refusal_of_our_rulesets_names_its_record_or_its_list() -> None:
    # A16
    chosen = gateway(
        mta="sendmail",
        dnsbl=[listed()],
        recipients={"example.org": {"method": "list", "addresses": ["bob"]}},
        mta_rules={"helo_form": "known", **{word: [rule(word)] for word in MATCHES}},
    )
    seen = 0
    for defence in (each for each in DEFENCES if each.stands(chosen)):
        for setting in (each for each in defence.sets if isinstance(each, SendmailRule)):
            for line in setting.made(chosen):
                if (said := re.search(r"\$#error .*\"(.*)\"$", line)) is not None:
                    seen += 1
                    names = (rf"\(rule {re.escape(defence.id)}\)$", r"\(rule mta\.\w+\.one\)$", r"dnsbl\.one")
                    assert any(re.search(name, said[1]) for name in names), line
    assert seen > 10


def test_no_rule_and_no_list_takes_the_name_of_a_map_of_ours() -> None:
    # Of two K lines of one name Sendmail takes the last: a rule `form` about HELO refused whatever had the form of a name.
    for taken in ("form", "full", "own", "sender", "client"):
        chosen = gateway(
            mta="sendmail",
            dnsbl=[listed()],
            recipient_delimiter="+",
            mta_rules={"helo_form": "known", **{word: [rule(word, id=taken)] for word in MATCHES}},
        )
        names = [
            name
            for defence in DEFENCES
            if defence.stands(chosen)
            for setting in defence.sets
            if isinstance(setting, SendmailPatterns)
            for name in setting.maps(chosen)
        ]
        assert len(names) == len(set(names)) > len(MATCHES)


def test_a_record_that_only_warns_refuses_nothing() -> None:
    chosen = gateway(mta="sendmail", mta_rules={"helo_form": "known"})
    for defence in DEFENCES:
        for setting in (each for each in defence.sets if isinstance(each, SendmailRule)):
            own = setting.made(chosen)
            refusals = [line for line in own if re.search(r"\$#error \$@ [0-9.]+ ", line)]
            counted = only_counted(own)
            assert not any(re.search(r"\$#error \$@ [0-9.]+ ", line) for line in counted)
            assert sum('$(counted "would refuse: ' in line for line in counted) == len(refusals)

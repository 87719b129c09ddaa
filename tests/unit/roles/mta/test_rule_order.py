"""Rules that are never reached, as a comparison of each with each finds them, and at a cost that their number does not square."""

import random
import re
from datetime import date
from typing import Any

import pytest

from roles.mta import rule_order
from roles.mta.access import access_tables
from roles.mta.rule_order import never_reached
from roles.mta.rules import AccessRule, ClientRule, ContentRule, Rule, is_regexp, network_of, pattern
from roles.mta.rulesets import access_patterns
from tests.unit.roles.mta.test_rules import TODAY, refusal, rule, ruled

MATCHES = {
    "client": [
        *("192.0.2.7", "192.0.2.0/24", "192.0.0.0/16", "2001:db8::/32", "2001:db8:1::/48", "unknown", "a.example."),
        *("a.example", "A.example", "*.example", "b.*.example", "/dsl/", "/^a/", "x.dsl.example", "mail.a.example"),
    ],
    "helo": [
        *("a.example", "a.example.", "A.EXAMPLE..", "*.example", "mx*", "mx1", "[192.0.2.1]", "[IPv6:::ffff:192.0.2.1]"),
        *("[2001:db8::1]", "[IPv6:2001:DB8:0::1]", "/^a/", "/192/", "/example$/"),
    ],
    "sender": [
        *("a@x.example", "A@X.example", "b@x.example", "@x.example", "@.example", "@.x.example", "@y.x.example", "<>"),
        *("a@y.x.example", "*@x.example", "a*@x.example", "/^a@/", "/@x/", "/^$|<>/"),
    ],
    "content": ["/a/", "/b/", "/A/"],
}  # fmt: skip


def covers(earlier: Rule, later: Rule) -> bool:
    """Compare two rules in the plainest way."""
    if earlier.mode == "warn" or earlier.expires < later.expires:
        return False
    if isinstance(earlier, ContentRule) and isinstance(later, ContentRule):
        warns = (earlier.verb == "warn") != (later.verb == "warn" or later.mode == "warn")
        return earlier.part == later.part and earlier.match == later.match and not warns
    assert isinstance(earlier, AccessRule)
    assert isinstance(later, AccessRule)
    nets = [network_of(each.match) for each in (earlier, later) if isinstance(each, ClientRule)]
    if any(nets):
        first, second = nets
        return (
            first is not None
            and second is not None
            and first.version == second.version
            and first.prefixlen <= second.prefixlen
            and second.network_address in first
        )
    return earlier.match.lower() == later.match.lower() or names_cover(earlier, later)


def names_cover(earlier: AccessRule, later: AccessRule) -> bool:
    local, at, domain = later.match.rpartition("@")
    if is_regexp(later.match):
        return False
    if "*" in later.match:
        # Of all addresses of a domain a rule about the domain is all.
        return bool(at) and earlier.match.startswith("@") and found(earlier, f"\0@{domain}")
    if at and not local:
        whole = f"\0@\0{domain}" if domain.startswith(".") else f"\0@{domain}"
        return not is_regexp(earlier.match) and found(earlier, whole)
    return found(earlier, later.match)


def found(rule: AccessRule, text: str) -> bool:
    return re.search(pattern(rule), text, re.IGNORECASE | re.DOTALL) is not None


@pytest.mark.parametrize("word", MATCHES)
@pytest.mark.parametrize("seed", range(150))
def test_what_is_found_by_key_is_what_a_comparison_of_each_with_each_finds(word: str, seed: int) -> None:
    chance = random.Random(f"{word}{seed}")  # noqa: S311 - the same each time
    rules: list[Rule] = []
    for number in range(12):
        chosen: dict[str, Any] = {
            "id": f"r{number}",
            "match": chance.choice(MATCHES[word]),
            "verb": chance.choice(("reject", "hold", "warn") if word == "content" else ("reject", "hold")),
        }
        if chance.random() < 0.2:
            chosen["mode"] = "warn"
        if chance.random() < 0.4:
            chosen["expires"] = str(date(2030 + chance.randrange(3), 1, 1))
        if word == "content":
            chosen["part"] = chance.choice(("header", "body"))
            if chosen["verb"] == "warn":
                chosen.pop("mode", None)
        rules += getattr(ruled(word, rule(word, **chosen)).mta_rules, word)
    wanted = [
        (number, first)
        for number, later in enumerate(rules, 1)
        if (first := next((n for n, each in enumerate(rules[: number - 1], 1) if covers(each, later)), None))
    ]
    assert list(never_reached(rules)) == wanted


def many(word: str, number: int) -> list[dict[str, Any]]:
    """Return rules of every kind that a list knows."""
    names = {
        "client": ("10.{a}.{b}.0/24", "*.h{n}.example", "h{n}.example", "/^h{n}-/"),
        "helo": ("h{n}.example", "[10.{a}.{b}.1]", "mx{n}.*", "/^h{n}-/"),
        "sender": ("a@h{n}.example", "@h{n}.example", "news-{n}-*@b.example", "/^h{n}-/"),
        "content": ("/^X-{n}: /",),
    }[word]
    return [
        rule(word, id=f"r{n}", match=names[n % len(names)].format(n=n, a=n // 256, b=n % 256))
        for n in range(number)
    ]


@pytest.mark.parametrize("word", MATCHES)
def test_5000_rules_of_one_list_cost_a_few_compilations_each(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    real = re._compiler.compile  # type: ignore[attr-defined] # what re.compile and re.search call without a cache

    def counting(text: str, flags: int) -> re.Pattern[str]:
        compiled.append(text)
        found: re.Pattern[str] = real(text, flags)
        return found

    monkeypatch.setattr(re._compiler, "compile", counting)  # type: ignore[attr-defined] # as above
    ruled(word, *many(word, 5000))
    # One for the form of an expression, one for what it covers.
    assert len(compiled) <= 2 * 5000 + 50


def test_what_is_tried_expression_by_expression_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [rule(id=f"n{n}", match=f"n{n}.example") for n in range(50)]
    rules = [*(rule(id=f"r{n}", match=f"/^x{n}/") for n in range(50)), *names]
    last = {**names[0], "id": "last", "match": "x1.example"}
    assert "entry 101 (mta.client.last) is never reached: entry 2 " in refusal("client", *rules, last)
    monkeypatch.setattr(rule_order, "MOST_TRIES", 2000)
    assert ruled("client", *rules, last)


@pytest.mark.parametrize(
    ("match", "takes", "leaves"),
    [
        ("*@spam.example", ["a@spam.example", "A.b@SPAM.example"], ["a@x.spam.example", "a@spam.example.x"]),
        (
            "news-*@b.example",
            ["news-1@b.example", "news-@b.example"],
            ["snews-1@b.example", "news@b.example"],
        ),
        ("a*z@b.example", ["az@b.example", "a.y.z@b.example"], ["az@b-example", "azz@c.example"]),
    ],
)
@pytest.mark.parametrize("word", ["sender", "recipient"])
def test_9_a_star_in_an_address_stands_for_anything_under_both(
    word: str, match: str, takes: list[str], leaves: list[str]
) -> None:
    own = getattr(ruled(word, rule(word, match=match)).mta_rules, word)
    (table,) = access_tables(own, TODAY)
    (line,) = [line for line in table.text.splitlines() if line.startswith("/")]
    (posix,) = access_patterns(own, TODAY).values()
    for text in (line[1:].partition("/ REJECT")[0], posix.removeprefix("regex -aMATCH ").replace("$$", "$")):
        assert all(re.search(text, each, re.IGNORECASE) for each in takes)
        assert not any(re.search(text, each, re.IGNORECASE) for each in leaves)


@pytest.mark.parametrize("match", ["a@*.example", "a@*", "*@*", "@*.example"])
def test_9_a_star_behind_the_at_sign_is_refused_with_the_remedy(match: str) -> None:
    assert "write @.example.org for all domains below one" in refusal("sender", rule("sender", match=match))


def test_9_what_is_below_a_rule_with_a_star_is_never_reached() -> None:
    first = rule("sender", match="*@x.example")
    assert "never reached" in refusal("sender", first, rule("sender", id="two", match="a@x.example"))
    assert "never reached" in refusal("sender", first, rule("sender", id="two", match="@x.example"))
    assert ruled("sender", rule("sender", match="a*@x.example"), rule("sender", id="two", match="@x.example"))

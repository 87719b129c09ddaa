import resource
import signal
import time

import pytest

from filterd.anatomy import Anatomy, Leaf
from filterd.config.inspection import Bounds, ContentRule, Inspection
from filterd.findings import Finding, Verdict
from filterd.stages import content

MAIL = Anatomy(
    headers=(("subject", "Invoice 4711"), ("x-origin", "printer"), ("subject", "second subject")),
    texts=(("1.1", "Dear all,\nplease transfer the money"), ("1.2", "nothing")),
    leaves=(
        Leaf(path="1.1"),
        Leaf(path="1.3", names=("list.zip", "list=?utf-8?q?.zip")),
        Leaf(path="1.3!1", names=("Salaries 2031.xlsx",), via="zip"),
    ),
)


def judged(pattern: str, *where: str, mail: Anatomy = MAIL, case: bool = False) -> tuple[Finding, ...]:
    rule = ContentRule(name="mine", pattern=pattern, where=where, verdict="suspicious", case=case)
    return content.judge(mail, Inspection(content=(rule,)))


def test_a_match_in_a_body_names_its_part() -> None:
    assert judged("transfer .* money", "body") == (
        Finding(
            stage="content",
            verdict=Verdict.SUSPICIOUS,
            rule="content.mine",
            detail="transfer the money",
            part="1.1",
            path="1.1",
        ),
    )


def test_a_match_in_a_name_inside_an_archive_names_the_part_and_the_member() -> None:
    (found,) = judged("salaries", "name")
    assert (found.part, found.path, found.name) == ("1.3", "1.3!1", "Salaries 2031.xlsx")


def test_every_reading_of_a_name_is_looked_at_and_reported_once() -> None:
    assert len(judged("list", "name")) == 1
    assert len(judged("utf-8", "name")) == 1


@pytest.mark.parametrize(
    ("pattern", "where", "count"),
    [
        ("invoice", "subject", 1),
        ("subject", "subject", 1),
        ("invoice", "body", 0),
        ("^printer$", "header:X-Origin", 1),
        ("printer", "header:X-Other", 0),
        ("^please", "body", 1),
    ],
)
def test_places(pattern: str, where: str, count: int) -> None:
    assert len(judged(pattern, where)) == count


def test_case_matters_only_if_it_is_set() -> None:
    assert judged("INVOICE", "subject")
    assert not judged("INVOICE", "subject", case=True)


@pytest.mark.parametrize(
    "text",
    [
        "pass\u00adword",
        "p\u200ba\u200cs\u2060sword",
        "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44",
        "\U0001d429\U0001d41a\U0001d42c\U0001d42c\U0001d430\U0001d428\U0001d42b\U0001d41d",
        "pass\U000e0041word",
    ],
)
def test_what_the_eye_does_not_see_hides_nothing(text: str) -> None:
    assert judged("password", "body", mail=Anatomy(texts=(("1", f"your {text} please"),)))


def test_the_exact_text_is_looked_at_as_well() -> None:
    assert judged("\u00ad", "body", mail=Anatomy(texts=(("1", "a\u00adb"),)))


def test_the_rules_are_checked_with_the_configuration() -> None:
    good = ContentRule(name="a", pattern="x")
    assert list(content.check((good,))) == []
    bad = (good, ContentRule(name="b", pattern="("), ContentRule(name="a", pattern="y"))
    problems = list(content.check(bad))
    assert len(problems) == 2
    assert "[[content]] b" in problems[0]
    assert "'a' stands twice" in problems[1]


# --- patterns that take for ever, and texts that make others slow


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$", "(a|aa)+$", "(a|a)*$", r"invoice: (\d+)+x", r"(\w+\s?)+$", "(?:x+x+)+y", "(.*)*x",
        r"([^\n]+\n?)+!", "(a{1,20}){1,20}b", "^(([a-z])+.)+[A-Z]([a-z])+$",
    ],
)  # fmt: skip
def test_a_pattern_that_takes_for_ever_is_refused_and_named(pattern: str) -> None:
    (problem,) = content.check((ContentRule(name="slow", pattern=pattern),))
    assert problem.startswith("[[content]] slow: pattern takes for ever on texts like ")
    assert problem.endswith("as (a+)+ can be written a+")


@pytest.mark.parametrize(
    "pattern",
    [
        "overdue invoice", r"(\w+\s+)+end", "project (heron|osprey)", r"(?:\d{4}[ -]?){3}\d{4}", ".*foo.*bar.*", "(foo|bar)+",
        r"[\w.+-]+@([\w-]+\.)+[a-z]{2,}", "(a++)+$", r"(\s*,\s*\w+)+;", r"(?<!x)(?P<n>[^a])(?P=n)+",
        r"\b(?:bitcoin|btc)\b.{0,80}(?:wallet|address)",
    ],
)  # fmt: skip
def test_an_honest_pattern_is_taken(pattern: str) -> None:
    assert not list(content.check((ContentRule(name="good", pattern=pattern),)))


@pytest.mark.parametrize(
    ("pattern", "text"), [("(a+)+$", "a" * 60 + "b"), ("x.*y", "x" * 3_000_000), ("x.*.*y", "x" * 100_000)]
)
def test_rules_that_take_too_long_make_it_over_limit_and_keep_what_was_found(pattern: str, text: str) -> None:
    rules = (ContentRule(name="first", pattern="invoice"), ContentRule(name="slow", pattern=pattern))
    mail = Anatomy(headers=(("subject", "Invoice"),), texts=(("1", text),))
    before = resource.getrlimit(resource.RLIMIT_CPU), signal.getsignal(signal.SIGXCPU)
    begun = time.process_time()
    first, second = content.judge(mail, Inspection(parse=Bounds(seconds=2), content=rules))
    assert time.process_time() - begun < 4
    assert first.rule == "content.first"
    assert (second.stage, second.verdict, second.rule) == ("limit", Verdict.OVER_LIMIT, "limit.content-time")
    # On a busy machine it may be spent before the slow one has its turn.
    assert second.detail.endswith(": more than 1 s")
    assert (resource.getrlimit(resource.RLIMIT_CPU), signal.getsignal(signal.SIGXCPU)) == before


@pytest.mark.parametrize("at", [0, 90_000, 131_070, 131_072, 200_000, 399_990])
@pytest.mark.parametrize("filler", ["x", "x\n"])
def test_a_match_is_found_wherever_it_stands_in_a_long_text(at: int, filler: str) -> None:
    text = (filler * 400_000)[:at] + "\nneedle end\n" + (filler * 400_000)[at:400_000]
    for pattern in ("^needle end$", r"needle\s+end\b", "(?s)needle.*?end"):
        assert judged(pattern, "body", mail=Anatomy(texts=(("1", text),)))


def test_the_end_of_a_piece_is_not_the_end_of_the_text() -> None:
    text = "x" * 400_000
    for pattern in (r"x{9}\Z(?<!x)|x\Z(?=y)", r"x$(?!\Z)"):
        assert not judged(pattern, "body", mail=Anatomy(texts=(("1", text + "!"),)))

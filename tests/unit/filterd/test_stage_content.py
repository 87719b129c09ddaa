import pytest

from filterd.anatomy import Anatomy, Leaf
from filterd.config.inspection import ContentRule, Inspection
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

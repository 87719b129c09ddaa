"""decide() on HTML: what is disarmed, left alone and replaced; and whom a failed attempt is blamed on."""

import pytest

from filterd.anatomy import Edit, HtmlTreatment
from filterd.disposition import Attempt
from tests.unit.filterd.policies import config, found, one, report

HTML = (found("suspicious", rule="html.form"), found("suspicious", "1.3", rule="html.script"))


def test_html_is_disarmed_whatever_the_rules_mode() -> None:
    made = one(report(*HTML), config(html={"forms": "strip"}))
    assert (made.verdict, made.fate) == ("clean", "deliver")
    assert made.order.edits == (Edit(part="1.2", action="disarm"),)
    assert made.order.html == HtmlTreatment(
        scripts="allow", forms="strip", iframes="allow", objects="allow", webbugs="allow"
    )
    assert made.attempts == (Attempt(chain="html", action="disarm", parts=("1.2",)),)


@pytest.mark.parametrize("protected", ["signed", "encrypted", "calendar"])
def test_html_that_must_not_be_altered_is_left(protected: str) -> None:
    assert not one(report(*HTML, protected=protected), config(html={"forms": "strip"})).rewritten


def test_html_inside_of_an_archive_and_html_that_is_allowed_are_left() -> None:
    inside = found("suspicious", rule="html.form", path="1.2!1")
    assert not one(report(inside), config(html={"forms": "strip"})).rewritten
    assert not one(report(*HTML), config()).rewritten


def test_html_that_cannot_be_disarmed_is_replaced_and_else_refused() -> None:
    settings = config(html={"forms": "disarm"})
    failed: frozenset[Attempt] = frozenset()
    seen = []
    while (made := one(report(*HTML), settings, failed=failed)).fate == "deliver":
        seen.append([each.action for each in made.order.edits])
        failed |= made.blamed()
    assert seen == [["disarm"], ["notice"]]
    assert (made.fate, made.rule) == ("reject", "html.form")


def test_a_chain_that_disarms_does_at_least_what_disarm_means() -> None:
    made = one(
        report(found("suspicious", rule="html.smuggling")),
        config(chains={"suspicious": ["clean"]}, html={"forms": "strip"}),
    )
    assert made.order.html == HtmlTreatment(forms="strip")


# --- the loop of those who carry it out


def test_blame_falls_on_the_attempts_of_the_part_and_else_on_all() -> None:
    made = one(
        report(found("infected", "1.2"), found("banned", "1.3")),
        config(chains={"infected": ["clean"], "banned": ["rename"]}),
    )
    assert [attempt.chain for attempt in made.blamed([1])] == ["banned"]
    assert made.blamed() == made.blamed([]) == made.blamed([99]) == frozenset(made.attempts)

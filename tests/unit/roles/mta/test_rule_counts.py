"""Counts in a rule's expression: what PCRE2 reads in two ways from release to release is refused."""

import pytest

from tests.unit.roles.mta.test_rules import refusal, rule, ruled


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ab{,3}c", "{0,3}"),
        ("a{ 1}", "{1}"),
        ("a{1 }", "{1}"),
        ("a{1, }", "{1,}"),
        ("a{1, 3}", "{1,3}"),
        ("a{1,3 }", "{1,3}"),
        ("a{ , 3 }", "{0,3}"),
        (r"\\\\a{,3}", "{0,3}"),
        ("[]{,3}]x{,3}", "{0,3}"),
    ],
)
@pytest.mark.parametrize("word", ["helo", "content"])
def test_a_count_that_two_releases_of_pcre2_read_in_two_ways_is_refused(
    word: str, text: str, plain: str
) -> None:
    said = refusal(word, rule(word, match=f"/{text}/"))
    assert f"write {plain}, or" in said


@pytest.mark.parametrize(
    "text", ["a{3}", "a{1,}", "a{1,3}", r"a\{,3}", "[a{,3}]", "[]{,3}]", "[^]{,3}]", "a{,}", "a{b}", "a{"]
)
def test_counts_that_all_read_alike_are_taken(text: str) -> None:
    ruled("helo", rule("helo", match=f"/x{text}/"))

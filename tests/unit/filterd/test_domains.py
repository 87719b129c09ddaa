"""A domain is the same in U-labels and in A-labels, wherever an envelope's address is compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.config.conditions import bare, fits
from filterd.domains import in_ascii, in_unicode
from filterd.policy.lists import Sender, unproven

A = "xn--mnchen-3ya.example"


@pytest.mark.parametrize(
    "address",
    [
        "boss@münchen.example",
        "<Boss@MÜNCHEN.example>",
        "boss@mu\u0308nchen.example",
        "boss@XN--MNCHEN-3YA.example",
    ],
)
def test_b13_every_spelling_is_one_address(address: str) -> None:
    assert bare(address.encode()) == f"boss@{A}"
    assert fits(f"@{A}", bare(address.encode()))


def test_b13_who_sends_as_the_house_is_known_in_u_labels() -> None:
    sender = Sender(
        envelope=bare("boss@münchen.example".encode()), author="", by_spf=False, by_dkim=False, outside=True
    )
    assert [found.rule for found in unproven(sender, [A])] == ["list.unproven"]


def test_the_part_before_the_at_sign_stays_as_it_is() -> None:
    assert bare("ü@example.org".encode()) == "ü@example.org"
    assert bare("ü".encode()) == "ü"


@given(st.text(max_size=60))
def test_no_text_makes_it_fall_over_and_none_becomes_two(text: str) -> None:
    found = in_ascii(text)
    assert in_ascii(found) == found
    assert found.count("@") == text.count("@")
    in_unicode(text)
    bare(text.encode("utf-8", "surrogatepass"))

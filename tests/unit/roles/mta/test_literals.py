"""Address literals in HELO: one address, however it is written, is what a rule names; no other is."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.mta.literals import address_of, expression
from roles.mta.rules import HeloRule, pattern
from roles.mta.rulesets import access_patterns, posix
from tests.unit.roles.mta.test_rules import TODAY

ZEROS = st.lists(st.sampled_from([0, 0, 0, 1, 0xDB8, 0x2001, 0xFFFF, 0xA0]), min_size=8, max_size=8)


def found(match: str, helo: str) -> bool:
    rule = HeloRule(id="one", match=match, verb="reject", reason="test")
    plain = re.search(pattern(rule), helo, re.IGNORECASE) is not None
    # Sendmail's map, in Python's reading of what regcomp(3) gets.
    (text,) = access_patterns([rule], TODAY).values()
    ours = text.removeprefix("regex -aMATCH ").replace("$$", "$").replace(r"\#", "#")
    assert len(text) < 1900
    assert (re.search(ours, helo, re.IGNORECASE) is not None) is plain
    return plain


@pytest.mark.parametrize(
    "helo",
    [
        *("[IPv6:2001:db8::1]", "[IPv6:2001:DB8:0::1]", "[ipv6:2001:0db8:0000:0000:0000:0000:0000:0001]"),
        *("[IPv6:2001:db8:0:0:0:0:0:1]", "[IPv6:2001:db8::0:1]", "[2001:db8::1]", "[IPv6:2001:db8::0.0.0.1]"),
    ],
)
def test_b12_a_rule_finds_an_address_in_every_spelling(helo: str) -> None:
    assert found("[IPv6:2001:DB8:0::1]", helo)
    assert found("[IPv6:2001:db8::1]", helo)


@pytest.mark.parametrize(
    "helo",
    [
        "[IPv6:2001:db8::2]",
        "[IPv6:2001:db8:1::1]",
        "[IPv6:2001:db8::1:1]",
        "[IPv6:1:2001:db8::1]",
        "2001:db8::1",
    ],
)
def test_another_address_is_not_found(helo: str) -> None:
    assert not found("[IPv6:2001:db8::1]", helo)


@pytest.mark.parametrize(
    "helo", ["[192.0.2.1]", "[192.000.002.001]", "[IPv6:::ffff:192.0.2.1]", "[IPv6:::FFFF:c000:201]"]
)
def test_an_ipv4_address_is_found_in_both_families_spelling(helo: str) -> None:
    assert found("[192.0.2.1]", helo)
    assert not found("[192.0.2.11]", helo)


@pytest.mark.parametrize(
    "match", ["host.example", "host.example.", "HOST.example", "*.example", "*.example."]
)
def test_b12_a_dot_at_the_end_is_no_other_name(match: str) -> None:
    assert found(match, "host.example")
    assert found(match, "host.example.")
    assert not found(match, "host.example.org")


@given(ZEROS, st.data())
def test_any_spelling_of_any_address_is_found(groups: list[int], data: st.DataObject) -> None:
    address = IPv6Address(b"".join(group.to_bytes(2) for group in groups))
    texts = [f"{group:x}".rjust(data.draw(st.integers(1, 4)), "0") for group in groups]
    if data.draw(st.booleans()):
        texts[6:] = [str(IPv4Address(address.packed[12:]))]
    runs = [
        (start, end)
        for start in range(8)
        for end in range(start + 1, min(8, len(texts)) + 1)
        if all(text.strip("0") == "" for text in texts[start:end])
    ]
    text = ":".join(texts)
    left_out = data.draw(st.sampled_from([None, *runs]))
    if left_out:
        start, end = left_out
        text = f"{':'.join(texts[:start])}::{':'.join(texts[end:])}"
    assert ip_address(text) == address
    assert re.search(expression(address), f"[IPv6:{text}]", re.IGNORECASE)


@given(ZEROS, ZEROS)
def test_no_other_address_is_found(groups: list[int], others: list[int]) -> None:
    one, other = (IPv6Address(b"".join(group.to_bytes(2) for group in each)) for each in (groups, others))
    for text in (other.compressed, other.exploded):
        assert (re.search(expression(one), f"[{text}]", re.IGNORECASE) is not None) == (one == other)


@pytest.mark.parametrize(
    "text", ["[]", "[IPv6:]", "[IPv6:192.0.2.1]", "[192.0.2.0/24]", "[fe80::1%eth0]", "192.0.2.1"]
)
def test_what_is_no_literal_names_no_address(text: str) -> None:
    assert address_of(text) is None


def test_sendmail_reads_it_as_postfix_does() -> None:
    assert posix(expression(ip_address("2001:db8::1"))).count("$$") == 1

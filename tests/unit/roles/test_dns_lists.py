"""Block lists as data: which answers count, which lists are refused, what a client reads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.dns.lists import DEAD, KNOWN_ANSWERS, known_answers, octets, takes
from roles.dns.settings import refusals
from roles.errors import SettingError
from roles.kinds import DnsblSites
from tests.unit.roles.examples import gateway


def one(**changes: Any) -> dict[str, Any]:
    return {"id": "one", "zone": "bl.example.org", **changes}


@pytest.mark.parametrize("zone", [*KNOWN_ANSWERS, "bl.example.org"])
def test_p18_no_known_filter_takes_an_error_code(zone: str) -> None:
    counted = octets(known_answers(zone))
    assert not [last for last in range(256) if takes(counted, f"127.255.255.{last}")]
    assert not takes(counted, "127.0.0.1")


def test_a_vendors_key_does_not_hide_which_list_it_is() -> None:
    assert known_answers("k3y.zen.dq.spamhaus.net.") == "127.0.0.[2..11]"
    assert known_answers("notzen.spamhaus.org") == "127.0.0.[2..254]"


def test_answers_are_read_as_postfix_writes_them() -> None:
    assert octets("127.0.[1..3;9].2") == (
        frozenset({127}),
        frozenset({0}),
        frozenset({1, 2, 3, 9}),
        frozenset({2}),
    )


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 255)
)
def test_a_range_takes_what_lies_in_it(ranges: list[tuple[int, int]], number: int) -> None:
    ordered = [(min(pair), max(pair)) for pair in ranges]
    written = ";".join(str(low) if low == high else f"{low}..{high}" for low, high in ordered)
    wanted = any(low <= number <= high for low, high in ordered)
    assert takes(octets(f"127.0.0.[{written}]"), f"127.0.0.{number}") is wanted


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0",
        "127.0.0.2.3",
        "127.0.0.[11..2]",
        "127.0.0.300",
        "127.0.0.[]",
        "127.0.0.x",
        "127.0.0.[2..",
        "",
        "2",
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"form|range"):
        octets(text)


@pytest.mark.parametrize("dead", DEAD)
def test_a14_dead_lists_are_refused_with_the_reason(dead: str) -> None:
    with pytest.raises(SettingError, match="is dead"):
        gateway(dnsbl=[one(zone=f"relays.{dead}")])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dnsbl": [one(answers="127.[0..255].[0..255].[2..255]")]}, "codes for errors"),
        ({"dnsbl": [one(zone="bl.example.org.")]}, "ends with a dot"),
        ({"dnsbl": [one(answers="127.0.0.[1..11]")]}, "127.0.0.1"),
        ({"dnsbl": [one(answers="[0..255].0.0.2")]}, "within 127.0.0.0/8"),
        ({"dnsbl": [one(answers="127.0.0")]}, "four numbers or ranges"),
        ({"dnsbl": [one(), one()]}, "given twice"),
        ({"dnsbl": [one(), one(id="two", zone="BL.example.org")]}, "write it in one way"),
        ({"dnsbl": [one(score=0)]}, "decides nothing"),
        ({"dnsbl": [one(reason="a\r\nb")]}, "reply line"),
        ({"dnsbl": [one(test="::1")]}, "IPv4"),
        ({"dnsbl": [one(zone="not a zone")]}, "not a zone"),
        ({"dnsbl": [one(score=1)], "dnsbl_threshold": 3}, "below 3"),
        ({"dnsbl": [one()], "resolvers": ["8.8.8.8"]}, "public resolver"),
        ({"dnsbl": [one()], "resolvers": ["2606:4700:4700::1111"]}, "public resolver"),
        ({"dnsbl_allow": ["192.0.2.1/24"]}, "CIDR"),
        ({"dnsbl_allow": ["192.0.2.0/255.255.255.0"]}, "write '192.0.2.0/24'"),
        ({"dnsbl": [one()], "postscreen": False}, "postscreen"),
        ({"postscreen_deep": ["pipelining"], "postscreen": False}, "postscreen"),
        ({"dns": {"trust_anchors": ["example.org. DS x"]}}, "DS record"),
        ({"dns": {"insecure_domains": ["."]}}, "not a domain"),
    ],
)
def test_what_cannot_be_used_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        gateway(**changes)


def test_public_resolvers_are_free_to_use_where_no_list_is_asked() -> None:
    assert gateway(resolvers=["8.8.8.8"]).resolvers == ("8.8.8.8",)


def test_allow_lists_come_first_and_warned_lists_count_nothing() -> None:
    chosen = gateway(
        dnsbl=[
            one(),
            one(id="two", zone="grey.example.org", mode="warn"),
            one(id="white", zone="wl.example.org", score=-3),
        ]
    )
    sites = DnsblSites().line(chosen).split()[2:]
    assert sites == [
        "wl.example.org=127.0.0.[2..254]*-3",
        "bl.example.org=127.0.0.[2..254]*3",
        "grey.example.org=127.0.0.[2..254]*0",
    ]


def test_no_key_is_in_what_is_shown_or_in_a_refusal() -> None:
    chosen = gateway(dnsbl=[one(zone="s3cret.zen.dq.spamhaus.net", reason="see example.org")])
    assert "s3cret" in DnsblSites().line(chosen)
    assert "s3cret" not in DnsblSites().wanted(chosen)
    assert refusals(chosen.dnsbl) == {"s3cret.zen.dq.spamhaus.net": "dnsbl.one (see example.org)"}


def test_of_a_zone_that_stands_twice_the_weightier_entry_speaks() -> None:
    chosen = gateway(dnsbl=[one(score=5), one(id="two", score=2, answers="127.0.0.9")])
    assert refusals(chosen.dnsbl) == {"bl.example.org": "dnsbl.one"}

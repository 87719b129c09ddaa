"""Directions: what settings make of next hops, times and what goes out."""

import re
from ipaddress import ip_network
from typing import Any

import pytest

from roles.errors import SettingError
from roles.forms import next_hops
from roles.mta.outbound import address_pattern, files, relayhost, transport
from tests.unit.roles.examples import gateway

INSIDE = {"relay_networks": [{"network": "192.0.2.0/26"}, {"network": "2001:db8:18::/64"}]}
LINE = (
    "Received: from pc (pc.lan [{address}])\n\t(using TLSv1.3)\n\tby mx1.example.org (ESMTP) with ESMTP id 4x\n"
    "\tfor <a@b>; today"
)


def test_next_hops_stand_in_their_order() -> None:
    assert next_hops("[192.0.2.1]:25 ,[192.0.2.2],mail.example") == (
        "[192.0.2.1]:25",
        "[192.0.2.2]",
        "mail.example",
    )


def test_several_next_hops_are_one_transport_and_open_their_ports() -> None:
    chosen = gateway(
        relay_domains={"example.org": "[192.0.2.1]:2525,[192.0.2.2]"},
        outbound={"smarthost": "[192.0.2.3]:587"},
    )
    assert transport(chosen) == {"example.org": "relay:[192.0.2.1]:2525, [192.0.2.2]"}
    assert relayhost(chosen) == "[192.0.2.3]:587"
    assert chosen.next_hop_ports == (25, 587, 2525)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"relay_domains": {"example.org": "[192.0.2.1], "}}, "relay_domains"),
        ({"relay_domains": {"example.org": "[192.0.2.1],[192.0.2.1]"}}, "stands there twice"),
        ({"relay_domains": {"example.org": "[192.0.2.1],example.org"}}, "whose MX is this gateway"),
        ({"relay_domains": {"example.org": "[192.0.2.1],[192.0.2.2]:0"}}, "a port that does not exist"),
        ({"outbound": {"smarthost": "relay:[192.0.2.1]"}}, "outbound.smarthost"),
        ({"outbound": {"sender_domains": ["Example.com"]}}, "outbound.sender_domains"),
        ({"outbound": {"sender_domains": ["example.org"]}}, "a relayed domain already"),
        ({"outbound": {"hide_headers": ["X-A:"]}}, "outbound.hide_headers"),
        ({"outbound": {"hide_headers": ["Message-ID"]}}, "cannot be left out"),
        ({"queue": {"lifetime_hours": 4, "bounce_lifetime_hours": 5, "warn_after_hours": 0}}, "queue.bounce"),
        ({"queue": {"lifetime_hours": 24, "warn_after_hours": 24}}, "queue.warn_after_hours"),
        ({"queue": {"lifetime_hours": 0}}, "lifetime_hours"),
        ({"relay_networks": [{"network": "0.0.0.0/0", "reason": "x"}]}, "relay_networks"),
    ],
)
def test_what_cannot_be_is_refused_with_its_setting(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=re.escape(said)):
        gateway(**changes)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.0/24", ["192.0.2.0", "192.0.2.255"], ["192.0.3.1", "192.0.21.1", "1192.0.2.1"]),
        ("198.18.0.64/26", ["198.18.0.64", "198.18.0.127"], ["198.18.0.63", "198.18.0.128", "198.18.0.6"]),
        ("10.0.0.0/8", ["10.9.8.7"], ["100.9.8.7", "11.0.0.1"]),
        ("192.0.2.1/32", ["192.0.2.1"], ["192.0.2.10", "192.0.2.2"]),
        (
            "2001:db8:18::/64",
            ["IPv6:2001:db8:18::10", "IPv6:2001:db8:18:0:a:b:c:d"],
            ["IPv6:2001:db8:19::1", "192.0.2.1"],
        ),
    ],
)
def test_the_pattern_of_a_network_is_of_its_addresses(
    network: str, inside: list[str], outside: list[str]
) -> None:
    pattern = re.compile(address_pattern(ip_network(network)))
    assert all(pattern.fullmatch(address) for address in inside)
    assert not any(pattern.fullmatch(address) for address in outside)


def _replaced(line: str) -> str:
    (rule,) = [each for each in files(gateway(**INSIDE))["trace.pcre"].splitlines() if each.startswith("/")]
    pattern, _, put = rule[1:].rpartition("/ REPLACE ")
    return re.sub(pattern, put.replace("$1", r"\1"), line, flags=re.DOTALL | re.IGNORECASE)


@pytest.mark.parametrize("address", ["192.0.2.9", "IPv6:2001:db8:18::9"])
def test_the_gateways_own_line_loses_the_host_inside(address: str) -> None:
    assert _replaced(LINE.format(address=address)) == (
        "Received: by mx1.example.org (ESMTP) with ESMTP id 4x\n\tfor <a@b>; today"
    )


def test_the_gateways_line_about_a_host_outside_stays() -> None:
    line = LINE.format(address="203.0.113.9")
    assert _replaced(line) == line


def test_only_the_house_is_told_what_could_not_be_delivered() -> None:
    text = files(
        gateway(relay_domains={"example.org": "[192.0.2.1]"}, outbound={"sender_domains": ["example.com"]})
    )
    (condition,) = re.findall(r"(?m)^if !/(.*)/$", text["bounces.pcre"])
    assert all(
        re.search(condition, who) for who in ("a@example.org", "a@example.com", "root@mx1.example.org")
    )
    assert not any(
        re.search(condition, who) for who in ("a@example.net", "a@sub.example.org", "a@example.org.net")
    )


def test_senders_of_the_house_are_whole_domains() -> None:
    text = files(gateway(**INSIDE, relay_domains={"example.org": "[192.0.2.1]"}))["senders.pcre"]
    house = re.findall(r"(?m)^/(.*)/ OK$", text)
    assert any(re.search(one, "<>") for one in house)
    assert any(re.search(one, "a@example.org") for one in house)
    assert not any(
        re.search(one, who) for one in house for who in ("a@exampleXorg", "a@x.example.org", "a@b@c.net")
    )


def test_without_relaying_networks_nobody_is_asked_who_he_is() -> None:
    assert set(files(gateway())) == {"bounces.pcre", "strangers.pcre", "trace.pcre"}
    assert set(files(gateway(**INSIDE, outbound={"any_sender": True}))) == {
        "bounces.pcre",
        "strangers.pcre",
        "trace.pcre",
    }


def test_thousands_of_domains_are_as_many_patterns_as_it_takes() -> None:
    names = [f"customer{number:04}.example" for number in range(5000)]
    networks = [f"10.{number // 256}.{number % 256}.0/24" for number in range(2000)]
    text = files(
        gateway(
            relay_domains=dict.fromkeys(names, "[192.0.2.1]"),
            relay_networks=[{"network": network} for network in networks],
        )
    )
    assert max(len(line) for one in text.values() for line in one.splitlines()) < 10_000
    senders = re.findall(r"(?m)^/(.*)/ OK$", text["senders.pcre"])
    for table, end in (("bounces.pcre", ""), ("strangers.pcre", ">")):
        conditions = re.findall(r"(?m)^if !/(.*)/$", text[table])
        assert len(conditions) == text[table].count("\nendif") > 1
        for who in (f"a@{names[0]}", f"a@{names[2500]}", f"a@{names[-1]}", "a@mx1.example.org"):
            assert sum(bool(re.search(one, who + end)) for one in conditions) == 1
        assert not any(re.search(one, f"a@customer5000.example{end}") for one in conditions)
    for who in (f"a@{names[0]}", f"a@{names[2500]}", f"a@{names[-1]}"):
        assert sum(bool(re.search(one, who)) for one in senders) == 1
    assert not any(re.search(one, f"a@x.{names[0]}") for one in senders)
    hidden = re.findall(r"(?m)^/(.*)/ REPLACE", text["trace.pcre"])
    for address, count in (("10.0.0.1", 1), ("10.7.207.255", 1), ("10.7.208.1", 0)):
        assert sum(bool(re.search(one, LINE.format(address=address), re.DOTALL)) for one in hidden) == count

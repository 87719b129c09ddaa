"""Ways out that a site declares: rendered for one user each, refused where they would be everybody's or lead everywhere."""

from typing import Any

import pytest

from roles.errors import SettingError
from roles.firewall.beginning import unknown
from roles.firewall.defences import DEFENCES
from roles.firewall.owners import reaches
from roles.firewall.ruleset import ruleset
from roles.kinds import Standing
from roles.settings import Gateway
from tests.unit.roles.examples import gateway

LDAP: dict[str, Any] = {
    "user": "nslcd",
    "ports": [389, 636],
    "networks": ["10.1.0.5", "2001:db8:1::5/128"],
    "reason": "logins of the house's directory",
}


def declaring(*ways: dict[str, Any]) -> Gateway:
    return gateway(firewall={"egress": list(ways)})


def rules(chosen: Gateway, family: int) -> list[str]:
    lines = ruleset(DEFENCES, chosen, family).splitlines()
    return [line for line in lines if "firewall.declared-egress" in line]


@pytest.mark.parametrize(("family", "target"), [(4, "10.1.0.5/32"), (6, "2001:db8:1::5/128")])
def test_each_family_has_the_declared_ways_of_its_networks(family: int, target: str) -> None:
    assert rules(declaring(LDAP), family) == [
        f"-A OUTPUT -d {target} -p tcp -m tcp --dport {port} -m conntrack --ctstate NEW -m owner --uid-owner nslcd "
        '-m comment --comment "firewall.declared-egress" -j ACCEPT'
        for port in (389, 636)
    ]


def test_without_a_declaration_there_is_no_such_way() -> None:
    assert rules(gateway(), 4) == []
    assert rules(declaring({**LDAP, "networks": ["10.1.0.5"]}), 6) == []


def test_what_two_declarations_have_in_common_is_one_rule() -> None:
    assert len(rules(declaring(LDAP, {**LDAP, "ports": [636, 3268]}), 4)) == 3


def test_a_protocol_is_the_declared_one() -> None:
    snmp = {**LDAP, "protocol": "udp", "ports": [162], "user": "root"}
    (rule,) = rules(declaring(snmp), 4)
    assert "-p udp -m udp --dport 162 " in rule
    assert "--uid-owner root " in rule


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"networks": ["0.0.0.0/0"]}, r"firewall\.egress\[0\].*the whole internet"),
        ({"networks": ["::/0"]}, "the whole internet"),
        (
            {"networks": ["64.0.0.0/2"]},
            "a good part of the internet; name the servers that nslcd connects to",
        ),
        ({"networks": ["2000::/12"]}, "a good part of the internet"),
        ({"networks": []}, "networks"),
        ({"networks": ["ldap.example.org"]}, "not a network in CIDR form"),
        ({"ports": []}, "ports"),
        ({"ports": [0]}, "ports"),
        ({"ports": [25]}, "mail leaves by the MTA alone"),
        ({"user": "*"}, "cannot be a user's name"),
        ({"user": "0-65535"}, "cannot be a user's name"),
        ({"user": "a -j ACCEPT"}, "cannot be a user's name"),
        ({"protocol": "all"}, "protocol"),
        ({"reason": " "}, "reason"),
        ({"host": "x"}, "unknown field"),
    ],
)
def test_a_way_that_is_none_in_particular_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        declaring({**LDAP, **change})


def test_a_user_that_is_not_there_is_named_before_anything_changes() -> None:
    chosen = declaring(LDAP, {**LDAP, "user": "unbound"})
    # The resolver's own a deploy makes.
    assert unknown(chosen, ["root", "nslcd"]) == ""
    said = unknown(chosen, ["root"])
    assert "no user 'nslcd' (logins of the house's directory)" in said
    assert "unbound" not in said


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("nslcd 10.1.0.5 389", True),
        ("nslcd 2001:db8:1::5 636", True),
        ("nslcd ::ffff:10.1.0.5 389", True),
        ("nslcd 10.1.0.6 389", False),
        ("nslcd 10.1.0.5 22", False),
        ("root 10.1.0.5 389", False),
        ("postfix 192.0.2.25 25", True),
        ("nobody 192.0.2.25 25", False),
        ("unbound 192.0.2.53 53", True),
        ("unbound 192.0.2.54 53", False),
        ("_apt 198.51.100.7 443", True),
        # Of a unit that has its user while it runs, which this gateway has not.
        ("61200 198.51.100.7 443", False),
        ("", True),
    ],
)
def test_a_connection_that_stands_without_a_way_of_its_own_is_told(line: str, *, holds: bool) -> None:
    assert Standing(reaches=reaches).holds(line, declaring(LDAP)) is holds


def test_a_range_of_users_is_one_of_numbers() -> None:
    acme = gateway(tls={"certificate": "acme"})
    assert reaches(acme, "61200", "198.51.100.7", 443)
    assert not reaches(acme, "1000", "198.51.100.7", 443)

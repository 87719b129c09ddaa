"""Recipients and limits: what is refused, and what Postfix is given."""

import re
from pathlib import Path
from typing import Any

import pytest

from roles.errors import SettingError
from roles.kinds import MainCf
from roles.mta.defences.relay import own_networks
from roles.mta.known import directory_files, known, listed_map, verified
from roles.mta.rulesets import listed, subaddress_map
from roles.registry import DEFENCES
from tests.unit.roles.examples import gateway

LDAP: dict[str, Any] = {"servers": ["ldaps://ldap.example.org"], "base": "dc=example,dc=org"}


def refusal(**changes: Any) -> str:
    with pytest.raises(SettingError) as error:
        gateway(**changes)
    return str(error.value)


@pytest.mark.parametrize(
    ("domain", "check", "said"),
    [
        ("elsewhere.example", {"method": "next_hop"}, "not among `relay_domains`"),
        ("example.org", {"method": "list"}, "needs one of them"),
        ("example.org", {"method": "next_hop", "addresses": ["bob"]}, "go with the method `list`"),
        ("example.org", {"method": "ldap"}, "needs it"),
        (
            "example.org",
            {"method": "list", "addresses": ["bob"], "ldap": LDAP},
            "goes with the method `ldap`",
        ),
        (
            "example.org",
            {"method": "list", "addresses": ["bob@example.net"]},
            "not an address of this domain",
        ),
        ("example.org", {"method": "list", "addresses": ["b b"]}, "not an address of this domain"),
        ("example.org", {"method": "list", "file": "/nonexistent/list"}, "cannot be read"),
        ("example.org", {"method": "ldap", "ldap": {**LDAP, "filter": "(mail=bob)"}}, "does not ask"),
        ("example.org", {"method": "ldap", "ldap": {**LDAP, "filter": "(mail=%s"}}, "no search filter"),
        ("example.org", {"method": "ldap", "ldap": {**LDAP, "servers": ["ldap.example.org"]}}, "no server"),
        (
            "example.org",
            {"method": "ldap", "ldap": {**LDAP, "servers": ["ldap://x.example:99999"]}},
            "no server",
        ),
        ("example.org", {"method": "ldap", "ldap": {**LDAP, "start_tls": True}}, "encrypted already"),
        ("example.org", {"method": "ldap", "ldap": {**LDAP, "bind_password_file": "/dev/null"}}, "bind_dn"),
        (
            "example.org",
            {"method": "ldap", "ldap": {**LDAP, "bind_dn": "cn=mx", "bind_password_file": "/nonexistent/it"}},
            "'/nonexistent/it' cannot be read",
        ),
        (
            "example.org",
            {"method": "ldap", "ldap": {**LDAP, "bind_dn": "cn=mx", "bind_password_file": __file__}},
            "more than one line",
        ),
        ("example.org", {"method": "ldap", "ldap": {**LDAP, "base": "dc=x\nquery_filter = x"}}, "base"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_domain(domain: str, check: dict[str, Any], said: str) -> None:
    words = refusal(recipients={domain: check})
    assert "recipients" in words
    assert said in words


def test_an_entry_of_a_file_that_is_no_address_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("# those\ncarol\nb b # new\n")
    words = refusal(recipients={"example.org": {"method": "list", "file": str(file)}})
    assert f"example.org: the file {str(file)!r}, line 3: 'b b@example.org' is not an address" in words


def test_a_list_of_addresses_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("# those\nCarol\n\ndave@example.org # new\n")
    made = gateway(recipients={"example.org": {"method": "list", "addresses": ["Bob"], "file": str(file)}})
    assert known(made) == {
        "@example.net": "OK",
        "bob@example.org": "OK",
        "carol@example.org": "OK",
        "dave@example.org": "OK",
    }
    assert verified(made) == {"example.net": "reject_unverified_recipient"}


def test_domains_that_are_not_named_ask_their_next_hop() -> None:
    assert verified(gateway()) == dict.fromkeys(("example.net", "example.org"), "reject_unverified_recipient")
    (record,) = [each for each in DEFENCES if each.id == "mta.recipient-listed"]
    assert not record.stands(gateway())


@pytest.mark.parametrize("delimiter", ["", "+", "-", "="])
def test_b11_a_tag_is_parted_by_the_declared_delimiter_alone(delimiter: str) -> None:
    check = {"example.org": {"method": "list", "addresses": ["alice"]}}
    chosen = gateway(recipients=check, recipient_delimiter=delimiter)
    (record,) = [each for each in DEFENCES if each.id == "mta.recipient-listed"]
    (line,) = [
        each.line(chosen)
        for each in record.sets
        if isinstance(each, MainCf) and each.line(chosen).startswith("recipient_delimiter")
    ]
    assert line.strip() == f"recipient_delimiter = {delimiter}".strip()
    maps = subaddress_map(chosen)
    assert bool(maps) == bool(delimiter)
    assert any("untagged" in rule for rule in listed(chosen)) == bool(delimiter)
    for sign in "+-=":
        for name in (f"alice{sign}tag", f"alice{sign}a{sign}b"):
            found = [re.match(text.removeprefix("regex -s1 "), name) for text in maps.values()]
            assert [match[1] for match in found if match] == (["alice"] if sign == delimiter else [])
        assert not any(re.match(text.removeprefix("regex -s1 "), f"{sign}tag") for text in maps.values())


def test_a_delimiter_is_one_that_a_mail_server_has() -> None:
    assert "recipient_delimiter" in refusal(recipient_delimiter="a")


def test_a_directory_is_asked_for_its_own_domain_alone(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    made = gateway(
        recipients={
            "example.org": {
                "method": "ldap",
                "ldap": {**LDAP, "bind_dn": "cn=mx", "bind_password_file": str(tmp_path / "password")},
            },
            "example.net": {"method": "ldap", "ldap": {**LDAP, "servers": ["ldap://192.0.2.9:1389"]}},
        }
    )
    files = directory_files(made)
    assert list(files) == ["/etc/postfix/directory-example.net.cf", "/etc/postfix/directory-example.org.cf"]
    assert "domain = example.net\n" in files["/etc/postfix/directory-example.net.cf"]
    assert "server_host = ldap://192.0.2.9:1389\n" in files["/etc/postfix/directory-example.net.cf"]
    assert "bind = no\n" in files["/etc/postfix/directory-example.net.cf"]
    assert "bind_pw = secret\n" in files["/etc/postfix/directory-example.org.cf"]
    assert "tls_require_cert = yes\n" in files["/etc/postfix/directory-example.org.cf"]
    assert listed_map(made) == (
        "lmdb:/etc/postfix/recipients proxy:ldap:/etc/postfix/directory-example.net.cf proxy:ldap:/etc/postfix/directory-example.org.cf"
    )
    assert verified(made) == {}
    assert made.directory_ports == (636, 1389)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"network": "0.0.0.0/0", "reason": "all"}, "the whole internet"),
        ({"network": "::/0", "reason": "all"}, "the whole internet"),
        ({"network": "10.0.0.0/8"}, "larger than a /16"),
        ({"network": "10.0.0.0/15", "reason": " "}, "larger than a /16"),
        ({"network": "2001:db8::/32"}, "larger than a /48"),
        ({"network": "10.0.0.1/16"}, "CIDR"),
        ({"network": "::ffff:10.0.0.0/112"}, "IPv4's"),
        ({"network": "hash:/etc/postfix/x"}, "CIDR"),
    ],
)
def test_who_may_relay_is_somebody(entry: dict[str, str], said: str) -> None:
    # A09
    words = refusal(relay_networks=[entry])
    assert words.startswith("setting `relay_networks`: ")
    assert said in words


def test_own_networks_are_what_is_declared() -> None:
    assert own_networks(gateway()) == "127.0.0.0/8 [::1]/128"
    made = gateway(
        relay_networks=[
            {"network": "10.0.0.0/8", "reason": "the whole house"},
            {"network": "192.0.2.7"},
            {"network": "2001:db8:5::/64"},
        ]
    )
    assert own_networks(made) == "127.0.0.0/8 [::1]/128 10.0.0.0/8 192.0.2.7/32 [2001:db8:5::]/64"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"exempt": ["0.0.0.0/0"]}, "`mta_limits.exempt`: '0.0.0.0/0' lets the whole internet"),
        ({"exempt": ["x"]}, "`mta_limits.exempt`"),
        ({"errors_slow": 30}, "`mta_limits.errors_slow`"),
        ({"connections": -1}, "connections"),
        ({"errors": 0}, "errors"),
    ],
)
def test_limits_that_limit_nothing_are_refused(limits: dict[str, Any], said: str) -> None:
    assert said in refusal(mta_limits=limits)

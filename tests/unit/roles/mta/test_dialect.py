"""Postfix's configuration in the words of the release that a platform has."""

import re

import pytest

from roles.kinds import MainCf, applies
from roles.mta.defences import DEFENCES
from roles.mta.postfix import _files
from roles.mta.relaying import FIRST
from tests.unit.roles.examples import gateway

_LIST = [{"id": "one", "zone": "dnsbl.example.net"}]
EL = gateway(
    platform="el9", dnsbl=_LIST, relay_networks=[{"network": "192.0.2.0/28"}, {"network": "2001:db8::/64"}]
)
DEBIAN = gateway(dnsbl=_LIST, relay_networks=[{"network": "192.0.2.0/28"}, {"network": "2001:db8::/64"}])
# Seen with `postconf -n` of 3.5.25: it calls them unused.
NEWER = (
    "postscreen_denylist_action",
    "postscreen_dnsbl_allowlist_threshold",
    "smtpd_per_request_deadline",
    "smtpd_relay_before_recipient_restrictions",
)


def main_cf(of: object) -> dict[str, str]:
    (text,) = (file.content for file in _files(of) if file.path == "/etc/postfix/main.cf")  # type: ignore[arg-type]
    return dict(re.findall(r"^(\w+) =[ ]*(.*(?:\n[ ]+.*)*)", text, re.MULTILINE))


def test_an_older_release_is_told_nothing_that_it_does_not_know() -> None:
    seen = main_cf(EL)
    assert not set(seen) & set(NEWER)
    assert seen["postscreen_blacklist_action"] == "ignore"
    assert seen["postscreen_dnsbl_whitelist_threshold"] == "0"
    assert seen["smtpd_per_record_deadline"] == "yes"
    assert seen["compatibility_level"] == "2"  # a release's number there ends it
    assert not [
        name for name, value in seen.items() if ">=" in value or re.match(r"(pcre|regexp|cidr):\{", value)
    ]
    assert seen["smtpd_tls_protocols"] == "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"


def test_a_newer_one_is_told_in_its_own_words() -> None:
    seen = main_cf(DEBIAN)
    assert set(NEWER) <= set(seen)
    assert (seen["compatibility_level"], seen["smtp_tls_protocols"]) == ("3.6", ">=TLSv1.2")
    assert not [name for name in seen if "blacklist" in name or "whitelist" in name]


@pytest.mark.parametrize(
    ("of", "asked"), [(EL, "postscreen_blacklist_action"), (DEBIAN, "postscreen_denylist_action")]
)
def test_the_audit_asks_by_the_name_that_the_release_knows(of: object, asked: str) -> None:
    (setting,) = (
        each
        for d in DEFENCES
        for each in d.sets
        if isinstance(each, MainCf) and each.key == "postscreen_denylist_action"
    )
    assert setting.question(of) == f"postconf -h {asked}"  # type: ignore[arg-type]


def test_what_a_release_has_under_no_name_is_no_check_of_it() -> None:
    (setting,) = (
        each for d in DEFENCES for each in d.sets if isinstance(each, MainCf) and each.key == NEWER[-1]
    )
    assert applies(setting, DEBIAN)
    assert not applies(setting, EL)


def test_relaying_is_judged_first_also_by_a_release_that_has_the_lists_the_other_way_round() -> None:
    files = {file.path: file.content for file in _files(EL)}
    entries = main_cf(EL)["smtpd_recipient_restrictions"].splitlines()
    assert [line.strip() for line in entries if not line.strip().startswith("#")][1:2] == [
        f"check_client_access cidr:{FIRST}"
    ]
    rows = dict(line.split(" ", 1) for line in files[FIRST].splitlines() if not line.startswith("#"))
    assert rows == {
        "127.0.0.0/8": "reject_non_fqdn_recipient",
        "::1/128": "reject_non_fqdn_recipient",
        "192.0.2.0/28": "reject_non_fqdn_recipient",
        "2001:db8::/64": "reject_non_fqdn_recipient",
        "0.0.0.0/0": "reject_non_fqdn_recipient, reject_unauth_destination",
        "::/0": "reject_non_fqdn_recipient, reject_unauth_destination",
    }
    assert FIRST not in {file.path for file in _files(DEBIAN)}

"""The records to publish: what they say, in a form that a name server reads."""

import hashlib
import re

import dns.zone
import msgspec
import pytest

from publish import records
from publish.records import ContradictionError, Record, plan
from roles.errors import SettingError
from tests.unit.roles.examples import gateway

PUBLISHED = {
    "addresses": ["203.0.113.7", "2001:db8::7"],
    "spf": ["include:_spf.example.com"],
    "dkim": {"s1": "A" * 392, "s2": "ed25519:" + "B" * 43 + "="},
    "dmarc": "quarantine",
    "mta_sts": "enforce",
}
ONE = gateway(publish=PUBLISHED)
TWO = gateway(
    hostname="mx2.example.org",
    relay_domains={"example.org": "[192.0.2.25]:25"},
    administrator="postmaster@example.net",
    publish={**PUBLISHED, "addresses": ["203.0.113.8"], "preference": 20},
)


def values(owner: str, kind: str, *gateways: object, keys: dict[str, list[str]] | None = None) -> list[str]:
    made = plan(gateways or (ONE,), keys or {})  # type: ignore[arg-type] # gateways, as the names say
    return [each.value for each in made.records if (each.owner, each.type) == (owner, kind)]


@pytest.mark.parametrize(
    ("local_part", "written"),
    [
        ("dmarc!10m", "dmarc%2110m"),
        ("a+b", "a+b"),
        ("50%", "50%25"),
        ("a/b?c=d&e#f", "a%2Fb%3Fc%3Dd%26e%23f"),
        ("it's", "it's"),
    ],
)
def test_an_address_for_reports_is_a_uri_that_means_it_alone(local_part: str, written: str) -> None:
    # The setting takes fewer characters; what makes a URI of an address does not rely on that.
    chosen = msgspec.structs.replace(ONE, administrator=f"{local_part}@example.org")
    assert values("_dmarc.example.org.", "TXT", chosen) == [
        f"v=DMARC1; p=quarantine; rua=mailto:{written}@example.org"
    ]
    assert values("_smtp._tls.example.org.", "TXT", chosen) == [
        f"v=TLSRPTv1; rua=mailto:{written}@example.org"
    ]


def test_a_gateway_has_addresses_that_have_its_name() -> None:
    assert values("mx1.example.org.", "A") == ["203.0.113.7"]
    assert values("mx1.example.org.", "AAAA") == ["2001:db8::7"]
    assert values("7.113.0.203.in-addr.arpa.", "PTR") == ["mx1.example.org."]
    assert values("mx1.example.org.", "TXT") == ["v=spf1 a -all"]


def test_a_domains_mail_comes_by_every_gateway_that_relays_it() -> None:
    assert values("example.org.", "MX", ONE, TWO) == ["10 mx1.example.org.", "20 mx2.example.org."]
    assert values("example.net.", "MX", ONE, TWO) == ["10 mx1.example.org."]


def test_a_domain_says_who_sends_in_its_name_and_what_becomes_of_the_rest() -> None:
    assert values("example.org.", "TXT") == ["v=spf1 mx include:_spf.example.com -all"]
    assert values("_dmarc.example.org.", "TXT") == [
        "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.net"
    ]
    assert values("s1._domainkey.example.org.", "TXT") == [f"v=DKIM1; k=rsa; p={'A' * 392}"]
    assert values("s2._domainkey.example.net.", "TXT") == [f"v=DKIM1; k=ed25519; p={'B' * 43}="]
    assert values("_smtp._tls.example.org.", "TXT") == ["v=TLSRPTv1; rua=mailto:postmaster@example.net"]


def test_who_gets_a_domains_dmarc_reports_says_that_they_are_welcome() -> None:
    # RFC 7489 7.1. The reports of both go to postmaster@example.net, who is of one of them.
    assert values("example.org._report._dmarc.example.net.", "TXT") == ["v=DMARC1"]
    assert not values("example.net._report._dmarc.example.net.", "TXT")
    below = gateway(administrator="postmaster@office.example.org", publish=PUBLISHED)
    assert not values("example.org._report._dmarc.office.example.org.", "TXT", below)
    assert values("example.net._report._dmarc.office.example.org.", "TXT", below) == ["v=DMARC1"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("dmarc", "none", "('quarantine' and 'none')"),
        ("spf", [], "(['include:_spf.example.com'] and [])"),
        ("spf_others", "~all", "('-all' and '~all')"),
        ("mta_sts", "testing", "('enforce' and 'testing')"),
        ("mta_sts_max_age", 86_400, "(604800 and 86400)"),
        ("dkim", {}, "`publish.dkim`; give"),
    ],
)
def test_7_gateways_of_one_domain_that_say_different_things_of_it_are_named(
    name: str, value: object, said: str
) -> None:
    other = gateway(
        hostname="mx2.example.org",
        relay_domains={"example.org": "[192.0.2.25]:25"},
        publish={**PUBLISHED, name: value},
    )
    for order in ((ONE, other), (other, ONE)):
        with pytest.raises(ContradictionError) as raised:
            plan(order, {})
        words = str(raised.value)
        assert f"`publish.{name}`" in words
        assert "example.org: " in words
        assert {"mx1.example.org", "mx2.example.org"} <= set(words.split())
    with pytest.raises(ContradictionError, match=re.escape(said)):
        plan((ONE, other), {})
    # Of domains of their own they may say what they like.
    apart = msgspec.structs.replace(other, relay_domains={"example.com": "[192.0.2.25]:25"})
    assert plan((ONE, apart), {})


def test_7_reports_that_two_gateways_would_have_sent_to_two_addresses_are_said() -> None:
    other = msgspec.structs.replace(TWO, administrator="hostmaster@example.org")
    said = [each for each in plan((ONE, other), {}).lacking if "reports go to" in each]
    assert said == [
        f"example.org: {kind} reports go to postmaster@example.net as mx1.example.org says, not to hostmaster@example.org as "
        f"mx2.example.org does; give both the same `{setting}`"
        for kind, setting in (("DMARC", "administrator"), ("TLS-RPT", "tls.report_address"))
    ]
    assert not [each for each in plan((ONE, TWO), {}).lacking if "reports" in each]


def test_the_policys_id_changes_with_the_policy() -> None:
    text = plan((ONE, TWO), {}).policies["example.org"]
    assert text.splitlines() == [
        "version: STSv1",
        "mode: enforce",
        "mx: mx1.example.org",
        "mx: mx2.example.org",
        "max_age: 604800",
    ]
    (both,), (alone,) = (
        values("_mta-sts.example.org.", "TXT", ONE, TWO),
        values("_mta-sts.example.org.", "TXT"),
    )
    assert both != alone
    assert both == f"v=STSv1; id={hashlib.sha256(text.encode()).hexdigest()[:16]}"


def test_what_is_not_wanted_or_not_known_is_left_out_and_said() -> None:
    bare = plan((gateway(publish={"mta_sts": "none"}),), {})
    assert not bare.policies
    assert {each.type for each in bare.records} == {"MX", "TXT"}
    assert [said for said in bare.lacking if "publish.addresses" in said]
    assert [said for said in bare.lacking if "--certificate" in said]
    assert [said for said in bare.lacking if "_domainkey" in said]


def test_a_key_at_hand_makes_a_tlsa_record() -> None:
    digest = "ab" * 32
    assert values("_25._tcp.mx1.example.org.", "TLSA", keys={"mx1.example.org": [digest]}) == [
        f"3 1 1 {digest}"
    ]
    assert not [said for said in plan((ONE,), {"mx1.example.org": [digest]}).lacking if "TLSA" in said]


def test_the_text_is_read_by_another_librarys_zone_parser() -> None:
    made = plan((ONE, TWO), {"mx1.example.org": ["ab" * 32, "cd" * 32, "ab" * 32]})
    assert sum(each.type == "TLSA" for each in made.records) == 2
    text = "".join(f"{each.line()}\n" for each in made.records)
    zone = dns.zone.from_text(text, origin=".", relativize=False, check_origin=False)
    long = zone.find_rdataset("s1._domainkey.example.org.", "TXT")[0]
    assert [len(part) for part in long.strings] == [255, len("v=DKIM1; k=rsa; p=") + 392 - 255]
    assert len(list(zone.iterate_rdatas())) == len(made.records)


def test_a_text_at_the_limit_stays_in_one_part() -> None:
    record = Record(owner="a.", type="TXT", value="x" * records._LONGEST_TEXT, about="")
    assert record.data().count('"') == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"addresses": ["example.org"]}, "not an IP address"),
        ({"spf": ["-all"]}, "no SPF term"),
        ({"spf": ["include:a b"]}, "no SPF term"),
        ({"dkim": {"S_1": "A" * 50}}, "no selector"),
        ({"dkim": {"s1": "no key"}}, "no base64"),
        ({"dkim": {"s1": '"; p=' + "A" * 50}}, "no base64"),
    ],
)
def test_what_cannot_be_published_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        gateway(publish=wrong)

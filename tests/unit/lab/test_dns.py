"""The zones: what they say of each name, and that every delegation has a zone."""

import re

from dns import zone as dnspython
from dns.dnssec import validate
from dns.exception import ValidationFailure
from dns.name import from_text
from dns.rdatatype import RRSIG, A

from lab import blocklists, dns
from lab.plan import NAMELESS


def zone(name: str, *, gateways: int = 2) -> dns.Zone:
    return next(each for each in dns.zones(gateways) if each.name == name)


def values(name: str, owner: str, kind: str) -> list[str]:
    return [each.value for each in zone(name).records if (each.owner, each.type) == (owner, kind)]


def test_every_gateway_is_an_equal_mail_exchanger() -> None:
    assert values("bastide.example", "@", "MX") == ["10 mx1", "10 mx2"]
    assert values("bastide.example", "mx2", "A") == ["198.51.100.22"]
    assert values("bastide.example", "mx2", "AAAA") == ["2001:db8:51::22"]


def test_sender_has_mail_exchanger_and_policy() -> None:
    assert values("sender.example", "@", "MX") == ["10 client"]
    assert values("sender.example", "@", "TXT") == ['"v=spf1 ip4:198.51.100.10 ip4:198.51.100.11 -all"']


def test_reverse_zones_name_the_hosts_and_not_the_spoofer() -> None:
    wan = {each.owner: each.value for each in zone("100.51.198.in-addr.arpa").records}
    assert wan["10"] == "client.sender.example."
    assert wan["21"] == "mx1.bastide.example."
    assert str(NAMELESS) not in wan
    assert values("0.18.198.in-addr.arpa", "25", "PTR") == ["mail.bastide.example."]


def test_reverse_zone_of_v6_has_whole_owners() -> None:
    name = "0.0.0.0.1.5.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    owners = {each.owner: each.value for each in zone(name).records}
    assert owners["0.1" + ".0" * 14] == "client.sender.example."


def test_block_list_holds_the_listed_address_and_the_test_entry() -> None:
    assert values(blocklists.BLOCK_LIST, "66.100.51.198", "A") == ["127.0.0.2"]
    assert values(blocklists.BLOCK_LIST, "2.0.0.127", "A") == ["127.0.0.2"]
    assert values(blocklists.BLOCK_LIST, "2.0.0.127", "TXT")
    assert not values(blocklists.BLOCK_LIST, "10.100.51.198", "A")


def test_every_zone_is_delegated_by_the_one_that_it_lies_in() -> None:
    every = {each.name: each for each in dns.zones(1)}
    for name, one in every.items():
        if name == ".":
            continue
        parent = next((other for other in every if other != "." and name.endswith(f".{other}")), ".")
        made = {(each.owner, each.type) for each in every[parent].records}
        assert (f"{name}.", "NS") in made
        assert ((f"{name}.", "DS") in made) is one.signed


def test_signed_zones_validate_and_the_changed_one_does_not() -> None:
    for name in (".", "bastide.example", "signed.example", "bogus.example"):
        made = dnspython.from_text(zone(name).text(), origin=name, relativize=False)
        origin = from_text(name)
        key = made.find_rdataset(origin, "DNSKEY")
        wrong = []
        for owner, node in made.nodes.items():
            for signature in [each for each in node.rdatasets if each.rdtype == RRSIG]:
                covered = made.find_rrset(owner, signature.covers)
                try:
                    validate(covered, (owner, signature), {origin: key})
                except ValidationFailure:
                    wrong.append((str(owner), covered.rdtype))
        assert wrong == ([("bogus.example.", A)] if name == "bogus.example" else [])


def test_configuration_serves_each_zone_and_resolves_for_nobody() -> None:
    every = dns.zones(1)
    text = dns.named_conf(every)
    assert "recursion no;" in text
    assert re.findall(r'^zone "([^"]+)"', text, flags=re.MULTILINE) == [each.name for each in every]
    assert len({each.file for each in every}) == len(every)


def test_zone_text_has_one_authority_and_every_record() -> None:
    one = zone("sender.example")
    lines = one.text().splitlines()
    assert sum(" SOA " in line for line in lines) == 1
    assert len(lines) == len(one.records) + 3

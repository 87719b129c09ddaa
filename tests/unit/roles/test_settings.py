"""Settings: what is refused, in which words, and what follows from what is accepted."""

import re
from typing import Any

import msgspec
import pytest

from roles.errors import SettingError
from roles.settings import FOREIGN_PREFIXES, Gateway
from tests.unit.roles.examples import SETTINGS, gateway, settings

REQUIRED = ("hostname", "relay_domains", "admin_networks")
# Lowest and highest accepted value; None where there is no bound on that side.
BOUNDS = (
    ("sshd_port", 1, 65535),
    ("firewall_confirm_seconds", 15, 600),
    ("message_size_limit", 65_536, 1_000_000_000),
    ("recipient_limit", 100, 10_000),
    ("dnsbl_threshold", 1, 1000),
    ("filterd_workers", 0, 64),
    ("filterd_metrics_port", 0, 65_535),
    ("clamav_checks_per_day", 1, 50),
    ("spamd_children", 1, 64),
    ("clamd_threads", 1, 64),
)


def refusal(**changes: Any) -> str:
    """Return the words in which the example with these changes is refused."""
    with pytest.raises(SettingError) as error:
        gateway(**changes)
    return str(error.value)


@pytest.mark.parametrize(("name", "lowest", "highest"), BOUNDS)
def test_numbers_are_taken_up_to_their_bounds_and_no_further(
    name: str, lowest: int, highest: int | None
) -> None:
    assert getattr(gateway(**{name: lowest}), name) == lowest
    assert f"$.{name}`" in refusal(**{name: lowest - 1})
    if highest is not None:
        # More workers than the engines serve are refused as well, so let the engines serve many.
        engines = {"clamd_threads": 64, "spamd_children": 64}
        assert getattr(gateway(**{**engines, name: highest}), name) == highest
        assert f"$.{name}`" in refusal(**{name: highest + 1})


def test_every_number_has_bounds_in_the_table_above() -> None:
    numbers = {
        field.name
        for field in msgspec.structs.fields(Gateway)
        if isinstance(field.default, int | float) and not isinstance(field.default, bool)
    }
    assert numbers == {name for name, _, _ in BOUNDS}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_named_with_the_page_that_explains_it(name: str) -> None:
    given = {key: value for key, value in SETTINGS.items() if key != name}
    with pytest.raises(SettingError, match=rf"required field `{name}`.*docs/settings\.md"):
        Gateway.of(given)


def test_only_three_settings_are_required() -> None:
    made = Gateway.of({name: SETTINGS[name] for name in REQUIRED})
    assert (made.sshd_port, made.resolvers, made.recipient_limit) == (22, (), 100)


@pytest.mark.parametrize("name", ["relay_domain", "Hostname", "smtpd_port", "", "xssh_user", "auditor"])
def test_an_unknown_name_is_refused_with_the_page_and_the_known_names(name: str) -> None:
    words = refusal(**{name: "x"})
    assert f"unknown field `{name}`" in words
    assert "docs/settings.md" in words
    assert all(known in words for known in Gateway.__struct_fields__)


@pytest.mark.parametrize("prefix", FOREIGN_PREFIXES)
def test_data_of_the_connector_and_of_the_audit_is_none_of_ours(prefix: str) -> None:
    assert gateway(**{f"{prefix}anything": object()}) == gateway()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hostname", 7),
        ("hostname", None),
        ("relay_domains", ["example.org"]),
        ("relay_domains", {"example.org": 25}),
        ("admin_networks", "192.0.2.0/24"),
        ("sshd_port", "22"),
        ("sshd_port", 22.5),
        ("clamav_official_databases", "no"),
        ("resolvers", [53]),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, value: object) -> None:
    assert f"`$.{name}" in refusal(**{name: value})


@pytest.mark.parametrize(
    "hostname",
    [
        "",
        "mx1",
        "mx1.",
        ".example.org",
        "mx1..example.org",
        "-mx.example.org",
        "mx-.example.org",
        "mx_1.example.org",
        "mx1.example.org\n",
        "mx1.example.org\nmyorigin = evil.example",
        "192.0.2.1",
        f"{'a' * 64}.example.org",
        f"{'a.' * 126}example.org",
        "mx1.example.org ",
    ],
)
def test_a_host_name_that_is_not_fully_qualified_is_refused(hostname: str) -> None:
    words = refusal(hostname=hostname)
    assert words.startswith("setting `hostname`:")
    assert "mx1.example.org" in words


@pytest.mark.parametrize("hostname", ["mx1.example.org", "MX-1.Example.ORG", "a.bc", "xn--bcher-kva.example"])
def test_a_fully_qualified_host_name_is_taken(hostname: str) -> None:
    assert gateway(hostname=hostname).hostname == hostname


@pytest.mark.parametrize(
    "domain", ["example", "*.example.org", "user@example.org", "example.org relay:x", ""]
)
def test_a_relayed_domain_that_is_none_is_refused(domain: str) -> None:
    words = refusal(relay_domains={domain: "[192.0.2.1]:25"})
    assert words.startswith("setting `relay_domains`:")
    assert repr(domain) in words


@pytest.mark.parametrize(
    "hop",
    [
        "",
        "[192.0.2.1",
        "[192.0.2.1]:",
        "smtp:[192.0.2.1]",
        "[192.0.2.1]:25 ",
        "[a]:25\nevil.example relay:[b]",
        "[192.0.2.1]:123456",
        "mail.example.org:smtp:25",
        "[192.0.2.1]:00025",
        "192.0.2.10",
        "[999.1.1.1]",
        "[:::::]:2525",
        "[a..b]",
        "[fe80::1%eth0]",
        "a-.example",
        "1.2.3",
    ],
)
def test_a_next_hop_that_transport_does_not_know_is_refused(hop: str) -> None:
    words = refusal(relay_domains={"example.org": hop})
    assert words.startswith("setting `relay_domains`:")
    assert "transport(5)" in words


@pytest.mark.parametrize(
    "hop", ["[192.0.2.1]:65536", "[2001:db8::1]:99999", "mail.example.org:70000", "[192.0.2.1]:0"]
)
def test_a_next_hop_with_an_impossible_port_is_refused(hop: str) -> None:
    assert refusal(relay_domains={"example.org": hop}).endswith("names a port that does not exist")


@pytest.mark.parametrize(
    "hop", ["[192.0.2.1]", "[2001:db8::1]:2525", "mail.example.org", "mail.example.org:2525"]
)
def test_next_hops_in_the_words_of_transport_are_taken(hop: str) -> None:
    assert gateway(relay_domains={"example.org": hop}).relay_domains == {"example.org": hop}


@pytest.mark.parametrize(
    "hop", ["[mx1.example.org]", "MX1.example.org:25", "[127.0.0.1]", "[::1]:25", "[localhost]", "[0.0.0.0]"]
)
def test_a_next_hop_that_is_the_gateway_itself_is_refused(hop: str) -> None:
    assert "is this gateway" in refusal(relay_domains={"example.org": hop})
    assert "is this gateway" in refusal(outbound={"smarthost": hop})


@pytest.mark.parametrize("hop", ["[127.0.0.1]:10025", "[mail]", "[_x.example.org]", "MAIL.example.net"])
def test_what_only_looks_like_it_is_taken(hop: str) -> None:
    assert gateway(relay_domains={"example.org": hop}).relay_domains == {"example.org": hop}


def test_a_relayed_domain_is_no_next_hop_in_whatever_letters() -> None:
    assert "whose MX is this gateway" in refusal(relay_domains={"example.org": "EXAMPLE.org"})


@pytest.mark.parametrize("local", ["o'brien", "a$b", "a#b", "a`b", "a%b", "a|b", "a&b", "a*b"])
def test_an_administrator_whose_address_means_something_else_to_what_reads_it_is_refused(local: str) -> None:
    said = refusal(administrator=f"{local}@example.org")
    assert said.startswith("setting `administrator`:")
    assert repr(local[1]) in said
    assert gateway(administrator="a.b+c=d_e-f@example.org")


@pytest.mark.parametrize("name", ["relay_domains", "admin_networks"])
def test_a_gateway_for_nobody_is_refused(name: str) -> None:
    assert f"`$.{name}`" in refusal(**{name: type(SETTINGS[name])()})


@pytest.mark.parametrize(
    ("network", "word"),
    [
        ("0.0.0.0/0", "part of the internet"),
        ("128.0.0.0/1", "part of the internet"),
        ("2000::/15", "part of the internet"),
        ("::/0", "part of the internet"),
        ("192.0.2.1/24", "host bits"),
        ("192.0.2.0/33", "CIDR"),
        ("admins", "CIDR"),
        ("", "CIDR"),
        ("192.0.2.0/24 -j ACCEPT", "CIDR"),
    ],
)
def test_an_administrators_network_that_cannot_be_meant_is_refused(network: str, word: str) -> None:
    words = refusal(admin_networks=["192.0.2.0/28", network])
    assert words.startswith("setting `admin_networks`:")
    assert word in words


@pytest.mark.parametrize("network", ["192.0.2.7", "192.0.2.7/32", "2001:db8::/48", "10.0.0.0/8"])
def test_networks_of_both_families_and_single_addresses_are_taken(network: str) -> None:
    assert gateway(admin_networks=[network]).admin_networks == (network,)


@pytest.mark.parametrize(
    "resolver", ["", "localhost", "192.0.2.53:53", "192.0.2.0/24", "192.0.2.53 -j ACCEPT"]
)
def test_a_resolver_that_is_no_address_is_refused(resolver: str) -> None:
    words = refusal(resolvers=["192.0.2.53", resolver])
    assert words == f"setting `resolvers`: {resolver!r} is not an IP address"


def test_clamd_cannot_be_left_without_any_database() -> None:
    assert "clamav_extra_databases" in refusal(clamav_official_databases=False)
    extra = ["https://signatures.example.org/one.ndb"]
    assert gateway(clamav_official_databases=False, clamav_extra_databases=extra).clamav_extra_databases


@pytest.mark.parametrize(
    "url", ["", "ftp://example.org/a.ndb", "/var/a.ndb", "https://", "https://example.org/a b", "http://x\ny"]
)
def test_a_database_that_freshclam_cannot_fetch_is_refused(url: str) -> None:
    words = refusal(clamav_extra_databases=["file:///srv/a.ndb", url])
    assert words == f"setting `clamav_extra_databases`: {url!r} is not an http, https or file URL"


def test_the_first_of_several_faults_is_told_outermost_setting_first() -> None:
    assert refusal(hostname="mx1", resolvers=["x"]).startswith("setting `hostname`")


def test_settings_are_frozen_and_leave_what_they_were_made_of_alone() -> None:
    plain = settings()
    made = Gateway.of(plain)
    with pytest.raises(AttributeError):
        made.hostname = "evil.example.org"  # type: ignore[misc]  # that is what must not work
    assert plain == settings()


@pytest.mark.parametrize(
    ("source", "ports"),
    [
        ("192.0.2.1", {25, 2222}),
        ("192.0.2.15", {25, 2222}),
        ("192.0.2.16", {25}),
        ("203.0.113.9", {25}),
        ("2001:db8:5::9", {25, 2222}),
        ("2001:db8:6::9", {25}),
        ("::ffff:192.0.2.1", {25}),
    ],
)
def test_ssh_is_declared_to_administrators_and_smtp_to_all(source: str, ports: set[int]) -> None:
    assert gateway(sshd_port=2222).declared_ports(source) == ports


def test_the_ports_declared_to_what_is_no_address_are_not_made_up() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        gateway().declared_ports("everywhere")


def test_domains_come_in_one_order_whatever_the_inventory_says() -> None:
    hops = {"b.example": "[192.0.2.1]", "a.example": "[192.0.2.2]", "c.example": "[192.0.2.3]"}
    assert gateway(relay_domains=hops).domains == ("a.example", "b.example", "c.example")


def test_the_administrator_is_postmaster_of_the_first_domain_unless_named() -> None:
    assert gateway().administrator_address == "postmaster@example.net"
    assert gateway(administrator="ops@example.com").administrator_address == "ops@example.com"


@pytest.mark.parametrize(
    "address",
    [
        "root",
        "@example.org",
        "ops@",
        "a b@example.org",
        "a@example.org\nroot@mx1.example.org evil@example.com",
    ],
)
def test_an_administrator_without_a_mail_address_is_refused(address: str) -> None:
    words = refusal(administrator=address)
    assert words.startswith("setting `administrator`:")
    assert "postmaster@example.org" in words


@pytest.mark.parametrize("address", ["ops@mx1.example.org", "ops@MX1.Example.ORG"])
def test_an_administrator_on_the_gateway_itself_is_refused(address: str) -> None:
    words = refusal(administrator=address)
    assert words.startswith("setting `administrator`:")
    assert "keeps no mailboxes" in words


@pytest.mark.parametrize("domain", ["mx1.example.org", "MX1.example.ORG"])
def test_a_gateway_that_relays_for_its_own_name_is_refused(domain: str) -> None:
    words = refusal(relay_domains={"example.org": "[192.0.2.1]", domain: "[192.0.2.2]"})
    assert words.startswith("setting `hostname`:")
    assert "a name of its own" in words


@pytest.mark.parametrize(
    ("hops", "ports"),
    [
        (["[192.0.2.1]"], (25,)),
        (["mail.example.org"], (25,)),
        (["[192.0.2.1]:25", "[2001:db8::1]"], (25,)),
        (["[2001:db8::1]:2525", "mail.example.org:587", "[192.0.2.1]:65535"], (25, 587, 2525, 65535)),
        (["[192.0.2.1]:2525", "[192.0.2.2]:2525"], (25, 2525)),
    ],
)
def test_mail_leaves_by_port_25_and_by_those_that_next_hops_name(
    hops: list[str], ports: tuple[int, ...]
) -> None:
    domains = {f"d{number}.example": hop for number, hop in enumerate(hops)}
    assert gateway(relay_domains=domains).next_hop_ports == ports


def test_every_setting_says_what_it_means_in_a_whole_sentence() -> None:
    for field in msgspec.json.schema(Gateway)["$defs"]["Gateway"]["properties"].values():
        description = field.get("description", "")
        assert description.endswith("."), field


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spam_precision": "highest"}, r"spam_precision"),
        (
            {"internal_networks": ("192.0.2.1/24",)},
            r"`internal_networks`: '192\.0\.2\.1/24' is not a network",
        ),
        ({"notify_admin": "root"}, r"`notify_admin`: 'root' is not a mail address"),
        (
            {"filterd_policy": {"policy": {"chains": {"spam": ["rejct"]}}}},
            r"`filterd_policy`: \[policy\.chains\] spam, step 1: 'rejct' is no action; did you mean reject\?",
        ),
        (
            {"filterd_policy": {"policy": {"chains": {"spm": ["reject"]}}}},
            r"has no setting 'spm'; did you mean spam\?",
        ),
        ({"filterd_policy": {"group": [{"name": "A B"}]}}, r"`filterd_policy`: \[\[group\]\] 1 \(A B\) name"),
        ({"filterd_policy": {"group": {"name": "a"}}}, r"`filterd_policy`: \[group\]"),
        ({"filterd_policy": {"group": ["a"]}}, r"'group' is no list of tables"),
        ({"filterd_policy": {"content": [{"name": "a", "pattern": None}]}}, r"None is neither text"),
        (
            {"filterd_policy": {"milter": {"workers": 3}}},
            r"\[milter\] is not the operator's to set; known are policy",
        ),
        ({"filterd_policy": {"policy": {"add_header": True}}}, r"\[policy\] add_header is not set here"),
        ({"filterd_policy": {"policy": ["x"]}}, r"`filterd_policy`: "),
        ({"filterd_policy": {"policy": {"chains": "x"}}}, r"`filterd_policy`: "),
        ({"filterd_policy": {"a\nb": {}}}, r"is not the operator's to set"),
    ],
)
def test_a_policy_that_filterd_would_refuse_is_refused_before_a_host_is_touched(
    changes: dict[str, Any], said: str
) -> None:
    assert re.search(said, refusal(**changes))

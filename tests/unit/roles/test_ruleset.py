"""The ruleset: its text, and that the text is all that the records ask for."""

import re
from pathlib import Path
from typing import Any

import pytest

from roles import history
from roles.firewall import others
from roles.firewall.defences import FAMILIES
from roles.firewall.defences import FILTERING as DEFENCES
from roles.firewall.owners import users_made
from roles.firewall.ruleset import CHAINS, closed, ruleset
from roles.kinds import ChainPolicy, FirewallRule
from roles.settings import Gateway
from tests.unit.roles.examples import gateway

GATEWAY = gateway()
HEAD = ["*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT DROP [0:0]"]
# One rule as iptables-save prints it: matches, our comment, target.
RULE = re.compile(
    r"-A (?P<chain>INPUT|FORWARD|OUTPUT|[a-z]+) (?P<match>(?:\S+ )*?)"
    r'-m comment --comment "(?P<id>firewall\.[a-z-]+)" '
    r'-j (?P<target>ACCEPT|DROP|RETURN|LOG --log-prefix "[a-z: ]{1,28}"(?: --log-uid)?|SET --add-set \S+ \S+ --exist'
    r"(?: --timeout \d+)?|REJECT --reject-with tcp-reset|CONNMARK --set-xmark \S+|[a-z]+)"
)
IDS = [defence.id for defence in DEFENCES]
BOTH = pytest.mark.parametrize("family", FAMILIES)


def rules(text: str) -> list[re.Match[str]]:
    """Return the parsed rules of a ruleset; a line that is none fails the test."""
    lines = text.splitlines()
    assert (lines[:4], lines[-1], text[-1]) == (HEAD, "COMMIT", "\n")
    own = [line for line in lines[4:] if line.startswith(":")]
    assert own == sorted(own)
    found = {line: RULE.fullmatch(line) for line in lines[4 + len(own) : -1]}
    assert [line for line, match in found.items() if match is None] == []
    matches = [match for match in found.values() if match]
    chains = {line[1:].partition(" ")[0] for line in own}
    targets = {match["target"] for match in matches if re.fullmatch("[a-z]+", match["target"])}
    assert targets <= chains
    assert chains == {match["chain"] for match in matches} - set(CHAINS)
    return matches


def accepted(chain: str, id_: str, family: int, chosen: Gateway) -> list[str]:
    """Return the matches of one defence's rules in one chain."""
    found = rules(ruleset(DEFENCES, chosen, family))
    return [rule["match"].strip() for rule in found if rule["chain"] == chain and rule["id"] == id_]


@BOTH
def test_every_policy_is_drop_and_every_rule_well_formed(family: int) -> None:
    assert rules(ruleset(DEFENCES, GATEWAY, family))


@BOTH
def test_rules_stand_in_the_order_of_chains_and_records(family: int) -> None:
    found = rules(ruleset(DEFENCES, GATEWAY, family))
    chains = [*CHAINS, *sorted({rule["chain"] for rule in found} - set(CHAINS))]
    places = [(chains.index(rule["chain"]), IDS.index(rule["id"])) for rule in found]
    assert places == sorted(places)


@BOTH
def test_no_rule_stands_twice(family: int) -> None:
    lines = ruleset(DEFENCES, GATEWAY, family).splitlines()
    assert len(set(lines)) == len(lines)


@BOTH
def test_nothing_is_forwarded(family: int) -> None:
    assert not [rule for rule in rules(ruleset(DEFENCES, GATEWAY, family)) if rule["chain"] == "FORWARD"]


@BOTH
def test_no_rule_accepts_everything(family: int) -> None:
    matches = [
        rule["match"] for rule in rules(ruleset(DEFENCES, GATEWAY, family)) if rule["target"] == "ACCEPT"
    ]
    assert all(matches)


@BOTH
def test_what_is_invalid_is_dropped_before_anything_from_outside_is_accepted(family: int) -> None:
    found = [rule for rule in rules(ruleset(DEFENCES, GATEWAY, family)) if rule["chain"] == "INPUT"]
    first = next(
        i for i, rule in enumerate(found) if rule["target"] == "ACCEPT" and "-i lo " not in rule["match"]
    )
    dropped = [rule["match"] for rule in found[:first] if rule["target"] in ("odd", "invalid", "spoofed")]
    assert any("--ctstate INVALID" in match for match in dropped)
    assert any("! --tcp-flags FIN,SYN,RST,ACK SYN" in match for match in dropped)
    assert any("--tcp-flags SYN,RST,ACK NONE" in match for match in dropped)
    assert any("! -i lo" in match for match in dropped)


@BOTH
def test_what_our_own_chains_are_for_they_do(family: int) -> None:
    ends = {rule["chain"]: rule["target"] for rule in rules(ruleset(DEFENCES, GATEWAY, family))}
    assert {name: ends[name] for name in ("odd", "invalid", "spoofed")} == {
        "odd": "invalid",
        "invalid": "DROP",
        "spoofed": "DROP",
    }
    assert ends["limited"].startswith("REJECT")
    assert ends["counted"].startswith("CONNMARK")
    # Nothing may pass by way of a chain of ours: what it does not drop goes on to the rules below.
    found = rules(ruleset(DEFENCES, GATEWAY, family))
    assert not [rule for rule in found if rule["chain"] not in CHAINS and rule["target"] == "ACCEPT"]


@BOTH
def test_the_last_rules_only_look_and_log(family: int) -> None:
    found = rules(ruleset(DEFENCES, GATEWAY, family))
    last = {
        chain: [rule["target"] for rule in found if rule["chain"] == chain][-1]
        for chain in ("INPUT", "OUTPUT")
    }
    assert last["INPUT"] == "scanned"
    assert last["OUTPUT"].startswith("LOG")
    prefixes = re.findall(r'--log-prefix "([^"]+)"', ruleset(DEFENCES, GATEWAY, family))
    assert len(set(prefixes)) == len(prefixes)
    assert all(prefix.startswith("bastide ") for prefix in prefixes)
    assert all("--limit 1/sec" in rule["match"] for rule in found if rule["target"].startswith("LOG"))


@BOTH
def test_the_text_satisfies_every_record(family: int) -> None:
    text = ruleset(DEFENCES, GATEWAY, family)
    for defence in DEFENCES:
        for setting in defence.sets:
            if isinstance(setting, FirewallRule) and setting.family == family:
                assert setting.holds(text, GATEWAY), defence.id


@BOTH
def test_without_any_one_rule_some_record_does_not_hold(family: int) -> None:
    lines = ruleset(DEFENCES, GATEWAY, family).splitlines()
    settings = [s for d in DEFENCES for s in d.sets if isinstance(s, FirewallRule) and s.family == family]
    first = next(index for index, line in enumerate(lines) if line.startswith("-A "))
    for index in range(first, len(lines) - 1):
        less = "\n".join(lines[:index] + lines[index + 1 :])
        assert not all(setting.holds(less, GATEWAY) for setting in settings), lines[index]


@BOTH
def test_a_chain_without_a_policy_stops_the_deploy(family: int) -> None:
    lacking = tuple(
        defence
        for defence in DEFENCES
        if not any(isinstance(setting, ChainPolicy) for setting in defence.sets)
    )
    with pytest.raises(KeyError, match="INPUT"):
        ruleset(lacking, GATEWAY, family)


def test_ssh_is_open_to_the_administrators_of_each_family_alone() -> None:
    chosen = gateway(
        admin_networks=["192.0.2.0/28", "2001:db8:5::/64", "198.51.100.7", "2001:db8:9::9"], sshd_port=2222
    )
    to_sshd = "-p tcp -m tcp --dport 2222 -m conntrack --ctstate NEW"
    assert accepted("INPUT", "firewall.ssh", 4, chosen) == [
        f"-s 192.0.2.0/28 {to_sshd}",
        f"-s 198.51.100.7/32 {to_sshd}",
    ]
    assert accepted("INPUT", "firewall.ssh", 6, chosen) == [
        f"-s 2001:db8:5::/64 {to_sshd}",
        f"-s 2001:db8:9::9/128 {to_sshd}",
    ]


def test_a_family_without_administrators_has_no_ssh_at_all() -> None:
    assert accepted("INPUT", "firewall.ssh", 6, gateway(admin_networks=["192.0.2.0/28"])) == []
    assert "dport 22 " not in ruleset(DEFENCES, gateway(admin_networks=["192.0.2.0/28"]), 6)


@BOTH
def test_only_smtp_and_ssh_are_open_inwards(family: int) -> None:
    found = rules(ruleset(DEFENCES, gateway(sshd_port=2222), family))
    ports = {
        port
        for rule in found
        if rule["chain"] == "INPUT" and rule["target"] == "ACCEPT"
        for port in re.findall(r"--dports? (\S+)", rule["match"])
    }
    assert ports == {"25", "2222"}


@BOTH
def test_mail_leaves_to_the_declared_ports(family: int) -> None:
    hops = {"a.example": "[192.0.2.1]:2525", "b.example": "[192.0.2.1]", "c.example": "mail.example.org:587"}
    chosen = gateway(relay_domains=hops)
    ports = [
        re.findall(r"--dport (\d+)", match)
        for match in accepted("OUTPUT", "firewall.mail-out", family, chosen)
    ]
    assert ports == [["25"], ["587"], ["2525"]]


@pytest.mark.parametrize(
    ("resolvers", "family", "targets"),
    [
        ([], 4, ["", ""]),
        ([], 6, ["", ""]),
        (["192.0.2.53"], 4, ["-d 192.0.2.53/32 ", "-d 192.0.2.53/32 "]),
        (["192.0.2.53"], 6, []),
        (["2001:db8::53"], 6, ["-d 2001:db8::53/128 ", "-d 2001:db8::53/128 "]),
        (["2001:db8::53"], 4, []),
    ],
)
def test_dns_is_asked_of_the_declared_resolvers(
    resolvers: list[str], family: int, targets: list[str]
) -> None:
    chosen = gateway(resolvers=resolvers)
    dns = [
        match
        for match in accepted("OUTPUT", "firewall.egress", family, chosen)
        if "--dport 53 " in match and match.endswith("--uid-owner unbound")
    ]
    assert dns == [
        f"{target}-p {protocol} -m {protocol} --dport 53 -m conntrack --ctstate NEW -m owner --uid-owner unbound"
        for target, protocol in zip(targets, ("udp", "tcp") * len(targets), strict=False)
    ]


@pytest.mark.parametrize(
    ("servers", "targets"),
    [
        (["192.0.2.123", "192.0.2.124"], ["-d 192.0.2.123/32 ", "-d 192.0.2.124/32 "]),
        # What a name stands for is known to nobody here.
        (["192.0.2.123", "time.example.org"], [""]),
        # Of the other family alone.
        (["2001:db8::123"], []),
    ],
)
def test_the_clock_asks_its_servers(servers: list[str], targets: list[str]) -> None:
    chosen = gateway(hardening={"time_servers": servers})
    matches = accepted("OUTPUT", "firewall.egress", 4, chosen)
    assert [match for match in matches if match.endswith("--uid-owner _chrony")] == [
        f"{target}-p udp -m udp --dport 123 -m conntrack --ctstate NEW -m owner --uid-owner _chrony"
        for target in targets
    ]


@BOTH
def test_root_reaches_the_log_server_where_there_is_one(family: int) -> None:
    log = {"host": "logs.example.org", "port": 6515}
    for hardening, ports in (({}, []), ({"remote_log": log}, ["6515"])):
        matches = accepted("OUTPUT", "firewall.egress", family, gateway(hardening=hardening))
        own = [match for match in matches if match.endswith("--uid-owner root")]
        assert [port for match in own for port in re.findall(r"-p tcp .*--dport (\d+)", match)] == ports


@BOTH
def test_nothing_else_leaves(family: int) -> None:
    found = rules(ruleset(DEFENCES, GATEWAY, family))
    opened = {
        (re.search(r"-p (\S+)", rule["match"]), port)[1]
        for rule in found
        if rule["chain"] == "OUTPUT"
        for port in re.findall(r"--dport (\d+)", rule["match"])
    }
    assert opened == {"25", "2525", "53", "80", "443", "123"}
    others = [rule["match"] for rule in found if rule["chain"] == "OUTPUT" and "--dport" not in rule["match"]]
    assert all(re.match(r"-o lo|-m conntrack|-p icmp|-p ipv6-icmp|-m limit", match) for match in others)


@BOTH
def test_each_way_out_is_some_users_own(family: int) -> None:
    chosen = gateway(
        dhcp=True, tls={"certificate": "acme", "acme": {"challenge": "dns-01", "dns_provider": "x"}}
    )
    for rule in rules(ruleset(DEFENCES, chosen, family)):
        if rule["chain"] == "OUTPUT" and "--dport" in rule["match"] and rule["id"] != "firewall.dhcp":
            (owner,) = re.findall(r"--uid-owner (\S+)", rule["match"])
            assert owner in {*users_made(chosen), "_apt", "61184-65519"}
            assert owner != "root"


@BOTH
def test_mail_leaves_as_the_mta_alone(family: int) -> None:
    owners = {
        re.findall(r"--uid-owner (\S+)", rule["match"])[0]
        for rule in rules(ruleset(DEFENCES, GATEWAY, family))
        if rule["chain"] == "OUTPUT" and "--dport 25 " in rule["match"]
    }
    assert owners == {"postfix"}


ZONES: dict[str, Any] = {
    "out": {"interface": "eth0"},
    "house": {"interface": "eth1", "networks": ["10.1.0.0/16", "2001:db8:18::/64"]},
    "desk": {"interface": "eth2", "networks": ["10.2.0.0/24", "2001:db8:5::/64"], "services": ["ssh"]},
}
ZONED = gateway(admin_networks=["10.2.0.0/28", "2001:db8:5::/64"], firewall={"zones": ZONES})


@BOTH
def test_a_service_is_open_on_the_interfaces_of_its_zones(family: int) -> None:
    assert [match.split(" -p")[0] for match in accepted("INPUT", "firewall.smtp", family, ZONED)] == [
        "-i eth0",
        "-i eth1",
    ]
    (ssh,) = accepted("INPUT", "firewall.ssh", family, ZONED)
    assert "-i eth2 " in ssh


def test_declared_ports_follow_the_zone_of_who_asks() -> None:
    for source, ports in (
        ("203.0.113.9", {25}),
        ("10.1.2.3", {25}),
        ("10.2.0.3", {22}),
        ("10.2.0.99", set()),
        ("2001:db8:5::1", {22}),
        ("2001:db8:77::1", {25}),
    ):
        assert ZONED.declared_ports(source) == ports, source


@BOTH
def test_a_zones_networks_come_from_nowhere_else(family: int) -> None:
    matches = accepted("INPUT", "firewall.spoofed", family, ZONED)
    homes = {4: ["10.1.0.0/16", "10.2.0.0/24"], 6: ["2001:db8:18::/64", "2001:db8:5::/64"]}[family]
    assert [match for match in matches if match.startswith("-s ")] == [
        f"-s {network} ! -i {interface}" for network, interface in zip(homes, ("eth1", "eth2"), strict=True)
    ]


def test_of_a_bogon_just_the_part_that_a_setting_uses_is_let_in() -> None:
    def listed(chosen: Gateway, family: int, target: str) -> list[str]:
        found = [rule for rule in rules(ruleset(DEFENCES, chosen, family)) if rule["chain"] == "bogons"]
        # What is let in stands first.
        assert [rule["target"] for rule in found] == sorted(rule["target"] for rule in found)
        return [rule["match"].split()[1] for rule in found if rule["target"] == target]

    # 10.1.0.0/16 is a zone's, 192.0.2.0/24 has the resolver and administrators.
    assert {"10.0.0.0/8", "192.0.2.0/24", "172.16.0.0/12", "240.0.0.0/4"} <= set(listed(ZONED, 4, "spoofed"))
    assert {"10.1.0.0/16", "192.0.2.53/32"} <= set(listed(ZONED, 4, "RETURN"))
    assert "fc00::/7" in listed(ZONED, 6, "spoofed")
    # Without zones nobody can tell whether a private address is forged.
    assert not {"10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12"} & set(listed(GATEWAY, 4, "spoofed"))
    used = gateway(firewall={"bogons_in_use": ["198.51.100.7", "3ffe::/15", "203.0.113.0/24"]})
    assert "198.51.100.7/32" in listed(used, 4, "RETURN")
    assert "198.51.100.0/24" in listed(used, 4, "spoofed")
    # What is used whole is no bogon, and needs no word.
    assert "203.0.113.0/24" not in {*listed(used, 4, "RETURN"), *listed(used, 4, "spoofed")}
    assert "3fff::/20" not in {*listed(used, 6, "RETURN"), *listed(used, 6, "spoofed")}
    assert "3fff::/20" in listed(GATEWAY, 6, "spoofed")


@BOTH
def test_friends_are_neither_counted_nor_banned(family: int) -> None:
    chosen = gateway(
        mta_limits={"exempt": ["203.0.113.0/28", "2001:db8:77::/64"]},
        firewall={"never_banned": ["203.0.113.99", "2001:db8:88::/64"]},
    )
    found = rules(ruleset(DEFENCES, chosen, family))

    def let_off(chain: str) -> set[str]:
        return {
            rule["match"].split()[1]
            for rule in found
            if rule["chain"] == chain and rule["target"] == "RETURN" and rule["match"].startswith("-s ")
        }

    admins = {4: "192.0.2.0/28", 6: "2001:db8:5::/64"}[family]
    exempt = {4: "203.0.113.0/28", 6: "2001:db8:77::/64"}[family]
    assert {admins, exempt} <= let_off("counted")
    assert let_off("scanned") - let_off("counted") >= {{4: "203.0.113.99/32", 6: "2001:db8:88::/64"}[family]}
    chains = [rule["id"] for rule in found if rule["chain"] == "INPUT"]
    assert chains.index("firewall.ssh") < chains.index("firewall.bans")


@BOTH
def test_bans_can_be_off(family: int) -> None:
    text = ruleset(DEFENCES, gateway(firewall={"ban_seconds": 0}), family)
    assert "bastide-banned" not in text
    assert "bastide-probed" not in text


@BOTH
def test_the_shorter_ruleset_names_nothing_that_could_be_missing(family: int) -> None:
    text = closed(GATEWAY, family)
    assert text.splitlines()[:4] == HEAD
    assert not re.search(r"uid-owner|match-set|hashlimit|dport 25", text)
    admins = {4: "192.0.2.0/28", 6: "2001:db8:5::/64"}[family]
    assert f"-A INPUT -s {admins} -p tcp -m tcp --dport 22 " in text


def test_the_way_back_starts_the_units_that_a_deploy_ends() -> None:
    text = (Path(history.__file__).parent / "filter.sh").read_text()
    assert f"LOADERS='{'|'.join(others.UNITS)}'\n" in text

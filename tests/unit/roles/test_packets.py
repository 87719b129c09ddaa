"""The questions about the packet filter, as shell: users by name, what rules open, what listens; and settings of zones."""

from typing import Any

import pytest

from roles.errors import SettingError
from roles.kinds import FirewallRule, Listeners, OpenPorts
from tests.unit.roles.examples import gateway
from tests.unit.roles.hosts import FakeHost

GATEWAY = gateway()
OWNED = FirewallRule(
    family=4,
    chain="OUTPUT",
    rules=lambda _gateway: ("-p tcp -m tcp --dport 25 -m owner --uid-owner daemon -j ACCEPT",),
)


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        # `daemon` is user 1 on every Linux system.
        ('-p tcp -m tcp --dport 25 -m owner --uid-owner 1 -m comment --comment "a.b" -j ACCEPT', True),
        ("-p tcp -m tcp --dport 25 -m owner --uid-owner 1 -j ACCEPT", True),
        ("-p tcp -m tcp --dport 25 -m owner --uid-owner 0 -j ACCEPT", False),
        ("-p tcp -m tcp --dport 25 -m owner --uid-owner 1-99 -j ACCEPT", False),
        ("-p tcp -m tcp --dport 25 -j ACCEPT", False),
    ],
)
def test_the_kernels_numbers_are_users_by_name(line: str, holds: bool, fake_host: FakeHost) -> None:  # noqa: FBT001 - parametrized
    fake_host.program("iptables-save", f"echo '# x'; echo ':OUTPUT DROP [7:9]'; echo '-A OUTPUT {line}'")
    assert OWNED.holds(fake_host.run(OWNED.question(GATEWAY)), GATEWAY) is holds


KNOWN = [
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT",
    "-A INPUT -s 192.0.2.0/28 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT",
    "-A INPUT -p tcp -m tcp --dport 25 -m conntrack --ctstate NEW -j ACCEPT",
    "-A INPUT -p tcp -m tcp --dport 81 -j DROP",
    "-A OUTPUT -p tcp -m tcp --dport 443 -j ACCEPT",
]


@pytest.mark.parametrize(
    ("more", "holds"),
    [
        ([], True),
        (["-A INPUT -p udp -m udp --dport 161 -j ACCEPT"], False),
        (["-A INPUT -p udp -m udp --dport 25 -j ACCEPT"], False),
        (["-A INPUT -p tcp -m multiport --dports 25,8080 -j ACCEPT"], False),
        (["-A INPUT -s 192.0.2.9/32 -j ACCEPT"], False),
        # In a chain of somebody's own too.
        (["-A mine -p tcp -m tcp --dport 8080 -j ACCEPT"], False),
    ],
)
def test_what_rules_open_is_what_is_declared(more: list[str], holds: bool, fake_host: FakeHost) -> None:  # noqa: FBT001
    lines = "\n".join([*KNOWN, *more])
    fake_host.program("iptables-save", f"cat <<'END'\n{lines}\nEND")
    kind = OpenPorts(family=4)
    assert kind.holds(fake_host.run(kind.question(GATEWAY)), GATEWAY) is holds


def test_a_declared_service_without_a_rule_is_a_difference(fake_host: FakeHost) -> None:
    lines = "\n".join(line for line in KNOWN if "--dport 25 " not in line)
    fake_host.program("iptables-save", f"cat <<'END'\n{lines}\nEND")
    assert not OpenPorts(family=4).holds(fake_host.run(OpenPorts(family=4).question(GATEWAY)), GATEWAY)


def listening(where: str, program: str, protocol: str = "tcp") -> str:
    state = "LISTEN" if protocol == "tcp" else "UNCONN"
    return f'{protocol} {state} 0 100 {where} 0.0.0.0:* users:(("{program}",pid=7,fd=13))'


EXPECTED = [
    listening("0.0.0.0:22", "sshd"),
    listening("[::]:22", "sshd"),
    listening("0.0.0.0:25", "master"),
    listening("127.0.0.1:53", "unbound"),
    listening("[::1]:53", "unbound", "udp"),
    listening("127.0.0.53%lo:53", "systemd-resolve", "udp"),
    listening("0.0.0.0:40123", "unbound", "udp"),
]


@pytest.mark.parametrize(
    ("more", "less", "seen"),
    [
        ([], "", ""),
        ([listening("0.0.0.0:8099", "python3")], "", "tcp/8099(python3)"),
        ([listening("*:25", "sendmail: MTA", "udp")], "", "udp/25(sendmail:_MTA)"),
        ([listening("0.0.0.0:53", "unbound", "udp")], "", "udp/53(unbound)"),
        ([listening("[fe80::1]%eth0:546", "dhclient", "udp")], "", "udp/546(dhclient)"),
        # Declared, open, and nobody there.
        ([], "master", "tcp/22(sshd)"),
    ],
)
def test_what_listens_is_what_is_declared(more: list[str], less: str, seen: str, fake_host: FakeHost) -> None:
    lines = "\n".join(line for line in [*EXPECTED, *more] if not less or less not in line)
    fake_host.program("ss", f"cat <<'END'\n{lines}\nEND")
    kind = Listeners()
    answer = fake_host.run(kind.question(GATEWAY))
    assert kind.holds(answer, GATEWAY) is (not seen)
    assert seen in answer


def test_of_others_only_it_does_not_matter_who_is_away(fake_host: FakeHost) -> None:
    kind = Listeners(others_only=True)
    fake_host.program("ss")
    assert kind.holds(fake_host.run(kind.question(GATEWAY)), GATEWAY)
    fake_host.program("ss", f"echo '{listening('0.0.0.0:110', 'pop3d')}'")
    assert not kind.holds(fake_host.run(kind.question(GATEWAY)), GATEWAY)


def test_a_service_that_comes_and_goes_may_be_away(fake_host: FakeHost) -> None:
    proven = gateway(tls={"certificate": "acme"})
    for more in ([], [listening("0.0.0.0:80", "lego")]):
        lines = "\n".join([*EXPECTED, *more])
        fake_host.program("ss", f"cat <<'END'\n{lines}\nEND")
        answer = fake_host.run(Listeners().question(proven))
        assert Listeners().holds(answer, proven)
        assert Listeners().holds(answer, GATEWAY) is (not more)


OUT = {"interface": "eth0"}
HOUSE = {"interface": "eth1", "networks": ["192.0.2.0/24", "2001:db8:5::/64"], "services": ["ssh"]}


@pytest.mark.parametrize(
    ("firewall", "said"),
    [
        ({"zones": {"Out": OUT, "house": HOUSE}}, "cannot be a zone's name"),
        ({"zones": {"out": {"interface": "lo"}, "house": HOUSE}}, "cannot be its interface"),
        ({"zones": {"out": {"interface": "a b"}, "house": HOUSE}}, "cannot be its interface"),
        ({"zones": {"out": {"interface": "eth1"}, "house": HOUSE}}, "another zone's too"),
        (
            {"zones": {"out": OUT, "house": {**HOUSE, "networks": ["192.0.2.1/24"]}}},
            "not a network in CIDR form",
        ),
        ({"zones": {"out": {**OUT, "services": []}, "house": HOUSE}}, "no mail gets in"),
        (
            {"zones": {"house": {**HOUSE, "services": ["smtp", "ssh"]}}},
            "the one towards the internet has none",
        ),
        ({"zones": {"out": OUT, "house": {**HOUSE, "services": ["smtp"]}}}, "in a zone without `ssh`"),
        ({"never_banned": ["0.0.0.0/0"]}, "whole internet"),
        ({"mirrors": ["deb.example.org"]}, "not a network in CIDR form"),
        ({"ban_seconds": -1}, "ban_seconds"),
    ],
)
def test_settings_that_would_lock_out_are_refused(firewall: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        gateway(firewall=firewall)


def test_zones_that_let_everybody_needed_in_are_taken() -> None:
    assert gateway(firewall={"zones": {"out": OUT, "house": HOUSE}}).firewall.zones["out"].services == (
        "smtp",
    )

"""What a gateway may learn of its link: nothing, unless settings say that its address or its way out comes from there."""

import pytest

from roles.firewall.defences import DEFENCES
from roles.firewall.ruleset import closed, ruleset
from roles.settings import Gateway
from tests.unit.roles.examples import gateway

HEARS = {"left_out": {"hardening.no-router-advertisements": "this provider advertises"}}
ADVERTISED = "-s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type 134 -m hl --hl-eq 255 "


def both(chosen: Gateway, family: int) -> tuple[str, str]:
    return ruleset(DEFENCES, chosen, family), closed(chosen, family)


def test_no_router_is_heard_unless_hardening_leaves_that_to_it() -> None:
    for text in (*both(gateway(), 6), *both(gateway(hardening=HEARS), 4)):
        assert "-type 134" not in text
    for text in both(gateway(hardening=HEARS), 6):
        assert f"-A INPUT {ADVERTISED}" in text
        assert text.count("-type 134") == 1
        # It asks for one as well; a router that is not asked may take half an hour.
        assert "-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 133 " in text


def test_routers_are_heard_before_anything_is_said_of_forged_sources() -> None:
    text = ruleset(DEFENCES, gateway(hardening=HEARS), 6)
    assert text.index("-type 134") < text.index("firewall.spoofed")
    assert text.index("-type 134") < text.index("firewall.bogons")


@pytest.mark.parametrize(("family", "chain"), [(4, "OUTPUT"), (6, "OUTPUT"), (6, "INPUT")])
def test_leases_are_renewed_under_the_shorter_ruleset_too(family: int, chain: str) -> None:
    port = {4: "67", 6: {"OUTPUT": "547", "INPUT": "546"}[chain]}[family]
    for text, plain in zip(both(gateway(dhcp=True), family), both(gateway(), family), strict=True):
        assert any(
            line.startswith(f"-A {chain}") and f"--dport {port} " in line for line in text.splitlines()
        )
        assert f"--dport {port} " not in plain

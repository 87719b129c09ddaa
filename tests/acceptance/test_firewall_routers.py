"""A real router's advertisement: the gateway's way out by it, where the settings have routers believed, and only then."""

import subprocess
import sys
import time

from roles.firewall.link import BELIEVES_NONE, advertised
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.outside import Outside
from tests.unit.roles.examples import gateway as example

# As a provider's router sends it, to all on the link, by who it is there.
ADVERTISE = """
from scapy.all import *
conf.verb = 0
own = get_if_hwaddr("wan0")
link = [each[0] for each in in6_getifaddr() if each[2] == "wan0" and each[0].startswith("fe80")][0]
packet = Ether(src=own, dst="33:33:00:00:00:01") / IPv6(src=SOURCE or link, dst="ff02::1", hlim=HOPS) / ICMPv6ND_RA(
    routerlifetime=120) / ICMPv6NDOptSrcLLAddr(lladdr=own)
sendp(packet, iface="wan0")
"""
(RULE,) = advertised(example(hardening={"left_out": {BELIEVES_NONE: "a provider that advertises"}}))
BELIEVED = "accept_ra=2 accept_ra_defrtr=1 accept_ra_min_hop_limit=1"


def way_out(wan: Outside, gateway: GatewayHost, *, hops: int = 255, source: str = "") -> bool:
    """Send one advertisement and say whether the gateway has its default route by it."""
    gateway.run("ip -6 route del default proto ra 2>/dev/null || true")
    program = ADVERTISE.replace("HOPS", str(hops)).replace("SOURCE", repr(source))
    subprocess.run(["ip", "netns", "exec", wan.netns, sys.executable, "-c", program], check=True, timeout=60)
    time.sleep(1)
    found = gateway.run("ip -6 route show default proto ra")
    gateway.run("ip -6 route del default proto ra 2>/dev/null || true")
    return "default" in found


def test_an_advertisement_gives_the_way_out_by_the_rule_alone(wan: Outside, gateway: GatewayHost) -> None:
    # H03
    path = "/proc/sys/net/ipv6/conf/wan0"
    former = gateway.run(f"cd {path}; for k in {BELIEVED}; do echo ${{k%=*}}=$(cat ${{k%=*}}); done").split()
    put = "cd {path}; for k in {values}; do echo ${{k#*=}} >${{k%=*}}; done"
    with gateway.altered(
        put.format(path=path, values=BELIEVED), put.format(path=path, values=" ".join(former))
    ):
        # As it is deployed here, with hardening.no-router-advertisements.
        assert BELIEVES_NONE not in SETTINGS.hardening.left_out
        assert not way_out(wan, gateway)
        with gateway.altered(f"ip6tables -I INPUT {RULE}", f"ip6tables -D INPUT {RULE}"):
            assert way_out(wan, gateway)
            # From farther away, and from an address that is not the link's, it is no router of this link.
            assert not way_out(wan, gateway, hops=64)
            assert not way_out(wan, gateway, source="2001:db8:51::10")
        assert not way_out(wan, gateway)

"""H06: the gateway's own resolver, asked as its programs ask it: from its own loopback."""

import re
import subprocess
from ipaddress import ip_address

import pytest

from lab.plan import WAN4, LabState
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.outside import Outside, envelope, line


def dig(lab: LabState, *words: str, netns: str = "", server: str = "127.0.0.1") -> str:
    """Return what dig(1) prints, asked in the gateway's own network unless another is named."""
    command = [
        "ip",
        "netns",
        "exec",
        netns or lab.hosts["gw1"].netns,
        "dig",
        f"@{server}",
        "+time=4",
        "+tries=1",
    ]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=60).stdout


def status(answer: str) -> tuple[str, bool]:
    """Return the response's code, and whether it says that it was validated."""
    code = re.search(r"status: (\w+)", answer)
    flags = re.search(r"flags: ([\w ]+);", answer)
    assert code is not None, answer
    assert flags is not None, answer
    return code[1], "ad" in flags[1].split()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("signed.example", ("NOERROR", True)),
        ("nobody.signed.example", ("NXDOMAIN", True)),
        ("mx1.bastide.example", ("NOERROR", True)),
        # Not signed at all, and the root's signature says so.
        ("sender.example", ("NOERROR", False)),
        ("bogus.example", ("SERVFAIL", False)),
    ],
)
def test_signatures_are_checked(lab: LabState, name: str, expected: tuple[str, bool]) -> None:
    # `+ad` asks to be told; `+cd`, asked of the same resolver, shows that the forged answer was there.
    assert status(dig(lab, "+ad", name)) == expected
    assert status(dig(lab, "+cd", name))[0] == ("NXDOMAIN" if "nobody" in name else "NOERROR")


def test_programs_get_no_forged_answer(gateway: GatewayHost) -> None:
    assert gateway.run("getent ahostsv4 signed.example | head -n 1").split()[0] == str(WAN4[10])
    assert gateway.run("getent ahostsv4 bogus.example || echo none").strip() == "none"


def test_nobody_outside_is_answered_with_the_packet_filter_open(lab: LabState, gateway: GatewayHost) -> None:
    # The filter hides it already; the resolver must not stand behind it with open ears.
    opened = "; ".join(f"iptables -I INPUT -p {protocol} --dport 53 -j ACCEPT" for protocol in ("udp", "tcp"))
    with gateway.altered(opened, opened.replace("-I INPUT", "-D INPUT")):
        for side, server in (("wan", lab.hosts["gw1"].wan4), ("lan", lab.hosts["gw1"].lan4)):
            for protocol in ("+notcp", "+tcp"):
                said = dig(lab, protocol, "signed.example", netns=lab.netns[side], server=str(server))
                assert "status:" not in said
                assert "refused" in said or "no servers could be reached" in said


def test_it_names_neither_itself_nor_its_version(lab: LabState) -> None:
    for name in ("version.bind", "hostname.bind", "id.server", "version.server"):
        said = dig(lab, name, "TXT", "CH")
        assert status(said)[0] == "REFUSED"
        assert "unbound" not in said.lower().replace("+time", "")


def test_foreign_names_do_not_point_at_our_own_neighbours(lab: LabState) -> None:
    # bought.lists.example is no declared list, so an answer of 127.0.0.2 below another name is stripped.
    shown = dig(lab, "+short", "2.0.0.127.everything.lists.example")
    assert "127.0.0.2" not in shown
    assert dig(lab, "+short", "2.0.0.127.dnsbl.bastide.example").strip() == "127.0.0.2"
    assert ip_address("127.0.0.2").is_loopback


def test_a08_without_a_resolver_nothing_is_refused_for_good(gateway: GatewayHost, wan: Outside) -> None:
    with gateway.altered("systemctl stop unbound", "systemctl start unbound"):
        for sender in ("alice@sender.example", "alice@nobody.sender.example", "alice@bogus.example"):
            replies = wan.dialogue(*envelope("bob@bastide.example", sender)[:-1], line("QUIT"))
            assert not [reply for reply in replies if reply.startswith("5")], replies


def test_it_comes_back_by_itself(gateway: GatewayHost, lab: LabState) -> None:
    gateway.run(
        "systemctl kill -s KILL unbound; sleep 3; timeout 30 sh -c 'until unbound-control status; do sleep 1; done'"
    )
    assert status(dig(lab, "signed.example"))[0] == "NOERROR"

"""UnboundOption and DnsblSites: their lines, and which of the daemon's answers hold."""

import pytest

from roles.kinds import DnsblSites, UnboundOption
from tests.unit.roles.examples import gateway

GATEWAY = gateway()
ACCESS = UnboundOption("access-control", "0.0.0.0/0 refuse\n127.0.0.0/8 allow")


def test_each_line_of_a_value_is_an_option_and_no_value_is_none() -> None:
    assert ACCESS.line(GATEWAY).splitlines() == [
        "access-control: 0.0.0.0/0 refuse",
        "access-control: 127.0.0.0/8 allow",
    ]
    assert UnboundOption("domain-insecure", lambda _g: "").line(GATEWAY) == ""
    anchor = UnboundOption("trust-anchor", ". DS 1 15 2 ab")
    assert anchor.line(GATEWAY) == 'trust-anchor: ". DS 1 15 2 ab"'


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        # unbound lists them in its own order.
        ("127.0.0.0/8 allow\n0.0.0.0/0 refuse\n", True),
        ("0.0.0.0/0 refuse\n", False),
        ("0.0.0.0/0 allow\n127.0.0.0/8 allow\n", False),
        ("127.0.0.0/8 allow\n0.0.0.0/0 refuse\n192.0.2.0/24 allow\n", False),
        ("", False),
    ],
)
def test_the_daemons_answer_is_compared_whole(answer: str, holds: bool) -> None:  # noqa: FBT001 - a case
    assert ACCESS.holds(answer, GATEWAY) is holds


def test_other_lists_other_weights_and_another_order_do_not_hold() -> None:
    chosen = gateway(
        dnsbl=[
            {"id": "one", "zone": "k3y.bl.example.org"},
            {"id": "white", "zone": "wl.example.org", "score": -2},
        ]
    )
    sites = DnsblSites()
    wanted = sites.wanted(chosen)
    assert wanted == "dnsbl.white=127.0.0.[2..254]*-2 dnsbl.one=127.0.0.[2..254]*3"
    assert sites.holds(wanted.replace(" ", "\n"), chosen)
    for wrong in ("", wanted.replace("*3", "*9"), wanted.split()[0], " ".join(reversed(wanted.split()))):
        assert not sites.holds(wrong, chosen)

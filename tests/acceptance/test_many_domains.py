"""A gateway of a hoster: thousands of relayed domains and networks are what one is (issue 5, A01)."""

import time
from pathlib import Path
from typing import Final

from lab.plan import LabState
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged
from tests.acceptance.letters import PLAIN, letter, mark, send
from tests.acceptance.outside import HELO, Outside, line, seen_from
from tests.acceptance.test_deploy import varied

DOMAINS: Final = 5000
NETWORKS: Final = 2000
# The first, one in the middle and the last, and one that is declared by nobody.
THERE: Final = tuple(f"customer-{number:04}.hosting.example" for number in (0, DOMAINS // 2, DOMAINS - 1))
ABSENT: Final = f"customer-{DOMAINS:04}.hosting.example"
# The addresses of which networks are asked for: the same.
_INSIDE: Final = ("10.64.0.9", "10.67.232.9", "10.71.207.9")
_OUTSIDE: Final = "10.71.208.9"
_MANY: Final = (
    f"data['relay_domains'].update((f'customer-{{n:04}}.hosting.example', data['relay_domains']['bastide.example']) "
    f"for n in range({DOMAINS})); "
    f"data['relay_networks'] += [{{'network': f'10.{{64 + n // 256}}.{{n % 256}}.0/24'}} for n in range({NETWORKS})]"
)
# The networks that may relay, and of which no trace is left, as the MTA itself reads them.
_ASKED: Final = {
    "postfix": (
        "for a in {addresses}; do postmap -q $a cidr:/etc/postfix/directions/inside.cidr || echo NO; done",
        "inside_senders",
    ),
    "sendmail": (
        (
            "for a in {addresses}; do echo 'Translate,Declared relaying $| '$a | sendmail -bt | "
            "sed -n 's/.*Declared *returns: //p' | tail -n 1; done"
        ),
        "MATCH",
    ),
}


def test_five_thousand_domains_are_what_one_is(
    lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    inventory = varied(tmp_path, _MANY)
    try:
        took = []
        for _ in range(2):
            begun = time.monotonic()
            done = deploy("apply", inventory, lab=lab.name)
            took.append(time.monotonic() - begun)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        unchanged(done)
        print(f"{DOMAINS} domains: {took[0]:.1f} s, and {took[1]:.1f} s again")
        _domains_are_relayed_for(wan, gateway)
        _senders_inside_are_of_the_house(seen_from(lab, "lan"))
        ask, yes = _ASKED[SETTINGS.mta]
        assert gateway.run(ask.format(addresses=" ".join((*_INSIDE, _OUTSIDE)))).split() == [*[yes] * 3, "NO"]
    finally:
        assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0


def _domains_are_relayed_for(wan: Outside, gateway: GatewayHost) -> None:
    for domain in THERE:
        unique = mark()
        deadline = time.monotonic() + 60
        # The next hop is asked first for each recipient.
        while not (said := send(wan, letter(unique, PLAIN), f"bob@{domain}")).startswith("250 "):
            assert said.startswith("4"), said
            assert time.monotonic() < deadline, said
            time.sleep(2)
        (record,) = gateway.awaited(unique)
        assert record.recipients == (f"bob@{domain}",)
    assert send(wan, letter(mark(), PLAIN), f"bob@{ABSENT}").startswith(("550 ", "554 "))


def _senders_inside_are_of_the_house(lan: Outside) -> None:
    for domain, reply in (*((domain, "250 ") for domain in THERE), (ABSENT, "554 ")):
        said = lan.dialogue(
            line(f"EHLO {HELO}"),
            line(f"MAIL FROM:<alice@{domain}>"),
            line("RCPT TO:<carol@sender.example>"),
            line("QUIT"),
        )
        assert said[3].startswith(reply), (domain, said)

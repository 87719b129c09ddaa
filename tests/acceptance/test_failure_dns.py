"""The resolver fails, the real one, under the real SpamAssassin: what is judged of a message without names is still judged.

The cells `dns` of docs/failures.md. The MTA itself, which asks names of its own, puts mail off meanwhile (test_dns.py), so filterd is asked
by its own command, which hands a message to the same engines.
"""

import base64
import json
import time

import pytest

from tests.acceptance.desk import FILTERD
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.test_failure import sample

# [spamd] timeout_s; SpamAssassin gives up on names long before.
_LONGEST_S = 90.0
# Answers every question with its number and bytes that are no answer to it.
_GARBAGE = """
import os, socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.bind(("127.0.0.1", 53))
while True:
    question, who = asked.recvfrom(4096)
    asked.sendto(question[:2] + os.urandom(60), who)
"""
_UNIT = "bastide-test-resolver"
FAILS = {
    "down": ("systemctl stop unbound", "systemctl start unbound"),
    "hanging": ("systemctl kill -s STOP unbound", "systemctl kill -s CONT unbound"),
    "garbage": (
        (
            f"systemctl stop unbound; systemd-run --quiet --unit={_UNIT} python3 -c "
            f'"$(echo {base64.b64encode(_GARBAGE.encode()).decode()} | base64 -d)"; sleep 1'
        ),
        f"systemctl stop {_UNIT}; systemctl start unbound",
    ),
}


def judged(gateway: GatewayHost, *names: str) -> list[tuple[str, str]]:
    """Return class and action of samples that a stranger sends, all of them handed over at once."""
    scan = (
        f"{FILTERD} scan --json --client 198.51.100.10 --helo client.sender.example "
        "--sender alice@sender.example --recipient bob@bastide.example -"
    )
    texts = {name: base64.b64encode(sample(name, "x")).decode() for name in names}
    begun = "".join(f"echo {text} | base64 -d | {scan} >$d/{name} & " for name, text in texts.items())
    shown = "; ".join(f"head -n 1 $d/{name}" for name in names)
    lines = gateway.run(f"cd /; d=$(mktemp -d); {begun} wait; {shown}; rm -r $d").splitlines()
    return [(said["verdict"], said["action"]) for said in map(json.loads, lines)]


@pytest.mark.parametrize("how", list(FAILS))
def test_mail_is_judged_without_names(how: str, gateway: GatewayHost) -> None:
    # P01
    with gateway.altered(*FAILS[how]):
        began = time.monotonic()
        seen = judged(gateway, "clean", "gtube")
        took = time.monotonic() - began
    assert seen == [("clean", "accept"), ("spam", "reject")]
    assert took < _LONGEST_S
    # The resolver works again, and so does who asks it.
    assert judged(gateway, "clean") == [("clean", "accept")]

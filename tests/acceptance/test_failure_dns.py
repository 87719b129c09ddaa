"""The resolver fails, the real one, under the real SpamAssassin: what is judged of a message without names is still judged.

The cells `dns` of docs/failures.md. The MTA itself, which asks names of its own, puts mail off meanwhile (test_dns.py), so filterd is asked
by its own command, which hands a message to the same engines.
"""

import base64
import json
import time
from typing import Any

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


def judged(gateway: GatewayHost, name: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code of what filterd would do with a sample that a stranger sends, and what it says."""
    text = base64.b64encode(sample(name, "x")).decode()
    lines = gateway.run(
        f"cd /; echo {text} | base64 -d | {FILTERD} scan --json --client 198.51.100.10 --helo client.sender.example "
        "--sender alice@sender.example --recipient bob@bastide.example -; echo; echo $?"
    ).split("\n")
    said: dict[str, Any] = json.loads(lines[0])
    return int(lines[-2]), said


@pytest.mark.parametrize("how", list(FAILS))
def test_mail_is_judged_without_names(how: str, gateway: GatewayHost) -> None:
    # P01
    with gateway.altered(*FAILS[how]):
        began = time.monotonic()
        clean, spam = judged(gateway, "clean"), judged(gateway, "gtube")
        took = time.monotonic() - began
    assert (clean[0], spam[0]) == (0, 1), (clean, spam)
    assert "not-inspected" not in json.dumps(clean[1]) + json.dumps(spam[1])
    assert took < _LONGEST_S
    # The resolver works again, and so does who asks it.
    assert judged(gateway, "clean")[0] == 0

"""Who dawdles holds what one client may hold, and nobody else waits for that (H10)."""

import json
import subprocess
import sys

from audit.samples import build
from lab.plan import LabState
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.lacking import missing
from tests.acceptance.letters import mark
from tests.acceptance.outside import ROOT, Outside, seen_from
from tests.acceptance.test_mail import letter

# A loaded machine looks at its clocks late.
SLACK_SECONDS = 20


def test_others_are_served_while_some_dawdle(lab: LabState, wan: Outside, gateway: GatewayHost) -> None:
    limits = SETTINGS.mta_limits
    seconds = limits.command_seconds + SLACK_SECONDS
    source = f"{seen_from(lab, 'wan').source.rpartition('.')[0]}.73"
    words = [wan.address, source, str(limits.connections), str(seconds)]
    with subprocess.Popen(
        ["ip", "netns", "exec", wan.netns, sys.executable, "-m", "tests.acceptance.dawdlers", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as dawdlers:
        assert dawdlers.stdout is not None
        assert dawdlers.stdout.readline() == f"greeted {limits.connections}\n"
        unique = mark()
        assert wan.sent(build("clean", letter(unique))).startswith("250 ")
        gateway.awaited(unique)
        assert dawdlers.poll() is None, "none of them dawdled any more when the mail had come"
        let = json.loads(dawdlers.stdout.readline())
    assert len(let) == limits.connections
    if not missing("mta.slow-clients"):
        assert all(each is not None and each > limits.command_seconds / 2 for each in let), let

"""The reboot that an update asks for: mail on hold, what can go sent on; after the boot the gate is asked."""

import syslog
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .machine import REBOOT, ran, say
from .mail import on_hold

_DRAIN_S: Final = 300.0  # what is being delivered right now is done by then, or waits on the disk


def reboot(declared: Mapping[str, Any]) -> int:
    """Reboot if an update asks for it: mail on hold, what can go sent on; after the boot the gate is asked (resume)."""
    if not REBOOT.exists():
        return 0
    if declared["reboot"] != "when-needed":
        say("an update waits for a reboot, and the setting `updates.reboot` is never")
        return 0
    on_hold("the gateway reboots for an update")
    ran(*(("postqueue", "-f") if declared["mta"] == "postfix" else ("sendmail", "-q")), seconds=60)
    until = time.monotonic() + _DRAIN_S
    places = ("incoming", "active", "maildrop") if declared["mta"] == "postfix" else ()
    while time.monotonic() < until and any(
        file.is_file() for name in places for file in Path("/var/spool/postfix", name).rglob("*")
    ):
        time.sleep(1)
    syslog.syslog(syslog.LOG_MAIL | syslog.LOG_ALERT, "updates: the gateway reboots for an update")
    return ran("systemctl", "reboot")[0]

"""What watches the watchman: tells what could not be told yet, and that mail is on hold for long, whatever hangs meanwhile."""

import time
from collections.abc import Mapping
from typing import Any, Final

from .machine import HOLD
from .mail import alert_once, forgotten, own_hold, retold

LONG: Final = "mail is on hold for long"


def watch(declared: Mapping[str, Any]) -> int:
    """Look once, without any lock; returns 0. A hold of ours counts from ``hold_alert_seconds`` on, an administrator's never."""
    retold(declared)
    try:
        age = time.time() - HOLD.stat().st_mtime
    except FileNotFoundError:
        forgotten(LONG)
        return 0
    if own_hold() and not 0 <= age < declared["hold_alert_seconds"]:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() - age))
        alert_once(
            declared,
            LONG,
            f"No mail has been taken since {since}; senders come again, for days if need be. "
            "What is at work: systemctl status bastide-update bastide-resume; journalctl -u bastide-update -u bastide-resume.",
        )
    return 0

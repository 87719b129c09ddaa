"""What the administrator asks of updates: where they come from, and what the last run left. Nothing is changed."""

import time
from collections.abc import Mapping
from typing import Any

from . import manager
from .machine import HOLD, LAST, read


def sources(declared: Mapping[str, Any]) -> int:
    """Print the repositories that give out what is to be installed; returns 1 for none."""
    found = manager.sources(declared)
    print("\n".join(found) or "none: no configured repository gives out what is to be installed")
    return 0 if found else 1


def status(_declared: Mapping[str, Any]) -> int:
    """Print what the last run left."""
    print(f"mail is on hold: {HOLD.read_text().strip()}" if HOLD.exists() else "mail is not on hold")
    last = read(LAST)
    if last:
        print(time.strftime("last run ended %Y-%m-%d %H:%M", time.localtime(last["ended"])))
    for name, why in last.get("left_out", {}).items():
        print(f"not updated: {name}: {why}")
    for key in ("stuck", "taken_back"):
        if last.get(key):
            print(last[key].strip())
    return 0

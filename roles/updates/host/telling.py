"""What the administrator asks of updates: where they come from, and what the last run left. Nothing is changed."""

import re
import time
from collections.abc import Mapping
from typing import Any

from .machine import HOLD, LAST, ran, read


def sources(declared: Mapping[str, Any]) -> int:
    """Print the release lines of `apt-cache policy` that a declared pattern takes; returns 1 for none."""
    found = []
    short = {"o": "origin", "a": "suite", "n": "codename", "l": "label", "c": "component", "v": "version"}
    # Without its caches: an audit asks this, and their age says when the lists were fetched.
    policy = ran("apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "policy")[1]
    for line in re.findall(r"^\s+release (.*)$", policy, re.MULTILINE):
        pairs = (part.partition("=") for part in line.split(","))
        known = {short.get(key, key): value for key, _, value in pairs} | {"archive": ""}
        known["archive"] = known.get("suite", "")
        for pattern in declared["security"]:
            if all(
                known.get(key) == value
                for key, _, value in (part.partition("=") for part in pattern.split(","))
            ):
                found.append(line)
                break
    print(
        "\n".join(dict.fromkeys(found)) or "none: no configured repository gives out what is to be installed"
    )
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

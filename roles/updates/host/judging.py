"""The judgement: start anew what filters mail, ask the gate, and take back what breaks it. Raises StuckError where nothing helps."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .gate import active_units, failed_units
from .machine import (
    GATE,
    PINS,
    REBOOT,
    RECORD,
    SNAPSHOT,
    outdated,
    ran,
    read,
    say,
    written,
)
from .mail import lost, queue
from .packages import (
    APT,
    Change,
    barred,
    changes,
    installed,
    newer_than,
    taken_back,
)

# Started anew they take every session with them: what they use is replaced by a reboot.
_NEVER_ANEW: Final = ("dbus.service", "systemd-logind.service", "networking.service")
_START_S: Final = 60.0
# Checks of the gate, and ours, that compare with before. An administrator who works on the host changes such things too, so
# that they take an update back, but hold no mail up behind that.
_COMPARED: Final = ("listening:", "stopped-units:", "failed-units:", "queue:")
_MOST_GROUPS: Final = 8  # tried one by one with mail on hold; of more all are barred


class StuckError(Exception):
    """Mail stays on hold; the text says why and what to do."""


def _have(verb: str, units: Iterable[str]) -> None:
    """Start units, all at once. What takes longer systemd goes on with, and the gate has its own patience."""
    if names := tuple(units):
        ran("systemctl", "reset-failed", *names)
        ran("systemctl", verb, *names, seconds=_START_S)


def restarted(declared: Mapping[str, Any]) -> None:
    """Start everything that filters mail anew: what runs must be what is installed. Then what else uses old libraries."""
    ran("systemctl", "daemon-reload")
    _have("restart", declared["units"])
    before = read(SNAPSHOT)
    # What died of a broken library and was given up: with the old one it would not come back by itself.
    _have("restart", set(failed_units()) - set(before.get("failed", ())) - set(declared["units"]))
    # Some packages stop a timer of theirs and leave it so: Debian's spamassassin does.
    _have("start", set(before.get("active", ())) - set(active_units()) - set(declared["units"]))
    for unit in sorted(outdated()):
        if unit == "init.scope":
            ran("systemctl", "daemon-reexec")
        elif unit.endswith(".service") and not re.match(r"bastide-|user@|[a-z-]*getty", unit):
            if unit in _NEVER_ANEW or unit.startswith("ifup@"):
                REBOOT.touch()
            else:
                ran("systemctl", "restart", unit, seconds=180)


def gate(declared: Mapping[str, Any]) -> list[str]:
    """Ask the gate, a process of its own since an update may break Python; return what fails."""
    wait = declared["gate_seconds"]
    before = ("--before", str(SNAPSHOT)) if SNAPSHOT.exists() else ()
    code, said = ran(GATE, "--json", "--wait", str(wait), *before, seconds=wait + 600)
    try:
        found = json.loads(said.strip().splitlines()[-1])
        failing = [f"{one['name']}: {one['seen']}" for one in found if not one["well"]]
    except (ValueError, IndexError, KeyError, TypeError):
        return [f"gate: it did not run: {said.strip()[-300:] or f'exit code {code}'}"]
    say("the gate passed" if not failing else "the gate FAILED: " + "; ".join(failing))
    return failing


def judged(declared: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """Start anew what filters mail, and return what the gate and the queue say against the gateway."""
    restarted(declared)
    gone = lost(record["queue"], declared["mta"], record["began"])
    return gate(declared) + ([f"queue: gone without a word in the log: {', '.join(gone)}"] if gone else [])


def settled(
    declared: Mapping[str, Any], record: Mapping[str, Any], broken: str = ""
) -> tuple[dict[str, Change], str]:
    """Judge what was installed, take back what breaks mail, let mail flow. Returns what stays changed, and what was done.

    ``broken``: what dpkg could not be mended of. Raises StuckError where mail has to stay on hold.
    """
    now = installed()
    # What others have installed since the run ended is none of its business.
    mine = record.get("changed")
    found = {
        name: one
        for name, one in changes(record["before"], now).items()
        if mine is None or name in mine or (name in now and not now[name].whole)
    }
    if not found:
        failing = judged(declared, record)
        if unfiltered(failing):
            raise StuckError(f"nothing is changed, and the gate fails: {'; '.join(failing)}")
        return {}, ""
    failing = [f"dpkg: {broken}"] if broken else judged(declared, record)
    if not failing:
        return found, ""
    evidence = "; ".join(failing)
    new = {name: change.after for name, change in found.items() if change.after}
    sources = {name: now[name].source for name in new}
    taken_back(found, now, record["automatic"])
    still = judged(declared, record)
    if unfiltered(still):
        raise StuckError(
            f"updates of {named(found)} broke it ({evidence}); they were taken back, and it still fails: {'; '.join(still)}"
        )
    if still:
        record = compared_anew(declared, record)
        evidence += f"\nNot as before even with the old versions: {'; '.join(still)}"
    guilty, good = _tried(declared, record, new, sources)
    written(
        PINS, barred(PINS.read_text() if PINS.exists() else "", guilty, record["before"], newer_than), 0o644
    )
    stays = changes(record["before"], installed())
    return stays, (
        f"After an update this gateway did not filter mail as it should.\n\nSeen: {evidence}\n\n"
        f"Taken back and barred until there is a newer version: {', '.join(f'{n} {v}' for n, v in sorted(guilty.items()))}\n"
        f"Installed all the same, as the gate passes with it: {named(stays) or 'nothing'}\n\n"
        "Mail was answered 451 meanwhile and comes again; it flows now. docs/updates.md says how to look into it.\n"
        + (f"\n{good}" if good else "")
    )


def unfiltered(failing: Iterable[str]) -> list[str]:
    """Return what of the gate's findings says that mail is not filtered, beyond what merely is not as it was."""
    return [one for one in failing if not one.startswith(_COMPARED)]


def compared_anew(declared: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Take what is there now for what further steps are compared with; return the record that says so."""
    code, said = ran(GATE, "--snapshot")
    if not code:
        written(SNAPSHOT, said)
    fresh = dict(record) | {"queue": sorted(queue(declared["mta"])), "began": time.time()}
    written(RECORD, json.dumps(fresh))
    return fresh


def _tried(
    declared: Mapping[str, Any], record: Mapping[str, Any], new: Mapping[str, str], sources: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Install what came from each source package alone; return the guilty versions, and a word on what was not tried."""
    groups: dict[str, dict[str, str]] = {}
    for name, version in new.items():
        groups.setdefault(sources[name], {})[name] = version
    if len(groups) == 1 or len(groups) > _MOST_GROUPS:
        return dict(new), "" if len(
            groups
        ) == 1 else "So many were installed together that they were not tried one by one."
    guilty: dict[str, str] = {}
    for group in groups.values():
        good = {name: one.version for name, one in installed().items()}
        say(f"trying {', '.join(sorted(group))} alone")
        code, _ = ran(
            *APT, "--no-install-recommends", "install", *(f"{n}={v}" for n, v in group.items()), loud=True
        )
        now = installed()
        step = changes(good, now)
        marked = sorted(set(step) & set(record["automatic"]))
        if marked:
            ran("apt-mark", "auto", *marked)
        if not code and not judged(declared, record):
            continue
        guilty |= group
        taken_back(step, now, record["automatic"])
        still = judged(declared, record)
        if unfiltered(still):
            raise StuckError(
                f"{named(step)} was taken back a second time, and now it fails: {'; '.join(still)}"
            )
    return (
        guilty,
        ""
        if guilty
        else "Each of them passed alone, and all of them together failed: they are all installed now.",
    )


def named(found: Mapping[str, Change]) -> str:
    """Return changes as text."""
    return ", ".join(
        f"{name} {one.before or 'none'} to {one.after or 'none'}" for name, one in sorted(found.items())
    )

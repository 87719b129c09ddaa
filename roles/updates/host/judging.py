"""The judgement: start anew what filters mail, ask the gate, and take back what breaks it. Raises StuckError where nothing helps."""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from . import door
from .gate import AGE, active_units, clamd_says, failed_units
from .machine import (
    GATE,
    REBOOT,
    RECORD,
    SNAPSHOT,
    outdated,
    ran,
    read,
    say,
    written,
)
from .mail import alert_once, forgotten, lost, queue, reason
from .manager import NAME, PINS, barred, brought, installed, marked, newer_than, taken_back
from .packages import Change, Package, changes

# Started anew they take every session with them: what they use is replaced by a reboot.
_NEVER_ANEW: Final = (
    *("dbus.service", "dbus-broker.service", "systemd-logind.service", "networking.service"),
    *("NetworkManager.service", "auditd.service"),
)
_START_S: Final = 60.0
# Checks of the gate, and ours, that compare with before. An administrator who works on the host changes such things too, so
# that they take an update back, but hold no mail up behind that, and bar nothing: a security fix is not to wait for them.
_COMPARED: Final = ("listening:", "stopped-units:", "failed-units:", "queue:")
_MOST_GROUPS: Final = 8  # tried one by one with mail on hold; of more none stays
# A reply that filterd wrote, or that the MTA gives while nobody answers for it: the MTA asks before it takes.
_KEPT_AWAY: Final = re.compile(r"\w+: [^:]*: (451 |[45]\d\d .*\[[a-z-]+\.[a-z.-]+\])", re.DOTALL)
# Mail that was taken on hold, or a virus or spam that was found clean.
_PASSED: Final = re.compile(
    r"(clean: [^:]*: 250 |(eicar|gtube): [^:]*: (250 |451 .*\[hold\.clean\]))", re.DOTALL
)
_LOOK_S: Final = 5.0


class StuckError(Exception):
    """Mail stays on hold; the text says why and what to do."""


def _have(declared: Mapping[str, Any], verb: str, units: Iterable[str]) -> None:
    """Start units, all at once. What takes longer systemd goes on with, and the gate has its own patience."""
    if names := tuple(units):
        ran("systemctl", "reset-failed", *names)
        ran("systemctl", verb, *names, seconds=min(_START_S, declared["gate_seconds"]))


def restarted(declared: Mapping[str, Any]) -> None:
    """Start everything that filters mail anew: what runs must be what is installed. Then what else uses old libraries."""
    ran("systemctl", "daemon-reload")
    _have(declared, "restart", declared["units"])
    before = read(SNAPSHOT)
    # What died of a broken library and was given up: with the old one it would not come back by itself.
    _have(declared, "restart", set(failed_units()) - set(before.get("failed", ())) - set(declared["units"]))
    # Some packages stop a timer of theirs and leave it so, SpamAssassin's for one.
    _have(declared, "start", set(before.get("active", ())) - set(active_units()) - set(declared["units"]))
    for unit in sorted(outdated()):
        if unit == "init.scope":
            ran("systemctl", "daemon-reexec")
        elif unit.endswith(".service") and not re.match(r"bastide-|user@|[a-z-]*getty", unit):
            if unit in _NEVER_ANEW or unit.startswith("ifup@"):
                REBOOT.touch()
            else:
                ran("systemctl", "restart", unit, seconds=180)


def gate(declared: Mapping[str, Any]) -> list[str]:
    """Ask the gate, a process of its own since an update may break Python; return what fails.

    The door is open behind it where the MTA is seen to ask filterd, and shut where it is not.
    """
    wait = declared["gate_seconds"]
    before = ("--before", str(SNAPSHOT)) if SNAPSHOT.exists() else ()
    code, said = ran(GATE, "--json", "--locked", "--wait", str(wait), *before, seconds=wait + 600)
    try:
        found = json.loads(said.strip().splitlines()[-1])
        failing = [f"{one['name']}: {one['seen']}" for one in found if not one["well"]]
    except (ValueError, IndexError, KeyError, TypeError):
        failing = [f"gate: it did not run: {said.strip()[-300:] or f'exit code {code}'}"]
    _kept_away(declared, failing)
    _aged(declared, [one for one in failing if one.startswith(f"{AGE}:")])
    failing = [one for one in failing if not one.startswith(f"{AGE}:")]
    say("the gate passed" if not failing else "the gate FAILED: " + "; ".join(failing))
    return failing


def _kept_away(declared: Mapping[str, Any], failing: Iterable[str]) -> None:
    unseen = [one for one in failing if one.startswith(("clean:", "eicar:", "gtube:", "gate:"))]
    if all(_KEPT_AWAY.match(one) for one in unseen):
        door.opened()
    elif not door.shut():
        say("the MTA is stopped: it takes mail that nobody looks at")
        ran("systemctl", "stop", *declared["mta_units"], seconds=_START_S)


def _aged(declared: Mapping[str, Any], found: Iterable[str]) -> None:
    """Say that signatures are old: an alarm, and no reason to hold mail or updates up."""
    subject = "the virus signatures are old"
    for one in found:
        alert_once(declared, subject, f"{one}. Mail is filtered by them: journalctl -u clamav-freshclam.")
        return
    forgotten(subject)


def _reading(declared: Mapping[str, Any]) -> bool:
    """Whether clamd runs, has not run for long, and does not answer yet: it reads its signatures."""
    shown = ran(
        "systemctl", "show", "-p", "ActiveState,ActiveEnterTimestampMonotonic", declared["clamd_unit"]
    )[1]
    known = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    age = time.monotonic() - int(known.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    if known.get("ActiveState") != "active" or age > declared["load_seconds"]:
        return False
    try:
        return not clamd_says(declared["clamd_socket"], _LOOK_S)
    except OSError:
        return True


def asked_again(declared: Mapping[str, Any]) -> list[str]:
    """Ask the gate of services that have been started anew already, with the patience that clamd's load takes."""
    failing = gate(declared)
    if failing and _reading(declared):
        say("clamd still reads its signatures: it is waited for")
        until = time.monotonic() + declared["load_seconds"]
        while _reading(declared) and time.monotonic() < until:
            time.sleep(_LOOK_S)
        failing = gate(declared)
    return failing


def judged(declared: Mapping[str, Any], record: dict[str, Any], *, anew: bool = True) -> list[str]:
    """Start anew what filters mail, and return what the gate and the queue say against the gateway.

    Not ``anew``: it was done for what is installed now, and is done again only if the gate fails.
    """
    gone = lost(record["queue"], declared["mta"], record["began"])
    failing = [] if anew else asked_again(declared)
    if anew or failing:
        door.shut()
        restarted(declared)
        failing = gate(declared)
    if not record.get("judged"):
        record["judged"] = True
        if RECORD.exists():
            written(RECORD, json.dumps(record))
    return failing + ([f"queue: gone without a word in the log: {', '.join(gone)}"] if gone else [])


def parts(failing: Iterable[str]) -> set[str]:
    """Return what fails one by one, without ids and figures, so that it can be compared with before."""
    found = (one.partition(": ") for one in failing)
    return {f"{name}: {reason(part)}" for name, _, seen in found for part in seen.split("; ")}


def worse(failing: Iterable[str], before: Iterable[str]) -> list[str]:
    """Return what fails now and did not fail before an update: of the rest the update is not to blame."""
    known = parts(before)
    return [one for one in failing if not parts([one]) <= known]


def passed(failing: Iterable[str]) -> list[str]:
    """Return what says that mail passes that nobody has looked at, or that what looks finds nothing."""
    return [one for one in failing if _PASSED.match(one)]


def _mine(record: Mapping[str, Any], now: Mapping[str, Package]) -> dict[str, Change]:
    """Return what the run has changed; what others have installed since it ended is none of its business."""
    mine = record.get("changed")
    return {name: one for name, one in changes(record["before"], now).items() if mine is None or name in mine}


def settled(
    declared: Mapping[str, Any], record: dict[str, Any], broken: str = ""
) -> tuple[dict[str, Change], str]:
    """Judge what was installed, take back what breaks mail, let mail flow. Returns what stays changed, and what was done.

    ``broken``: what packages could not be mended of, or did not end. Raises StuckError where mail has to stay on hold.
    """
    now = installed()
    found = _mine(record, now)
    before = record.get("failing", [])
    if not found:
        failing = judged(declared, record, anew=not record.get("judged"))
        if bad := unfiltered(worse(failing, before)) or passed(failing):
            raise StuckError(f"nothing is changed, and the gate fails: {'; '.join(bad)}")
        return {}, ""
    half = any(name in now and not now[name].whole for name in found)
    failing = (
        [f"{NAME}: {broken}"] if broken and half else judged(declared, record, anew=not record.get("judged"))
    )
    if not (fresh := worse(failing, before)):
        if bad := passed(failing):
            raise StuckError(
                f"it was so before the update of {named(found)}, and is not mended: {'; '.join(bad)}"
            )
        return found, ""
    return _undone(declared, record, found, now, fresh)


def _changing(record: dict[str, Any]) -> None:
    """Keep mail away before packages change, and remember that what will run then has not been judged."""
    door.shut()
    record["judged"] = False
    if RECORD.exists():
        written(RECORD, json.dumps(record))


def _undone(
    declared: Mapping[str, Any],
    record: dict[str, Any],
    found: Mapping[str, Change],
    now: Mapping[str, Package],
    failing: list[str],
) -> tuple[dict[str, Change], str]:
    """Take all back, bar what is guilty, and have the rest again. Returns what stays changed, and what was done."""
    evidence = "; ".join(failing)
    new = {name: one.after for name, one in found.items() if one.after not in ("", one.before)}
    sources = {name: now[name].source for name in new}
    pins = PINS.read_text() if PINS.exists() else ""

    def bar(guilty: Mapping[str, str]) -> None:
        written(PINS, barred(pins, guilty, record["before"], newer_than), 0o644)

    # All are suspects until it is seen who did it, also if power is lost meanwhile.
    if grave := bool(unfiltered(failing)):
        bar(new)
    _changing(record)
    wrong = taken_back(found, now, record["automatic"], declared["install_seconds"])
    still = worse(judged(declared, record), record.get("failing", []))
    if unfiltered(still):
        raise StuckError(
            f"updates of {named(found)} broke it ({evidence}); they were taken back"
            f"{f' (but not all: {_listed(wrong)})' if wrong else ''}, and it still fails: {'; '.join(still)}"
        )
    if still:
        record = compared_anew(declared, record)
        evidence += f"\nNot as before even with the old versions: {'; '.join(still)}"
    tried = Trial(declared, record, new, sources, bar if grave else lambda _guilty: None)
    guilty, later, word = tried.judged(grave=grave)
    bar(guilty)
    stays = changes(record["before"], installed())
    return stays, (
        f"After an update this gateway did not filter mail as it should.\n\nSeen: {evidence}\n\n"
        + (f"It could not be taken back whole: {'; '.join(wrong)}\n" if wrong else "")
        + f"Taken back and barred until there is a newer version: {_listed(guilty)}\n"
        + (
            f"Taken back, as something is not as before, and tried again the next night: {_listed(later)}\n"
            if later
            else ""
        )
        + f"Installed all the same, as the gate passes with it: {named(stays) or 'nothing'}\n\n"
        "Mail was put off meanwhile and comes again; it flows now. docs/updates.md says how to look into it.\n"
        + (f"\n{word}" if word else "")
    )


def _listed(what: Iterable[str] | Mapping[str, str]) -> str:
    words = (
        [f"{name} {one}" for name, one in sorted(what.items())] if isinstance(what, Mapping) else sorted(what)
    )
    return ", ".join(words) or "nothing"


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


class Trial(NamedTuple):
    """What was taken back together, to be tried one source package at a time. ``bar``: write down who is suspected."""

    declared: Mapping[str, Any]
    record: dict[str, Any]
    new: Mapping[str, str]
    sources: Mapping[str, str]
    bar: Callable[[Mapping[str, str]], None]

    def judged(self, *, grave: bool) -> tuple[dict[str, str], dict[str, str], str]:
        """Return the guilty versions, those that wait for another night, and a word on it. ``grave``: mail was not filtered."""
        groups: dict[str, dict[str, str]] = {}
        for name, version in self.new.items():
            groups.setdefault(self.sources[name], {})[name] = version
        if len(groups) <= 1 or len(groups) > _MOST_GROUPS:
            all_of_them = dict(self.new)
            many = "So many were installed together that they were not tried one by one."
            return (
                all_of_them if grave else {},
                {} if grave else all_of_them,
                many if len(groups) > 1 else "",
            )
        guilty: dict[str, str] = {}
        later: dict[str, str] = {}
        good: set[str] = set()
        for group in groups.values():
            self.bar({name: one for name, one in self.new.items() if name not in good and name not in group})
            failing = self._alone(group)
            if failing is not None and not failing:
                good |= set(group)
            elif failing and unfiltered(failing):
                guilty |= group
            else:
                later |= group
        alone = "Each of them passed alone, and all of them together failed: they are all installed now."
        return guilty, later, "" if guilty or later else alone

    def _alone(self, group: Mapping[str, str]) -> list[str] | None:
        """Install one group, judge, and take it back if it fails; None where it cannot be installed."""
        before = {name: one.version for name, one in installed().items()}
        say(f"trying {', '.join(sorted(group))} alone")
        limit = self.declared["install_seconds"]
        _changing(self.record)
        code, said = brought(group, limit)
        step = changes(before, now := installed())
        marked(set(step) & set(self.record["automatic"]))
        # A repository that does not answer says nothing against the package.
        half = any(name in now and not now[name].whole for name in step)
        known = self.record.get("failing", [])
        if not code:
            failing = worse(judged(self.declared, self.record), known)
            if not failing:
                return []
        else:
            failing = [f"{NAME}: {said.strip()[-300:]}"] if half else []
        if not step:
            return None
        _changing(self.record)
        wrong = taken_back(step, now, self.record["automatic"], limit)
        still = worse(judged(self.declared, self.record), known)
        if unfiltered(still):
            raise StuckError(
                f"{named(step)} was taken back a second time{f' (but not all: {_listed(wrong)})' if wrong else ''}, "
                f"and now it fails: {'; '.join(still)}"
            )
        return failing or None


def named(found: Mapping[str, Change]) -> str:
    """Return changes as text."""
    return ", ".join(
        f"{name} {one.before or 'none'} to {one.after or 'none'}" for name, one in sorted(found.items())
    )

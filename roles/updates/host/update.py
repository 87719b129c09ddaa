"""Installs updates, asks the gate whether mail is still filtered, and takes them back where it is not.

    bastide-update run       each night: what unattended-upgrades lets in; mail is on hold until the gate has passed
    bastide-update hold      put mail on hold before you change something yourself
    bastide-update resume    where mail is on hold: finish or take back what was begun, ask the gate, let mail flow if it passes
    bastide-update release   let mail flow whatever the gate says, and forget the run that left it on hold
    bastide-update retry     as resume, but an administrator's hold stays: bastide-resume.timer's
    bastide-update reboot    reboot if an update asks for it and the settings let it
    bastide-update shut      where mail is on hold: keep it away from the MTA (bastide-door.service, at boot)
    bastide-update watch     say what nobody has been told yet, and that mail is on hold for long (bastide-watch.timer)
    bastide-update sources   print the repositories that updates of the declared kind come from
    bastide-update status    print what the last run left

The hold is a file on the disk that filterd looks for with each message, so it outlives a crash and a reboot; nothing but a gate that
passed, or an administrator, removes it. Before anything is installed there is a .deb of what is there now, or the package is left
out. What breaks mail is taken back with all that came with it, then tried again a source package at a time, and the guilty version is
barred. All that is needed to take back is imported before anything changes: the update may break Python itself.
Packages: manager.py.
"""

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from . import door
from .judging import StuckError, gate, judged, named, passed, settled, unfiltered
from .machine import (
    DECLARED,
    GATE,
    HOLD,
    HOME,
    KEPT,
    LAST,
    LOCK,
    OWN,
    REBOOT,
    RECORD,
    SNAPSHOT,
    TOO_LONG,
    locking,
    ran,
    read,
    say,
    written,
)
from .mail import alert, alert_once, forgotten, noted, on_hold, own_hold, queue
from .manager import (
    MEND,
    NAME,
    PINS,
    UPDATER,
    automatic,
    complaint,
    installed,
    left_by_a_crash,
    pinned,
    refreshed,
    repaired,
    tidied,
    unclean,
    upgraded,
    wants_reboot,
)
from .packages import Change, NotBegunError, Package, changes
from .planning import Plan, cramped, planned
from .rebooting import reboot
from .telling import sources, status
from .watching import LONG, watch

_STUCK: Final = "mail is on hold"
# What was said of earlier runs, and is over with one that ends: the next time it is new.
_OVER: Final = (
    "updates wait",
    "updates cannot be looked for",
    "updates could not begin",
    "updates cannot go on",
)
_NOT_BEGUN: Final = 75  # EX_TEMPFAIL of sysexits.h: another is at work


def begun(declared: Mapping[str, Any], now: Mapping[str, Package], why: str) -> dict[str, Any]:
    """Take the pictures of before, put mail on hold, and return the record of the run."""
    if lack := cramped(declared["free_mb"]):
        raise NotBegunError("updates wait", f"there is too little room, so nothing is updated: {lack}")
    code, said = ran(GATE, "--snapshot")
    if code:
        raise NotBegunError("updates wait", f"{GATE} --snapshot failed: {said.strip()[-300:]}")
    # There are keys in it: it is root's before anything stands in it.
    picture = HOME / "etc-before.tar.gz"
    picture.unlink(missing_ok=True)
    os.close(os.open(picture, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    code, wrong = ran("tar", "-C", "/", "-czf", str(picture), "etc")
    if code > 1:  # 1: a file changed meanwhile
        raise NotBegunError("updates wait", f"there is no copy of /etc: {wrong.strip()[-300:]}")
    written(SNAPSHOT, said)
    record = {
        "began": time.time(),
        "before": {name: one.version for name, one in now.items()},
        "automatic": automatic(),
        "queue": sorted(queue(declared["mta"])),
    }
    written(RECORD, json.dumps(record))
    on_hold(why)
    return record


def let_go() -> None:
    """Mail flows again, unless an administrator holds it. A crash in between leaves the record, by which it is judged again."""
    if own_hold():
        HOLD.unlink(missing_ok=True)
    door.opened()
    for file in (RECORD, SNAPSHOT):
        file.unlink(missing_ok=True)
    for subject in (_STUCK, LONG):
        forgotten(subject)
    # One that could not begin meanwhile, as this run was at work, has nothing left to do.
    ran("systemctl", "reset-failed", "bastide-resume.service", seconds=30)


def ended(declared: Mapping[str, Any], stays: Mapping[str, Change], text: str, plan: Plan) -> int:
    """Let mail flow, keep the books, say what is to be said; returns the exit code."""
    let_go()
    for subject in _OVER:
        forgotten(subject)
    if stays:
        tidied(stays, installed())
        if wants_reboot():
            REBOOT.touch()
    written(
        LAST,
        json.dumps({"ended": time.time(), "changed": stays, "left_out": plan.left_out, "taken_back": text}),
    )
    pins = pinned(PINS.read_text() if PINS.exists() else "")
    left = [f"{name} is not updated: {why}" for name, why in plan.left_out.items()]
    noted([*left, *(f"{name} {version} was taken back" for name, version in pins)])
    say(f"updated: {named(stays) or 'nothing'}")
    if text:
        alert(declared, "an update was taken back", text)
    return 1 if text else 0


def stayed(declared: Mapping[str, Any], why: str) -> int:
    """Say that mail stays on hold; once for each reason, and each day."""
    how = (
        "Port 25 is closed to all but root on this host, as it is not seen that the MTA asks the filter; senders come again."
        if door.is_shut()
        else "Mail is answered 451 and comes again."
    )
    text = (
        f"{why}\n\n{how} Each quarter of an hour bastide-update resume asks the gate again and lets mail "
        "flow once it passes. By hand: bastide-gate says what fails; docs/updates.md says what to do then.\n"
    )
    alert_once(declared, _STUCK, text)
    written(LAST, json.dumps({"ended": time.time(), "stuck": why}))
    noted([why])
    return 1


def mended(declared: Mapping[str, Any]) -> None:
    """Finish what another's package manager has left: on hold and judged as any update. Raises NotBegunError, StuckError."""
    if not unclean():
        return
    say(
        f"{NAME} has left packages that are not whole; mail is on hold until they are, and the gate has passed"
    )
    record = begun(declared, installed(), "an installation that was interrupted is being finished")
    door.shut()
    stays, text = settled(declared, record, repaired(declared["install_seconds"]))
    let_go()
    if text:
        alert(declared, "an interrupted installation was put right", text)
    if wrong := complaint():
        raise NotBegunError(
            "updates wait", f"{NAME} cannot be mended, so nothing is updated: {wrong}\n{MEND}"
        )
    say(f"finished: {named(stays) or 'nothing has another version'}")


def listed() -> None:
    """Have the repositories' lists fresh. Raises NotBegunError."""
    if why := refreshed():
        raise NotBegunError("updates cannot be looked for", f"{why}\nUntil it works no hole is closed.")


def judged_before(declared: Mapping[str, Any]) -> list[str]:
    """Ask the gate before anything changes: what fails already no update can be blamed for, and one may be the cure."""
    failing = gate(declared)
    if failing:
        alert_once(
            declared,
            "the gate failed before an update",
            f"{'; '.join(failing)}\nThe update is installed: it may mend this, and is judged by whether anything else fails behind it.",
        )
    else:
        forgotten("the gate failed before an update")
    return failing


def install(declared: Mapping[str, Any], record: dict[str, Any]) -> str:
    """Install what is let in, with the door shut; return what is wrong with packages behind it, or ""."""
    door.shut()
    limit = declared["install_seconds"]
    code, said = upgraded(limit)
    if code == TOO_LONG:
        # What hung would hang again: it is taken back, also if power is lost now.
        record["broken"] = said
        broken = said
    else:
        broken = repaired(limit)
    # From here on what else is installed is somebody else's.
    record["changed"] = sorted(changes(record["before"], installed()))
    written(RECORD, json.dumps(record))
    return broken


def run(declared: Mapping[str, Any]) -> int:
    """Do a night's work. Mail that is on hold already stays so unless the gate passes; an update may be what mends it."""
    stuck = (own_hold() or RECORD.exists()) and retry(declared) != 0
    try:
        if not stuck:
            mended(declared)
        listed()
        now = installed()
        plan = planned(declared, now)
        if not plan.names:
            return 1 if stuck else ended(declared, {}, "", plan)
        say(f"to be updated: {', '.join(plan.names)}")
        record = begun(declared, now, "updates are being installed")
        record["failing"] = judged_before(declared)
        written(RECORD, json.dumps(record))
        stays, text = settled(declared, record, install(declared, record))
        missed = [name for name in plan.names if name not in record["changed"]]
        plan.left_out.update(
            dict.fromkeys(missed, f"{UPDATER} did not install it: journalctl -u bastide-update")
        )
    except NotBegunError as error:
        subject, text = error.args
        alert_once(declared, subject, text)
        noted([f"{subject}: {text}"])
        return 1
    except StuckError as error:
        return stayed(declared, str(error))
    return ended(declared, stays, text, plan)


def _asked(declared: Mapping[str, Any]) -> tuple[dict[str, Change], str]:
    """Judge what nobody has a record of: a reboot, an administrator, a gate that was killed. Nothing can be taken back."""
    failing = judged(declared, {"queue": [], "began": time.time(), "judged": True}, anew=False)
    if bad := unfiltered(failing) or passed(failing):
        raise StuckError("; ".join(bad))
    return {}, ""


def resume(declared: Mapping[str, Any]) -> int:
    """Finish what was left, as `retry` does, and lift an administrator's hold too if the gate passes."""
    if HOLD.exists() and not own_hold():
        written(HOLD, f"{OWN}the gate is asked whether it may be lifted\n", 0o644)
    return retry(declared)


def release(_declared: Mapping[str, Any]) -> int:
    """Let mail flow whatever the gate says, and forget the run that left it on hold."""
    for file in (HOLD, RECORD, SNAPSHOT):
        file.unlink(missing_ok=True)
    door.opened()
    say("mail flows; nobody has asked whether it is filtered: bastide-gate")
    return 0


def hold(_declared: Mapping[str, Any]) -> int:
    """Put mail on hold until `resume` or `release` is said by hand."""
    written(HOLD, "by hand; bastide-update resume, or release, lifts it\n", 0o644)
    return 0


def retry(declared: Mapping[str, Any]) -> int:
    """Finish what a run has left that died, or whose gate did not pass."""
    if not own_hold() and not RECORD.exists():
        say("no run was interrupted, and none has mail on hold")
        return 0
    on_hold("an update was interrupted")
    record = read(RECORD)
    try:
        if unclean():
            door.shut()
        broken = record.get("broken") or repaired(declared["install_seconds"])
        stays, text = settled(declared, record, broken) if record else _asked(declared)
    except StuckError as error:
        return stayed(declared, str(error))
    # What is not whole and breaks nothing holds no mail up.
    if wrong := complaint():
        alert_once(declared, f"{NAME} cannot be mended", f"{broken or wrong}\n{MEND}")
    if not ended(declared, stays, text, Plan((), {})):
        alert(declared, "mail flows again", f"The gate passes. Changed: {named(stays) or 'nothing'}.")
    return 0  # what was taken back is said, and mail flows


def shut(_declared: Mapping[str, Any]) -> int:
    """At boot, before the MTA: where mail is on hold nobody reaches it until the gate is asked."""
    return 0 if not (own_hold() or RECORD.exists()) or door.shut() else 1


_COMMANDS: Final = {
    "run": run,
    "hold": hold,
    "resume": resume,
    "release": release,
    "retry": retry,
    "reboot": reboot,
    "shut": shut,
    "watch": watch,
    "sources": sources,
    "status": status,
}
# What asks nothing of the package manager; an administrator who lets mail flow does not wait for who holds it.
_UNLOCKED: Final = ("sources", "status", "hold", "release", "shut", "watch")
# With whoever is at work just now: a gate, a look at the disk.
_PATIENCE_S: Final[Mapping[str, float]] = {"run": 900.0, "retry": 840.0, "resume": 120.0}


@contextlib.contextmanager
def _alone(command: str) -> Iterator[bool]:
    """Give whether no other run is at work, and let none begin meanwhile."""
    until = time.monotonic() + _PATIENCE_S.get(command, 0)
    with locking(LOCK) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if command in _UNLOCKED or time.monotonic() > until:
                    yield command in _UNLOCKED
                    return
                time.sleep(1)
            else:
                yield True
                return


def _not_begun(declared: Mapping[str, Any], command: str) -> int:
    """Say that another is at work, and who; returns the exit code."""
    mine = f":{LOCK.stat().st_ino} "
    locks = (line for line in Path("/proc/locks").read_text().splitlines() if mine in f"{line} ")
    pids = sorted({words[4] for words in map(str.split, locks) if words[1] == "FLOCK"})
    who = "; ".join(f"{pid}: {ran('ps', '-o', 'args=', '-p', pid)[1].strip()[:120]}" for pid in pids)
    text = f"bastide-update {command} could not begin: {LOCK} is held by {who or 'nobody that is seen here'}"
    # A run that is long at work is no fault; how long mail is on hold bastide-watch says.
    busy = ran("systemctl", "is-active", "bastide-update.service")[1].strip() == "activating"
    if command == "run" or (command == "retry" and not busy):
        alert_once(declared, "updates could not begin", text)
    else:
        say(text)
    return _NOT_BEGUN


def main(words: Sequence[str]) -> int:
    """Do one command; returns 0, 1 where something is wrong, 2 for a command that is none, 75 where another is at work."""
    if len(words) != 1 or words[0] not in _COMMANDS:
        print(f"usage: bastide-update {'|'.join(_COMMANDS)}", file=sys.stderr)
        return 2
    os.umask(0o022)  # what packages install is read by daemons, whatever the login's umask is
    declared = read(DECLARED)
    if not declared:
        print(f"bastide-update: {DECLARED} is not there or not whole: deploy this host", file=sys.stderr)
        return 2
    try:
        KEPT.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _alone(words[0]) as alone:
            if not alone:
                return _not_begun(declared, words[0])
            if words[0] not in _UNLOCKED:
                left_by_a_crash()
            return _COMMANDS[words[0]](declared)
    except OSError as error:
        # A full disk, mostly. The log needs none, and mail that is on hold stays so.
        state = "mail is on hold" if HOLD.exists() else "mail flows"
        alert_once(declared, "updates cannot go on", f"bastide-update {words[0]}: {error}; {state}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

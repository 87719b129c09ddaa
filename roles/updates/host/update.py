"""Installs updates, asks the gate whether mail is still filtered, and takes them back where it is not.

    bastide-update run       each night: what unattended-upgrades lets in; mail is on hold until the gate has passed
    bastide-update hold      put mail on hold before you change something yourself
    bastide-update resume    where mail is on hold: finish or take back what was begun, ask the gate, let mail flow if it passes
    bastide-update release   let mail flow whatever the gate says, and forget the run that left it on hold
    bastide-update retry     as resume, but an administrator's hold stays: bastide-resume.timer's
    bastide-update reboot    reboot if an update asks for it and the settings let it
    bastide-update sources   print the repositories that updates of the declared kind come from
    bastide-update status    print what the last run left

The hold is a file on the disk that filterd looks for with each message, so it outlives a crash and a reboot; nothing but a gate that
passed, or an administrator, removes it. Before anything is installed there is a .deb of what is there now, or the package is left
out. What breaks mail is taken back with all that came with it, then tried again a source package at a time, and the guilty version is
barred from apt. All that is needed to take back is imported before anything changes: the update may break Python itself.
Packages: dpkg(1), apt-get(8), apt_preferences(5), unattended-upgrade(8).
"""

import contextlib
import fcntl
import json
import os
import re
import sys
import syslog
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from .judging import StuckError, gate, named, settled
from .machine import (
    DECLARED,
    GATE,
    HOLD,
    HOME,
    KEPT,
    LAST,
    LEFT_OUT,
    LOCK,
    OWN,
    PINS,
    REBOOT,
    RECORD,
    SEEN,
    SNAPSHOT,
    ran,
    read,
    say,
    written,
)
from .mail import alert, noted, on_hold, own_hold, queue
from .packages import (
    Change,
    Package,
    allowed,
    changes,
    installed,
    kept,
    left_by_a_crash,
    repaired,
    simulated,
    tidied,
)
from .telling import sources, status

_DRAIN_S: Final = 300.0  # what is being delivered right now is done by then, or waits on the disk


class NotBegunError(Exception):
    """Nothing was changed, and mail flows: the subject of the alert, and its text."""


class Plan(NamedTuple):
    """What is to be upgraded, and what is not, with the reason."""

    names: tuple[str, ...]
    left_out: dict[str, str]


def planned(declared: Mapping[str, Any], now: Mapping[str, Package]) -> Plan:
    """Ask unattended-upgrades what it lets in, leave out what is too young or has no way back, and ask again."""
    candidates = simulated(ran("apt-get", "-s", "dist-upgrade")[1])
    seen = {
        key: when for key, when in read(SEEN).items() if key in {f"{n}={v[1]}" for n, v in candidates.items()}
    }
    for name, (_, new) in candidates.items():
        seen.setdefault(f"{name}={new}", time.time())
    written(SEEN, json.dumps(seen))
    if declared["which"] == "none":
        return Plan((), dict.fromkeys(candidates, "the setting `updates.which` is none"))
    left: dict[str, str] = {name: "it is held" for name in declared["held"] if name in candidates}
    youngest = time.time() - 3600 * declared["delay_hours"]
    for name, (_, new) in candidates.items():
        if name not in left and seen[f"{name}={new}"] > youngest:
            left[name] = f"{new} is to be known for {declared['delay_hours']} hours first"
    names = _let_in(left)
    for name in names:
        if name in now and kept(name, now[name]) is None:
            left[name] = (
                f"nobody has {now[name].version} any more, so there would be no way back: docs/updates.md"
            )
    return Plan(tuple(_let_in(left) if left else names), left)


def _let_in(left: Iterable[str]) -> list[str]:
    lines = "".join(f'  "^{re.escape(name)}$";\n' for name in sorted(left)).replace("\\", "\\\\")
    # Files that a deploy has changed stay as they are: otherwise such packages would be passed over without a word.
    keep = 'DPkg::Options { "--force-confdef"; "--force-confold"; };\n'
    written(LEFT_OUT, f"Unattended-Upgrade::Package-Blacklist {{\n{lines}}};\n{keep}")
    code, said = ran("unattended-upgrade", "--dry-run", "-v", APT_CONFIG=str(LEFT_OUT))
    names = allowed(said)
    if code or names is None:
        raise NotBegunError(
            "updates cannot be looked for", f"unattended-upgrade --dry-run: {said.strip()[-500:] or code}"
        )
    return names


def begun(declared: Mapping[str, Any], now: Mapping[str, Package]) -> dict[str, Any]:
    """Take the pictures of before, put mail on hold, and return the record of the run."""
    code, said = ran(GATE, "--snapshot")
    if code:
        raise NotBegunError("updates wait", f"{GATE} --snapshot failed: {said.strip()[-300:]}")
    written(SNAPSHOT, said)
    record = {
        "began": time.time(),
        "before": {name: one.version for name, one in now.items()},
        "automatic": ran("apt-mark", "showauto")[1].split(),
        "queue": sorted(queue(declared["mta"])),
    }
    written(RECORD, json.dumps(record))
    # There are keys in it: it is root's before anything stands in it.
    picture = HOME / "etc-before.tar.gz"
    picture.unlink(missing_ok=True)
    os.close(os.open(picture, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    ran("tar", "-C", "/", "-czf", str(picture), "etc")
    on_hold("updates are being installed")
    return record


def let_go() -> None:
    """Mail flows again, unless an administrator holds it. A crash in between leaves the record, by which it is judged again."""
    if own_hold():
        HOLD.unlink(missing_ok=True)
    for file in (RECORD, SNAPSHOT):
        file.unlink(missing_ok=True)


def ended(declared: Mapping[str, Any], stays: Mapping[str, Change], text: str, plan: Plan) -> int:
    """Let mail flow, keep the books, say what is to be said; returns the exit code."""
    let_go()
    if stays:
        tidied(stays, installed())
    written(
        LAST,
        json.dumps({"ended": time.time(), "changed": stays, "left_out": plan.left_out, "taken_back": text}),
    )
    pins = re.findall(
        r"^Package: (\S+)\nPin: version (\S+)$", PINS.read_text() if PINS.exists() else "", re.MULTILINE
    )
    left = [f"{name} is not updated: {why}" for name, why in plan.left_out.items()]
    noted([*left, *(f"{name} {version} was taken back" for name, version in pins)])
    say(f"updated: {named(stays) or 'nothing'}")
    if text:
        alert(declared, "an update was taken back", text)
    return 1 if text else 0


def stayed(declared: Mapping[str, Any], why: str) -> int:
    """Say that mail stays on hold; once for each reason."""
    text = (
        f"{why}\n\nMail is answered 451 and comes again. Each quarter of an hour bastide-update resume asks the gate again and lets mail "
        "flow once it passes. By hand: bastide-gate says what fails; docs/updates.md says what to do then.\n"
    )
    if _reason(read(LAST).get("stuck", "")) != _reason(why):
        written(LAST, json.dumps({"ended": time.time(), "stuck": why}))
        alert(declared, "mail is on hold", text)
    else:
        say(why)
    noted([why])
    return 1


def _reason(text: str) -> str:
    """Return a text without what differs each time: ids, hours, process numbers."""
    return " ".join(word for word in text.split() if not re.search(r"\d", word))


def ready() -> None:
    """Have dpkg whole and the lists fresh. Raises NotBegunError."""
    if broken := repaired():
        raise NotBegunError(
            "updates wait",
            f"dpkg cannot be mended, so nothing is updated: {broken}\nBy hand: dpkg --configure -a, then apt-get -f install.",
        )
    # Without this apt takes old lists for good enough, and says so with 0.
    code, said = ran("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update", seconds=1800)
    if code:
        why = " ".join(re.findall(r"^[WE]: (.*)$", said, re.MULTILINE))[:500] or said[-300:]
        raise NotBegunError(
            "updates cannot be looked for", f"apt-get update: {why}\nUntil it works no hole is closed."
        )


def judged_before(declared: Mapping[str, Any]) -> None:
    """Ask the gate before anything changes: what fails already no update can be blamed for.

    Raises NotBegunError where mail may flow as it did, StuckError where it is not filtered.
    """
    failing = gate(declared)
    if not failing:
        return
    text = f"The gate fails before anything was changed, so nothing was updated: {'; '.join(failing)}"
    RECORD.unlink()
    if any(one.startswith(("eicar", "gtube")) for one in failing):
        raise StuckError(text)
    let_go()
    raise NotBegunError("updates wait", text)


def run(declared: Mapping[str, Any]) -> int:
    """Do a night's work."""
    if (own_hold() or RECORD.exists()) and (code := retry(declared)):
        return code
    try:
        ready()
        now = installed()
        plan = planned(declared, now)
        if not plan.names:
            return ended(declared, {}, "", plan)
        say(f"to be updated: {', '.join(plan.names)}")
        record = begun(declared, now)
        judged_before(declared)
        ran("unattended-upgrade", "-v", loud=True, APT_CONFIG=str(LEFT_OUT))
        broken = repaired()
        # From here on what else is installed is somebody else's.
        record["changed"] = sorted(changes(record["before"], installed()))
        written(RECORD, json.dumps(record))
        stays, text = settled(declared, record, broken)
        missed = [name for name in plan.names if name not in record["changed"]]
        plan.left_out.update(
            dict.fromkeys(missed, "unattended-upgrade did not install it: journalctl -u bastide-update")
        )
    except NotBegunError as error:
        subject, text = error.args
        alert(declared, subject, text)
        noted([f"{subject}: {text}"])
        return 1
    except StuckError as error:
        return stayed(declared, str(error))
    return ended(declared, stays, text, plan)


def _asked(declared: Mapping[str, Any], broken: str) -> tuple[dict[str, Change], str]:
    """Judge what nobody has a record of: a reboot, an administrator, a gate that was killed. Nothing can be taken back."""
    if failing := [f"dpkg: {broken}"] if broken else gate(declared):
        raise StuckError("; ".join(failing))
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
    broken = repaired()
    record = read(RECORD)
    try:
        stays, text = settled(declared, record, broken) if record else _asked(declared, broken)
    except StuckError as error:
        return stayed(declared, str(error))
    if not ended(declared, stays, text, Plan((), {})):
        alert(declared, "mail flows again", f"The gate passes. Changed: {named(stays) or 'nothing'}.")
    return 0  # what was taken back is said, and mail flows


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


_COMMANDS: Final = {
    "run": run,
    "hold": hold,
    "resume": resume,
    "release": release,
    "retry": retry,
    "reboot": reboot,
    "sources": sources,
    "status": status,
}
# What asks nothing of the package manager; an administrator who lets mail flow does not wait for who holds it.
_UNLOCKED: Final = ("sources", "status", "hold", "release")
_PATIENCE_S: Final = 900.0  # of a night's run with whoever is at work just now: a gate, a look at the disk


@contextlib.contextmanager
def _alone(command: str) -> Iterator[bool]:
    """Give whether no other run is at work, and let none begin meanwhile."""
    until = time.monotonic() + (_PATIENCE_S if command == "run" else 0)
    with LOCK.open("w") as file:
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


def main(words: Sequence[str]) -> int:
    """Do one command; returns 0, 1 where something is wrong, 2 for a command that is none."""
    if len(words) != 1 or words[0] not in _COMMANDS:
        print(f"usage: bastide-update {'|'.join(_COMMANDS)}", file=sys.stderr)
        return 2
    os.umask(0o022)  # what packages install is read by daemons, whatever the login's umask is
    declared = read(DECLARED)
    if not declared:
        print(f"bastide-update: {DECLARED} is not there or not whole: deploy this host", file=sys.stderr)
        return 2
    KEPT.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _alone(words[0]) as alone:
        if not alone:
            say("another run is at work")
            return 1 if words[0] == "run" else 0
        left_by_a_crash()
        return _COMMANDS[words[0]](declared)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

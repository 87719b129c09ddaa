"""Says whether this gateway filters mail: its services, an EHLO, three messages over SMTP on loopback, its databases, its ports.

    bastide-gate [--json] [--before SNAPSHOT] [--wait SECONDS]
    bastide-gate --snapshot

Mail is on hold while it asks, a few seconds where it is by hand: filterd then puts off with 451 whatever it would take, and names the
class that the message had. So a clean message goes the whole way, through the MTA, filterd and its engines, and nobody's mailbox gets it.
Exit code 0: all is well. 1: something is not, each line says what. Replies: RFC 5321 4.2.
"""

import argparse
import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final, NamedTuple

from .machine import DECLARED, HOLD, LOCK, OWN, RECORD, SNAPSHOT, locking, written

# Test strings of eicar.org and of SpamAssassin, each in two pieces: this file sets no scanner off.
EICAR: Final = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE: Final = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-" + b"STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
_REPLY_S: Final = 60.0  # for one reply; scans of such small messages take a fraction of it
_LEAST_S: Final = 5.0
_LONGEST_REPLY: Final = 65_536
_AGAIN_S: Final = 2.0
# Above it Linux takes ports for questions, which come and go.
_FIRST_PASSING_PORT: Final = 32_768
# The check that is an alarm alone: old signatures find what they know, and an update may be what brings new ones.
AGE: Final = "database-age"
_CONTENTS: Final[Mapping[str, bytes]] = {
    "clean": b"Bastide asks itself whether it takes honest mail.",
    "eicar": EICAR,
    "gtube": GTUBE,
}
# What the reply to each message must be. On hold filterd puts off what a declared chain would keep and not refuse.
_WANTED: Final[Mapping[str, str]] = {
    "clean": r"451 4\.7\.1 .*\[hold\.clean\]",
    "eicar": r"5\d\d .*\[virus\.[a-z.-]+\]|451 4\.7\.1 .*\[hold\.infected\]",
    "gtube": r"5\d\d .*\[spam\.[a-z.-]+\]|451 4\.7\.1 .*\[hold\.(spam|bulk)\]",
}
_ABOUT: Final[Mapping[str, str]] = {
    "clean": "a clean message passes",
    "eicar": "the anti-virus test file is refused",
    "gtube": "the anti-spam test line is refused",
}


class Check(NamedTuple):
    """One thing that was asked: its name, whether it is well, and what was seen."""

    name: str
    well: bool
    seen: str


def ran(*words: str, seconds: float = 60.0) -> str:
    """Return what a program prints; "" where it fails, is not there or takes too long."""
    try:
        return subprocess.run(
            words, capture_output=True, text=True, errors="replace", check=False, timeout=seconds
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def failed_units() -> list[str]:
    """Return the units of systemd that have failed, but for those that this is asked by: they fail by what it says."""
    listed = ran("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager")
    names = (line.split()[0] for line in listed.splitlines() if line.strip())
    return sorted(name for name in names if name not in ("bastide-update.service", "bastide-resume.service"))


def active_units() -> list[str]:
    """Return the units that are started at boot and are active now; an update may leave a timer stopped."""
    kinds = "--type=service,timer,socket,path"
    files = ran("systemctl", "list-unit-files", "--state=enabled", kinds, "--no-legend", "--no-pager")
    units = ran("systemctl", "list-units", "--state=active", kinds, "--plain", "--no-legend", "--no-pager")
    enabled, active = (
        {line.split()[0] for line in text.splitlines() if line.strip()} for text in (files, units)
    )
    return sorted(enabled & active)


def listening(listed: str) -> list[str]:
    """Return what listens, of `ss -H -l -t -u -n -p`: protocol, address and program."""
    found = set()
    for line in listed.splitlines():
        words = line.split()
        if len(words) < 5:  # noqa: PLR2004 - protocol, state, two queues, local address
            continue
        port = words[4].rpartition(":")[2]
        if port.isdigit() and int(port) >= _FIRST_PASSING_PORT:
            continue
        # Who opened it; children that it passed it on to come and go.
        holders = sorted((int(pid), name) for name, pid in re.findall(r'\("([^"]+)",pid=(\d+)', line))
        program = holders[0][1] if holders else "-"
        # What somebody who is logged in has forwarded.
        if program == "sshd" and words[4].startswith(("127.", "[::1]")):
            continue
        found.add(f"{words[0]} {words[4]} {program}")
    return sorted(found)


def snapshot() -> dict[str, list[str]]:
    """Return what is compared with what is there afterwards."""
    return {
        "failed": failed_units(),
        "active": active_units(),
        "listening": listening(ran("ss", "-H", "-l", "-t", "-u", "-n", "-p")),
    }


class Dialogue:
    """One SMTP dialogue on loopback. Replies are bounded: nobody is trusted here, least of all what was just installed."""

    def __init__(self, port: int, seconds: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._until = time.monotonic() + seconds
        self._rest = b""

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def said(self, line: bytes) -> str:
        """Send a line and return the reply."""
        self._socket.sendall(line + b"\r\n")
        return self.reply()

    def reply(self) -> str:
        """Return a reply, its lines with line ends between. Raises OSError for none, ValueError for one that is too long."""
        lines: list[str] = []
        while True:
            while b"\n" not in self._rest:
                left = self._until - time.monotonic()
                if left <= 0:
                    raise TimeoutError("no reply in time")
                self._socket.settimeout(left)
                data = self._socket.recv(4096)
                if not data:
                    raise ConnectionError("the MTA hung up")
                self._rest += data
                if len(self._rest) > _LONGEST_REPLY:
                    raise ValueError("a reply without end")
            line, _, self._rest = self._rest.partition(b"\n")
            lines.append(line.decode("ascii", "replace").rstrip("\r"))
            if not re.match(r"\d{3}-", lines[-1]):
                return "\n".join(lines)


def letter(name: str, recipient: str) -> bytes:
    """Return one of the three messages; it has an id of its own, so that no verdict is remembered."""
    unique = uuid.uuid4().hex
    head = (
        f"From: Bastide's gate <gate@invalid.example>\r\nTo: <{recipient}>\r\nSubject: Bastide's gate: {name} {unique}\r\n"
        f"Date: {formatdate()}\r\nMessage-ID: <{unique}@gate.invalid.example>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
    )
    return head.encode("ascii") + _CONTENTS[name] + b"\r\n\r\n" + unique.encode() + b"\r\n"


def sent(name: str, recipient: str, port: int, seconds: float) -> str:
    """Return the reply to a message, or to what of its envelope was refused."""
    with contextlib.closing(Dialogue(port, seconds)) as dialogue:
        if not (greeting := dialogue.reply()).startswith("220"):
            return greeting
        for line in (b"EHLO gate.invalid.example", b"MAIL FROM:<>", f"RCPT TO:<{recipient}>".encode()):
            if not (reply := dialogue.said(line)).startswith("250"):
                return reply
        if not (reply := dialogue.said(b"DATA")).startswith("354"):
            return reply
        return dialogue.said(letter(name, recipient) + b".")


def checked_message(name: str, declared: Mapping[str, Any], seconds: float) -> Check:
    """Send one of the three messages and judge the reply."""
    try:
        reply = sent(name, declared["recipient"], declared["smtp_port"], seconds)
    except (OSError, ValueError) as error:
        return Check(name=name, well=False, seen=f"{_ABOUT[name]}: no answer: {error}")
    line = reply.splitlines()[-1]
    return Check(name, re.match(_WANTED[name], line) is not None, f"{_ABOUT[name]}: {line}")


def _ehlo(declared: Mapping[str, Any], seconds: float) -> Check:
    try:
        with contextlib.closing(Dialogue(declared["smtp_port"], seconds)) as dialogue:
            reply = dialogue.reply()
            if reply.startswith("220"):
                reply = dialogue.said(b"EHLO gate.invalid.example")
    except (OSError, ValueError) as error:
        return Check(name="ehlo", well=False, seen=f"no answer: {error}")
    return Check("ehlo", reply.startswith("250"), reply.splitlines()[0])


def _services(declared: Mapping[str, Any]) -> Check:
    states = {unit: ran("systemctl", "is-active", unit).strip() or "unknown" for unit in declared["units"]}
    down = [f"{unit} is {state}" for unit, state in states.items() if state != "active"]
    return Check("services", not down, "; ".join(down) or f"{len(states)} are active")


def database_hours(answer: str, now: float) -> float | None:
    """Return the age of clamd's official database by its answer to VERSION (clamd(8)), None for one that names no date."""
    parts = answer.strip().split("/")
    try:
        made = time.mktime(time.strptime(parts[2], "%a %b %d %H:%M:%S %Y"))
    except (IndexError, ValueError):
        return None
    return (now - made) / 3600


def clamd_says(path: str, seconds: float) -> str:
    """Return clamd's answer to VERSION (clamd(8)). Raises OSError where it gives none."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as line:
        line.settimeout(seconds)
        line.connect(path)
        line.sendall(b"zVERSION\0")
        return line.recv(512).decode("ascii", "replace").strip("\0\n ")


def _databases(declared: Mapping[str, Any], seconds: float) -> tuple[Check, Check]:
    """Whether clamd has signatures, and how old the official ones are."""
    most = declared["database_hours"]
    try:
        answer = clamd_says(declared["clamd_socket"], seconds)
    except OSError as error:
        silent = f"clamd does not answer: {error}"
        return Check(name="databases", well=False, seen=silent), Check(name=AGE, well=True, seen=silent)
    hours = database_hours(answer, time.time())
    named = answer.startswith("ClamAV ") and (hours is not None or not most)
    if not most or hours is None:
        unknown = "no official database" if not most else "not known"
        return Check("databases", named, answer or "clamd says nothing"), Check(
            name=AGE, well=True, seen=unknown
        )
    aged = f"the signatures are {hours:.0f} hours old, {most} are allowed"
    return Check("databases", named, answer), Check(AGE, hours <= most, aged)


def _failed(before: Mapping[str, Sequence[str]]) -> Check:
    fresh = [unit for unit in failed_units() if unit not in before.get("failed", ())]
    return Check(
        "failed-units",
        not fresh,
        ", ".join(fresh) or "none" + (" that had not failed before" if before else ""),
    )


def _stopped(before: Mapping[str, Sequence[str]]) -> Check:
    if "active" not in before:
        return Check(name="stopped-units", well=True, seen="not compared: there is no snapshot")
    gone = sorted(set(before["active"]) - set(active_units()))
    return Check(name="stopped-units", well=not gone, seen=", ".join(gone) or "none that ran before")


def _ports(before: Mapping[str, Sequence[str]]) -> Check:
    if "listening" not in before:
        return Check(name="listening", well=True, seen="not compared: there is no snapshot")
    now, then = set(snapshot()["listening"]), set(before["listening"])
    changed = [f"new: {one}" for one in sorted(now - then)] + [f"gone: {one}" for one in sorted(then - now)]
    return Check("listening", not changed, "; ".join(changed) or f"the same {len(now)} sockets as before")


def checks(declared: Mapping[str, Any], before: Mapping[str, Sequence[str]], until: float) -> Iterator[Check]:
    """Ask everything once. ``until``: when waiting is to end, by the monotonic clock; each has a few seconds in any case."""

    def patience() -> float:
        return min(_REPLY_S, max(_LEAST_S, until - time.monotonic()))

    asked: tuple[Callable[[], Check], ...] = (
        lambda: _services(declared),
        lambda: _failed(before),
        lambda: _stopped(before),
        lambda: _ehlo(declared, patience()),
        *(lambda name=name: checked_message(name, declared, patience()) for name in _CONTENTS),
    )
    for ask in asked:
        yield ask()
    yield from _databases(declared, patience())
    yield _ports(before)


def past_hope(found: Sequence[Check]) -> bool:
    """Whether waiting helps nothing: what must be refused was found clean, or taken, by services that have all answered."""
    taken = re.compile(r".*: (250 |451 4\.7\.1 .*\[hold\.clean\])", re.DOTALL)
    return any(not one.well and one.name in ("eicar", "gtube") and taken.match(one.seen) for one in found)


def gated(declared: Mapping[str, Any], before: Mapping[str, Sequence[str]], wait: float) -> list[Check]:
    """Ask until all is well or the time is over; return what was seen last."""
    until = time.monotonic() + wait
    hopeless = False
    while True:
        found = list(checks(declared, before, until))
        # Signatures do not become younger by waiting.
        if (
            all(one.well or one.name == AGE for one in found)
            or time.monotonic() >= until
            or (hopeless and past_hope(found))
        ):
            return found
        # Twice in a row: between two starts of an engine its rules may not have been there yet.
        hopeless = past_hope(found)
        time.sleep(_AGAIN_S)


class BusyError(Exception):
    """Somebody else is at work who may lay a hold of his own."""


@contextlib.contextmanager
def holding(file: Path, lock: Path, *, locked: bool = False) -> Iterator[None]:
    """Have mail on hold for the block; a hold that is there already is whoever's laid it, and stays.

    Meanwhile the lock of bastide-update is taken: no run begins that would take this hold for its own. Raises BusyError
    where one has begun and has no hold yet. ``locked``: that run asks, and has the lock; its hold an administrator may have ended.
    """
    with locking(lock) as taken:
        if file.exists():
            yield
            return
        try:
            if not locked:
                fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError from error
        ours = f"{OWN}bastide-gate asks whether mail is filtered\n"
        # Whole, on the disk and under its name at once: a hold that says nothing would be nobody's.
        fresh = file.with_name(f".{file.name}.gate")
        written(fresh, ours, 0o644)
        try:
            os.link(fresh, file)
        except FileExistsError:
            yield
            return
        finally:
            fresh.unlink(missing_ok=True)
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                if file.read_text() == ours:
                    file.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, print what was seen; returns 0 or 1, 2 where this is no gateway of ours."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.add_argument("--snapshot", action="store_true", help="print what --before compares with alone")
    parser.add_argument("--before", type=Path, help="a file that --snapshot wrote")
    parser.add_argument("--locked", action="store_true", help="bastide-update asks, which has the lock")
    parser.add_argument("--wait", type=float, default=30.0, help="seconds until what fails has failed")
    given = parser.parse_args(arguments)
    if given.snapshot:
        print(json.dumps(snapshot()))
        return 0
    try:
        declared = json.loads(DECLARED.read_text())
        # Of a run that has not ended, also when somebody asks by hand.
        then = given.before or (SNAPSHOT if RECORD.exists() and SNAPSHOT.exists() else None)
        before = json.loads(then.read_text()) if then else {}
    except (OSError, ValueError) as error:
        print(
            f"bastide-gate: {error}: deploy this host, or give a file that --snapshot wrote", file=sys.stderr
        )
        return 2
    # Told to end, it lets go of mail first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with holding(HOLD, LOCK, locked=given.locked):
            found = gated(declared, before, given.wait)
    except BusyError:
        print(
            "bastide-gate: an update, or a look at the disk, is at work: ask again in a while",
            file=sys.stderr,
        )
        return 1
    if given.json:
        print(json.dumps([one._asdict() for one in found]))
    else:
        print(
            "".join(f"{'well ' if one.well else 'FAILS'}  {one.name}: {one.seen}\n" for one in found), end=""
        )
    return 0 if all(one.well for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

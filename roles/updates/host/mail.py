"""Mail: what waits, that nothing new is taken, and how the administrator is told."""

import contextlib
import io
import os
import re
import socket
import syslog
from collections.abc import Iterable, Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

from .machine import (
    HOLD,
    NOTE,
    OWN,
    REBOOT,
    ran,
    say,
    written,
)


def queue(mta: str) -> set[str]:
    """Return the ids of the messages that wait."""
    if mta == "postfix":
        return set(re.findall(r'"queue_id": "(\w+)"', ran("postqueue", "-j")[1]))
    places = (Path("/var/spool/mqueue"), Path("/var/spool/mqueue-client"))
    return {path.name[2:] for place in places for path in place.rglob("[qh]f*")}


def lost(waited: Iterable[str], mta: str, since: float) -> list[str]:
    """Return the messages of before that wait no more and of which the log does not say what became of them."""
    gone = set(waited) - queue(mta)
    if not gone:
        return []
    log = ran("journalctl", "--quiet", "--no-pager", "--output=cat", f"--since=@{since - 1:.0f}")[1]
    return sorted(one for one in gone if not re.search(rf"\b{re.escape(one)}: .*(removed|stat=|to=)", log))


def on_hold(why: str) -> None:
    """Have filterd take no mail; the file is on the disk before anything else happens. An administrator's hold stays his."""
    if not HOLD.exists() or own_hold():
        written(
            HOLD, f"{OWN}{why}; bastide-update resume asks the gate and lets mail flow if it passes\n", 0o644
        )


def own_hold() -> bool:
    """Whether mail is on hold by one of our programs, and not by an administrator."""
    try:
        return HOLD.read_text(errors="replace").startswith(OWN)
    except FileNotFoundError:
        return False


def mailed(declared: Mapping[str, Any], subject: str, text: str) -> None:
    """Send the administrator mail by the way by which filterd hands in what it writes: a hold does not stop it."""
    message = (
        f"From: Bastide <MAILER-DAEMON@{declared['hostname']}>\r\nTo: <{declared['administrator']}>\r\n"
        f"Subject: {declared['hostname']}: {subject}\r\nDate: {formatdate()}\r\nAuto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    ) + "".join(f"{'.' if line.startswith('.') else ''}{line}\r\n" for line in text.splitlines())
    steps = (
        (f"EHLO {declared['hostname']}", "250"), ("MAIL FROM:<>", "250"),
        (f"RCPT TO:<{declared['administrator']}>", "250"), ("DATA", "354"), (f"{message}.", "250"),
    )  # fmt: skip
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as line:
        line.settimeout(60)
        line.connect(declared["injection"])
        stream = line.makefile("rwb")
        _answered(stream, "220")
        for words, code in steps:
            stream.write(words.encode() + b"\r\n")
            stream.flush()
            _answered(stream, code)


def _answered(stream: io.BufferedRWPair, code: str) -> None:
    while True:
        reply = stream.readline(2048).decode("ascii", "replace")
        if not reply.startswith(code):
            raise OSError(f"the MTA said {reply.strip() or 'nothing'!r}")
        if reply[3:4] != "-":
            return


def alert(declared: Mapping[str, Any], subject: str, text: str) -> None:
    """Say something at once: an alert in the log, and mail."""
    line = " ".join(f"{subject}: {text}".split())
    # What systemd starts prints into the same log.
    if "INVOCATION_ID" not in os.environ:
        say(line)
    syslog.syslog(syslog.LOG_MAIL | syslog.LOG_ALERT, f"updates: {line[:900]}")
    try:
        mailed(declared, subject, text)
    except OSError as error:
        say(f"no mail of this alert: {error}")


def noted(parts: Sequence[str]) -> None:
    """Say in the daily report what is not as it should be; nothing where all is."""
    parts = [*parts, *([f"on hold: {HOLD.read_text().strip()}"] if HOLD.exists() else [])]
    if REBOOT.exists():
        parts.append("an update waits for a reboot")
    if not parts:
        NOTE.unlink(missing_ok=True)
        return
    NOTE.parent.mkdir(parents=True, exist_ok=True)
    written(NOTE, "; ".join(" ".join(one.split()) for one in parts) + "\n", 0o644)

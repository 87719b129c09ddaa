"""Mail: what waits, that nothing new is taken, and how the administrator is told."""

import contextlib
import io
import json
import os
import re
import socket
import syslog
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final

from .machine import (
    HOLD,
    NOTE,
    OWN,
    REBOOT,
    TOLD,
    UNTOLD,
    ran,
    read,
    say,
    written,
)

_AGAIN_S: Final = 86_400.0  # what lasts is said again once a day
_SENDING_S: Final = 90.0  # an alert this young is being sent by who wrote it
_MOST_UNTOLD: Final = 50


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
    """Have filterd take no mail; the file is on the disk before anything else happens.

    A hold that is there stays as it is, and so does an administrator's: to write it anew would take room on a disk that may be full,
    and its age says since when no mail has been taken.
    """
    if not HOLD.exists():
        written(
            HOLD, f"{OWN}{why}; bastide-update resume asks the gate and lets mail flow if it passes\n", 0o644
        )


def own_hold() -> bool:
    """Whether mail is on hold by one of our programs, and not by an administrator. One without a word was cut off in the writing."""
    try:
        text = HOLD.read_text(errors="replace")
    except FileNotFoundError:
        return False
    return text.startswith(OWN) or not text.strip()


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
    """Say something at once: an alert in the log, and mail; where that fails it is tried again (`retold`)."""
    line = " ".join(f"{subject}: {text}".split())
    # What systemd starts prints into the same log.
    if "INVOCATION_ID" not in os.environ:
        say(line)
    syslog.syslog(syslog.LOG_MAIL | syslog.LOG_ALERT, f"updates: {line[:900]}")
    kept = UNTOLD / f"{time.time():.0f}-{uuid.uuid4().hex}.json"
    try:
        UNTOLD.mkdir(mode=0o700, parents=True, exist_ok=True)
        written(kept, json.dumps({"subject": subject, "text": text}))
    except OSError as error:
        say(f"this alert cannot be kept: {error}")
    _sent(declared, kept, subject, text)


def alert_once(declared: Mapping[str, Any], subject: str, text: str) -> bool:
    """Say something that lasts: once, again when it has another reason, and each day. Returns whether it was said now."""
    told = read(TOLD)
    last = told.get(subject, {})
    if last.get("why") == reason(text) and 0 <= time.time() - last.get("when", 0) < _AGAIN_S:
        say(f"{subject}: {text}")
        return False
    alert(declared, subject, text)
    # /run is memory: a full disk is no reason to say the same each quarter of an hour.
    written(TOLD, json.dumps({**told, subject: {"why": reason(text), "when": time.time()}}))
    return True


def reason(text: str) -> str:
    """Return a text without what differs each time: ids, hours, process numbers."""
    return " ".join(word for word in text.split() if not re.search(r"\d", word))


def forgotten(subject: str) -> None:
    """Take what was said with this subject for over: the next time it is new."""
    told = read(TOLD)
    if told.pop(subject, None):
        written(TOLD, json.dumps(told))


def retold(declared: Mapping[str, Any]) -> None:
    """Try again to send what could not be sent: the MTA may have been what the alert was about."""
    for file in sorted(UNTOLD.glob("*.json"))[:_MOST_UNTOLD]:
        if time.time() - file.stat().st_mtime < _SENDING_S:
            continue
        if one := read(file):
            _sent(declared, file, one["subject"], one["text"])
        else:
            file.unlink(missing_ok=True)


def _sent(declared: Mapping[str, Any], kept: Path, subject: str, text: str) -> None:
    try:
        mailed(declared, subject, text)
    except OSError as error:
        say(f"no mail of this alert yet: {error}")
    else:
        kept.unlink(missing_ok=True)


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

"""Says what waits in the MTA's queue for long: a note for the daily report, and an alert when it begins and ends.

It goes to the gateway as this one file and uses Python's own library alone, run by root:

    waiting.py postfix|sendmail HOURS

Whoever sends to the house from elsewhere is told nothing of a delay by Sendmail, and a next hop that is down bounces nothing for
days: without this the first to notice is who waits for the mail. Queues: postqueue(1); Sendmail's Operations Guide, appendix B.
"""

import json
import re
import subprocess
import sys
import syslog
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

NOTE: Final = Path("/run/bastide-notes/queue")
QUEUES: Final = (Path("/var/spool/mqueue"), Path("/var/spool/mqueue-client"))
_LONGEST: Final = 200  # characters of a reason, which another server may have worded
_MOST: Final = 1000  # different reasons; more are of an attacker's making


class Waiting(NamedTuple):
    """One message: when it came (seconds since the epoch), and why it has not gone on."""

    since: float
    why: str


def of_postfix(listed: str) -> Iterator[Waiting]:
    """Give what `postqueue -j` lists, an object a line."""
    # Within a line there may be whatever else some take for its end.
    for text in filter(None, listed.split("\n")):
        message = json.loads(text)
        reasons = [one["delay_reason"] for one in message.get("recipients", ()) if one.get("delay_reason")]
        held = "on hold" if message.get("queue_name") == "hold" else "no reason given"
        yield Waiting(float(message["arrival_time"]), (reasons or [held])[0])


def of_sendmail(text: str) -> Waiting | None:
    """Return what a qf file says, or None for one that is not whole: it is being written."""
    lines = text.splitlines()
    times = [line[1:] for line in lines if re.fullmatch(r"T\d{1,12}", line)]
    if "." not in lines or not times:
        return None
    reasons = [line[1:] for line in lines if line.startswith("M")]
    return Waiting(float(times[0]), (reasons or ["no reason given"])[0])


def _postfix() -> Iterator[Waiting]:
    yield from of_postfix(
        subprocess.run(["postqueue", "-j"], check=True, capture_output=True, text=True).stdout
    )


def _sendmail() -> Iterator[Waiting]:
    for path in (one for queue in QUEUES for one in queue.rglob("[qhQ]f*")):
        try:
            found = of_sendmail(path.read_text("utf-8", "replace"))
        except FileNotFoundError:
            continue  # delivered meanwhile
        if found is not None:
            # Sendmail keeps under this name what it could neither deliver nor tell anybody of, and tries it no more.
            yield found._replace(why=f"given up, see {path}") if path.name.startswith("Q") else found


_LISTED: Final[Mapping[str, Callable[[], Iterator[Waiting]]]] = {"postfix": _postfix, "sendmail": _sendmail}


def note_of(waiting: Iterator[Waiting], now: float, hours: float) -> str:
    """Return one line on what waits for longer than so many hours, or ""."""
    reasons: Counter[str] = Counter()
    oldest = now
    for one in waiting:
        if now - one.since >= hours * 3600:
            oldest = min(oldest, one.since)
            why = "".join(each if each.isprintable() else "?" for each in one.why[:_LONGEST])
            reasons[why if why in reasons or len(reasons) < _MOST else "others"] += 1
    if not reasons:
        return ""
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(oldest))
    why, _ = reasons.most_common(1)[0]
    return f"{reasons.total()} messages wait for {hours:g} hours and more, the oldest since {since}; mostly: {why}"


def main(words: list[str]) -> int:
    """Look once; returns 0."""
    mta, hours = words
    note = note_of(_LISTED[mta](), time.time(), float(hours))
    if bool(note) != NOTE.exists():
        said = note or "no message waits for long any more"
        syslog.syslog(syslog.LOG_MAIL | syslog.LOG_ALERT, f"queue: {said}")
    if note:
        NOTE.parent.mkdir(parents=True, exist_ok=True)
        fresh = NOTE.with_name(f".{NOTE.name}")
        fresh.write_text(f"{note}\n")
        fresh.chmod(0o644)
        fresh.replace(NOTE)
    else:
        NOTE.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

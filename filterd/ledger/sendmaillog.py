"""What Sendmail's log says of each message, at LogLevel 11 with Milter.LogLevel 14; see maillog.py for Postfix's. Pure.

Source: Sendmail's Operations Guide 2.1 (the log); what is logged from which level: seen with 8.17.
"""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .maillog import Trail

# The names that Sendmail is known to log under: its own, Debian's and Red Hat's, and that of filterd's way in. What
# programs of this host hand to the submission queue comes to the MTA as well, where it is seen.
TAG: Final = re.compile(r"(sendmail|sm-mta|filterd-inject)\[\d+\]: (.*)", re.ASCII)
# Year, month, day, hour, minute, second, a sequence of two, and the process (queue.c, assign_queueid).
QUEUE_ID: Final = re.compile(r"([0-9A-Za-x]{8}\d{5,10}): (.*)", re.ASCII)
_FROM: Final = re.compile(r"from=<?(.*?)>?, size=\d+, .*?nrcpts=\d+.*")
_MESSAGE_ID: Final = re.compile(r", msgid=(.*?)(?:, (?:bodytype|proto|daemon|tls_verify|auth|relay)=|$)")
_RELAY: Final = re.compile(r", relay=(?:(\S*) )?(\[[^\]]*\]|\S+)")
_DELIVERY: Final = re.compile(r"to=(.*?), (?:ctladdr=.*, )?delay=.*, dsn=([245])\.\d+\.\d+, stat=(.*)")
_WAITS: Final = re.compile(r"to=.*, stat=queued")
_MILTER: Final = re.compile(
    r"Milter: (data|eoh|body|header|from=.*?|), ?(reject|discard|tempfail)(?:=(\d)\d\d)?"
)
_GIVEN_UP: Final = re.compile(r"(?:sender notify|return to sender|postmaster notify): Cannot send ")
_REFUSED: Final = re.compile(r"ruleset=(\w+), .*reject=\d\d\d")
_STATUS: Final = {"2": "sent", "4": "deferred", "5": "bounced"}
_MAX_CLIENT: Final = 300


def begins(text: str) -> bool:
    """Say whether a line of a message is its first one."""
    return _FROM.fullmatch(text) is not None


def note(trail: "Trail", text: str) -> None:
    """Note what one line says of a trail."""
    if _FROM.fullmatch(text):
        _came(trail, text)
    elif (said := _MILTER.match(text)) is not None:
        if said[2] == "discard":
            trail.answer = "discarded"
        else:
            trail.answer = "refused" if said[3] == "5" else "later"
            trail.ours = f" id={trail.queue_id}" in text
    elif text == "Milter accept: message" or _WAITS.fullmatch(text):
        trail.queued = True
    elif text.startswith("Milter: quarantine="):
        trail.held = True
    elif (tried := _DELIVERY.fullmatch(text)) is not None:
        trail.queued = True
        _delivered(trail, tried)
    elif _GIVEN_UP.match(text):
        trail.statuses["expired"] = trail.statuses.get("expired", 0) + 1
    elif text.startswith("done; delay="):
        trail.removed = True


def _delivered(trail: "Trail", tried: "re.Match[str]") -> None:
    # How many there are in all stands in the first line alone, and counts those whom a milter then leaves out.
    for one in tried[1].split(","):
        trail.tried(_STATUS[tried[2]], one.strip("<>"))


def _came(trail: "Trail", text: str) -> None:
    if (sender := _FROM.fullmatch(text)) is not None:
        trail.sender = sender[1]
    if (message_id := _MESSAGE_ID.search(text)) is not None:
        trail.message_id = message_id[1]
    if (relay := _RELAY.search(text)) is not None:
        # As Postfix writes it: name[address].
        trail.client = f"{relay[1] or ''}{relay[2]}"[:_MAX_CLIENT]


def at_the_door(text: str) -> str:
    """Return by which ruleset a client, sender or recipient was refused, or ""."""
    found = _REFUSED.search(text)
    return f"reject {found[1]}" if found else ""

"""What Sendmail's log says of each message, at LogLevel 11 with Milter.LogLevel 14; see maillog.py for Postfix's. Pure.

Source: Sendmail's Operations Guide 2.1 (the log); what is logged from which level: seen with 8.17.
"""

import re
from typing import TYPE_CHECKING, Final, NamedTuple

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
# Of a message that was not taken although all milters would have: it had a NUL, say. Where it was sent on a status (dsn) is named.
_NOT_TAKEN: Final = re.compile(r"to=.*, pri=\d+, stat=.*")
_MILTER: Final = re.compile(
    r"Milter: (data|eoh|body|header|from=.*?|), ?(reject|discard|tempfail)(?:=(\d)\d\d)?"
)
_GIVEN_UP: Final = re.compile(r"(?:sender notify|return to sender|postmaster notify): Cannot send ")
# What a ruleset decides (parseaddr.c, rscheck): its name, what it was asked about, who asked, and the decision.
_RULESET: Final = re.compile(r"(?:[0-9A-Za-z]{1,40}: )?ruleset=(\w{1,40}), arg1=(.*)", re.ASCII)
_DECIDED: Final = re.compile(
    r"(?:, relay=[^,\"<>]{0,300})?, (?:(reject)=(?=[45]\d\d[ -])|(quarantine)=|(discard)$)"
)
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
    elif _NOT_TAKEN.fullmatch(text):
        trail.queued = False


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


class Decision(NamedTuple):
    """What a ruleset decided about a client, sender or recipient: reject, quarantine or discard, in which words."""

    ruleset: str
    verb: str
    said: str


def decided(text: str) -> Decision | None:
    """Return what a line says that a ruleset decided; None if it is another line.

    The address that it was asked about may hold the same words, and the reply may name that address once more: so the real
    ones are the last, or those in the middle of the two.
    """
    line = _RULESET.fullmatch(text)
    found = list(_DECIDED.finditer(line[2])) if line is not None else []
    if line is None or not found:
        return None
    real, (middle, odd) = found[-1], divmod(len(found), 2)
    if odd and line[2][: found[middle].start()].strip("<>") in line[2][found[middle].end() :]:
        real = found[middle]
    # Of what it refuses it takes the quotes off that stand about the words, of what it holds it does not.
    return Decision(line[1], real[1] or real[2] or real[3], line[2][real.end() :].strip('"'))


def at_the_door(text: str) -> str:
    """Return by which ruleset a client, sender or recipient was refused, or ""."""
    found = decided(text)
    return f"reject {found.ruleset}" if found is not None and found.verb == "reject" else ""

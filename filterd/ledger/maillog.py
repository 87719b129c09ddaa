"""What the MTA's log says of each message: lines become trails, by queue id. Pure. Sendmail's lines: sendmaillog.py.

Source: postlog(1), smtpd(8), cleanup(8), qmgr(8), bounce(8); the forms of queue ids: postconf(5), enable_long_queue_ids.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from msgspec import Struct, field

from . import sendmaillog

_SENDMAIL: Final = "sendmail"  # the daemon of lines that name none
_MAX_LINE: Final = 8192  # characters; Postfix cuts its lines at 2048 of text
_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)(Z|[+-]\d\d:?\d\d) (\S+) (.*)", re.ASCII
)
_BSD: Final = re.compile(r"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.\d+)? (\S+) (.*)", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# syslog_name, which may name an instance or a service, and the daemon.
_TAG: Final = re.compile(
    r"([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)/([a-z0-9_-]+)\[\d+\]: (?:warning: )?(.*)", re.ASCII
)
# Short: hex of microseconds and inode. Long: without vowels, seconds and microseconds, "z", inode (without "z").
_QUEUE_ID: Final = re.compile(
    r"([0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,12}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{1,16}): (.*)",
    re.ASCII,
)
_CLIENT: Final = re.compile(r"client=(\S*\[[^\]]*\])(?::\d+)?(?:, .*)?")
_MESSAGE_ID: Final = re.compile(r"(?:resent-)?message-id=(.*)")
_ACTIVE: Final = re.compile(r"from=<(.*)>, size=\d+, nrcpt=(\d{1,9}) \(queue active\)")
_EXPIRED: Final = re.compile(r"from=<.*>, status=(?:force-)?expired, returned to sender")
_DELIVERY: Final = re.compile(
    r"to=<(.*?)>, (?:orig_to=<(.*?)>, )?relay=.*?, (?:conn_use=\d+, )?delay=\S+, (?:delays=\S+, )?dsn=[245]\.\d+\.\d+, "
    r"status=([a-z]+)"
)
# cleanup leaves the three digits out, smtpd does not.
_MILTER: Final = re.compile(
    r"milter-(reject|discard|hold): (\S+) from .*?: (?:([45])\d\d )?(?:([45])\.\d+\.\d+ )?"
)
_NOQUEUE: Final = re.compile(r"NOQUEUE: (milter-reject|reject): (\S+) from ")
# Of an address of the peer's making an at sign, quotes or brackets would follow; a list's own reason has none of them.
_BLOCKED: Final = re.compile(
    r"Service unavailable; [A-Za-z ]{1,40}(?:\[[^\]\s]*\])? blocked using ([A-Za-z0-9._-]{1,255})(?![^;,: ])[^<>\"@]*$"
)
# What smtpd logs behind the reply.
ENVELOPE: Final = "; from=<"
_RANK: Final = re.compile(r"DNSBL rank \d+ for \[")
_DELIVERS: Final = frozenset(
    {"smtp", "lmtp", "relay", "local", "virtual", "pipe", "error", "discard", "retry"}
)
_MAX_CLIENT: Final = 300
_FROM: Final = re.compile(r"; from=<([^>]*)>")
_FINAL: Final = frozenset({"sent", "bounced", "deliverable", "undeliverable"})

Answer = Literal["", "refused", "later", "discarded"]


class Line(Struct, frozen=True):
    """One line: time in ms since 1970, host, syslog name, daemon, text (without "warning: ")."""

    at_ms: int
    host: str
    name: str
    daemon: str
    text: str


class Trail(Struct, kw_only=True):
    """What the log says of one message in the queue. Times in ms since 1970.

    ``client``: it came by SMTP from there. ``answer``: what the client was told by a filter (``ours``:
    by filterd, whose replies name the queue id) or the MTA; ``queued``: it was taken.
    ``statuses`` counts deliveries: sent, bounced, deferred, expired …. ``by_hand``: postsuper removed it.
    ``nrcpt`` is for how many recipients it was taken (0: not known), ``ended`` are those who have it, or never will,
    ``named`` those as the client named them of whom the log says anything. ``passed`` is for how many of ``nrcpt`` the
    ledger says that it passed (0: it does not): Postfix counts those too whom the filter took out.
    """

    queue_id: str
    host: str
    name: str
    first_ms: int
    last_ms: int
    client: str = ""
    message_id: str = ""
    answer: Answer = ""
    ours: bool = False
    queued: bool = False
    held: bool = False
    removed: bool = False
    by_hand: bool = False
    statuses: dict[str, int] = field(default_factory=dict)
    sender: str = ""
    nrcpt: int = 0
    passed: int = 0
    ended: set[tuple[str, str]] = field(default_factory=set)
    named: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether the log has an end for all of its recipients."""
        meant = min(self.passed, self.nrcpt) if self.passed else self.nrcpt
        return bool(self.ended) and len(self.ended) >= meant

    @property
    def recipients(self) -> int:
        """How many recipients the log knows of."""
        return max(self.nrcpt, len(self.named))

    def tried(self, status: str, to: str, named: str = "") -> None:
        """Note one delivery: to whom, and as whom the client named him."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.named.add((named or to).lower())
        if status in _FINAL:
            self.ended.add((to, named))


class MailLog:
    """Reads lines and gathers trails. ``now`` gives the year to lines that have none.

    What the MTA refused by itself is counted between ``since_ms`` and ``until_ms``, where these are given.
    """

    def __init__(self, now: datetime, *, since_ms: int | None = None, until_ms: int | None = None) -> None:
        self._now = now
        self._since_ms = since_ms
        self._until_ms = until_ms
        self.lines = 0
        self.first_ms = 0
        self.last_ms = 0
        self.trails: dict[str, list[Trail]] = {}
        self.refused_at_the_door: Counter[str] = Counter()

    def read(self, lines: Iterable[str]) -> Iterator[int]:
        """Take lines; yields how many were read, now and then. Lines of other programs are passed over."""
        for number, text in enumerate(lines, 1):
            line = parsed(text, self._now)
            if line is not None:
                self._take(line)
            if number % 20_000 == 0:
                yield number

    def _take(self, line: Line) -> None:
        self.lines += 1
        self.first_ms = min(self.first_ms or line.at_ms, line.at_ms)
        self.last_ms = max(self.last_ms, line.at_ms)
        of_sendmail = line.daemon == _SENDMAIL
        refused = sendmaillog.at_the_door(line.text) if of_sendmail else ""
        found = (sendmaillog.QUEUE_ID if of_sendmail else _QUEUE_ID).fullmatch(line.text)
        if found is None or refused:
            if (self._since_ms or 0) <= line.at_ms and (
                self._until_ms is None or line.at_ms < self._until_ms
            ):
                self._at_the_door(line, refused)
            return
        queue_id, text = found.groups()
        trail = self._trail(queue_id, line, text)
        trail.last_ms = max(trail.last_ms, line.at_ms)
        if of_sendmail:
            sendmaillog.note(trail, text)
        else:
            _note(trail, line.daemon, text)

    def _trail(self, queue_id: str, line: Line, text: str) -> Trail:
        """Return the trail of a queue id; a new one where the id, which is used again, begins anew."""
        known = self.trails.setdefault(queue_id, [])
        begins = text.startswith(("client=", "uid=")) or sendmaillog.begins(text)
        if not known or (begins and (known[-1].client or known[-1].removed or known[-1].queued)):
            known.append(
                Trail(
                    queue_id=queue_id, host=line.host, name=line.name, first_ms=line.at_ms, last_ms=line.at_ms
                )
            )
        return known[-1]

    def _at_the_door(self, line: Line, ruleset: str) -> None:
        """Count what was refused before the filter saw it; ``ruleset`` says by what Sendmail did."""
        if ruleset:
            self.refused_at_the_door[ruleset] += 1
        elif line.daemon == "postscreen" and _RANK.match(line.text):
            self.refused_at_the_door["postscreen DNSBL"] += 1
        elif (found := _NOQUEUE.match(line.text)) is not None:
            listed = block_list(line.text)
            self.refused_at_the_door[f"DNSBL {listed}" if listed else f"{found[1]} {found[2]}"] += 1


def block_list(text: str) -> str:
    """Return the block list, in lower case, by which smtpd's line of a refusal says that a client was refused; or ""."""
    said, *behind = text.split(ENVELOPE)
    # Where an address holds these words too, nobody can tell where the reply ends.
    found = _BLOCKED.search(said) if len(behind) <= 1 else None
    return found[1].lower() if found is not None else ""


def _note(trail: Trail, daemon: str, text: str) -> None:
    """Note what one line says of a trail."""
    match daemon:
        case "smtpd" if (found := _CLIENT.fullmatch(text)) is not None:
            trail.client = found[1][:_MAX_CLIENT]
        case "cleanup" if (found := _MESSAGE_ID.fullmatch(text)) is not None:
            trail.message_id = found[1]
        case "smtpd" | "cleanup" if (found := _MILTER.match(text)) is not None:
            _answered(trail, found)
        case "cleanup" if text.startswith("hold: "):
            trail.held = True
        case "qmgr" if (found := _ACTIVE.fullmatch(text)) is not None:
            trail.queued = True
            trail.sender = found[1]
            trail.nrcpt = max(trail.nrcpt, int(found[2]))  # later it is how many are left
        case "qmgr" if _EXPIRED.match(text) is not None:
            trail.statuses["expired"] = trail.statuses.get("expired", 0) + 1
        case "qmgr" | "postsuper" if text == "removed":
            trail.removed = True
            trail.by_hand |= daemon == "postsuper"
        case _ if daemon in _DELIVERS and (found := _DELIVERY.match(text)) is not None:
            trail.tried(found[3], found[1], found[2] or "")
        case _:
            pass


def _answered(trail: Trail, found: "re.Match[str]") -> None:
    if not trail.sender and (sender := _FROM.search(found.string)) is not None:
        trail.sender = sender[1]
    if found[1] == "hold":
        trail.held = True
    elif found[1] == "discard":
        trail.answer = "discarded"
    elif found[2] == "RCPT":
        pass  # one recipient was refused; the others may go on
    else:
        trail.answer = "refused" if (found[3] or found[4]) == "5" else "later"
        trail.ours = f" id={trail.queue_id}; from=<" in found.string


def parsed(text: str, now: datetime) -> Line | None:
    """Return one line of a log, or None if it is none of the MTA's."""
    text = text.rstrip("\n")[:_MAX_LINE]
    if (iso := _ISO.fullmatch(text)) is not None:
        stamp, zone, host, rest = iso.groups()
        at = datetime.fromisoformat(stamp + ("+00:00" if zone == "Z" else zone))
    elif (bsd := _BSD.fullmatch(text)) is not None and bsd[1] in _MONTHS:
        host, rest = bsd[6], bsd[7]
        dated = _with_year(bsd, now)
        if dated is None:
            return None
        at = dated
    else:
        return None
    at_ms = int(at.timestamp() * 1000)
    if (tag := _TAG.fullmatch(rest)) is not None:
        return Line(at_ms, host, tag[1], tag[2], tag[3])
    if (tag := sendmaillog.TAG.fullmatch(rest)) is not None:
        return Line(at_ms, host, tag[1], _SENDMAIL, tag[2])
    return None


def _with_year(found: "re.Match[str]", now: datetime) -> datetime | None:
    """Return the time of a line without year and zone: this zone's, and the last year in which it is not to come."""
    month, day = _MONTHS.index(found[1]) + 1, int(found[2])
    for year in (now.year, now.year - 1):
        try:
            at = datetime(year, month, day, int(found[3]), int(found[4]), int(found[5]), tzinfo=now.tzinfo)
        except ValueError:
            continue
        if at <= now + timedelta(days=1):
            # The zone's offset of that day, not of today.
            return at.replace(tzinfo=None).astimezone() if now.tzinfo is not UTC else at
    return None

"""Notices to administrator, recipients and sender (R21, R22; RFC 3834).

The attack it stops: a filter that is made to write to strangers. Notices have no envelope sender, are bounded per
address and hour, never answer a machine, and never go to the sender of malware, whose address is forged. Nothing of
the message can become a header of the notice.
"""

import re
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, make_msgid
from typing import Final

from msgspec import Struct

from filterd.anatomy import Anatomy
from filterd.config import Config
from filterd.config.actions import is_address
from filterd.config.conditions import unwrapped
from filterd.disposition import Disposition, Side
from filterd.findings import Finding, Verdict
from filterd.message import Envelope

from .inject import Letter
from .letter import letter
from .templates import Which, load

_HOUR_S: Final = 3600.0
_MAX_ADDRESSES: Final = 10_000  # whose times are remembered
_MAX_VALUE: Final = 200  # characters of one value
_MAX_NAMES: Final = 10
# Notices of one message; it can have a thousand recipients.
_MAX_NOTICES: Final = 50
# The sender of these is forged as a rule, so a notice would reach a stranger.
_NEVER_TOLD: Final = frozenset({Verdict.INFECTED, Verdict.SUSPICIOUS, Verdict.BANNED, Verdict.SPAM})
# RFC 3834 2: addresses behind which there is no person who wants an answer.
_MACHINE: Final = re.compile(
    r"(?:owner-.*|.*-owner|.*-request|mailer-daemon|.*-bounces?(?:[+=-].*)?|bounces?(?:[+=-].*)?|"
    r"no-?reply(?:[+-].*)?|do-?not-?reply(?:[+-].*)?)@.*",
    re.IGNORECASE,
)
_BULK: Final = frozenset({"bulk", "list", "junk"})
_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]{1,250}>")
_ACTIONS: Final[Mapping[str, str]] = {
    "deliver": "delivered", "reject": "refused", "tempfail": "deferred", "move": "quarantined", "discard": "discarded",
}  # fmt: skip


class Facts(Struct, frozen=True, kw_only=True):
    """What notices may tell about one message."""

    envelope: Envelope
    anatomy: Anatomy
    findings: tuple[Finding, ...]
    host: str
    queue_id: str


class Notices:
    """Writes notices for one worker, which has its share of ``[notify] per_hour``."""

    def __init__(self, config: Config) -> None:
        self._settings = config.notify
        self._templates = load(config.notify)
        share = max(1, config.notify.per_hour // max(1, config.workers))
        self._rate = Rate(share)

    def letters(
        self, dispositions: Iterable[Disposition], facts: Facts
    ) -> tuple[tuple[Letter, ...], tuple[str, ...]]:
        """Return the notices of a message, and for the log why others are not sent."""
        letters: list[Letter] = []
        left_out: list[str] = []
        for one, side, address, who in self._wanted(dispositions, facts):
            if not is_address(address):
                left_out.append(f"{who}: no plain address")
            elif len(letters) == _MAX_NOTICES:
                left_out.append(f"{who}: more than {_MAX_NOTICES} notices")
            elif not self._rate.take(address):
                left_out.append(f"{who}: too many notices in an hour")
            else:
                letters.append(self._letter(one, side, facts, address, who))
        return tuple(letters), tuple(left_out[:20])

    def _wanted(
        self, dispositions: Iterable[Disposition], facts: Facts
    ) -> Iterator[tuple[Disposition, Side, str, Which]]:
        for one in dispositions:
            for side in one.sides:
                if side.action != "notify":
                    continue
                if side.argument == "admin" and self._settings.admin:
                    yield one, side, self._settings.admin, "admin"
                elif side.argument == "recipient":
                    for recipient in one.recipients:
                        yield one, side, unwrapped(recipient), "recipient"
                elif side.argument == "sender" and may_tell_sender(one, facts):
                    yield one, side, unwrapped(facts.envelope.sender), "sender"

    def _letter(self, one: Disposition, side: Side, facts: Facts, address: str, who: Which) -> Letter:
        host = facts.host if is_address(f"x@{facts.host}") else "localhost"
        told = (
            (address,) if who == "recipient" else tuple(unwrapped(recipient) for recipient in one.recipients)
        )
        subject, body = self._templates[who].filled(values(one, side, facts, told))
        sender = self._settings.sender_address
        fields = [
            ("From", f"Mail gateway <{sender if is_address(sender) else f'postmaster@{host}'}>"),
            ("To", address),
            ("Subject", line(subject, 2 * _MAX_VALUE)),
            ("Date", format_datetime(datetime.now(UTC))),
            ("Message-ID", make_msgid(domain=host)),
            ("Auto-Submitted", "auto-replied" if who == "sender" else "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
        ]
        if who == "sender" and _MESSAGE_ID.fullmatch(original := facts.anatomy.header("message-id").strip()):
            # RFC 3834 3.1.5
            fields += [("In-Reply-To", original), ("References", original)]
        content = letter(fields, body)
        return Letter(
            sender=b"<>", recipients=(f"<{address}>".encode(),), content=(content,), eight_bit=False
        )

    def deleted(self, one: Disposition, parts: Sequence[str], facts: Facts) -> str:
        """Return the text that stands in the place of these parts of a message to these recipients."""
        about = tuple(
            found
            for found in one.findings
            if any(found.part == part or found.part.startswith(f"{part}.") for part in parts)
        )
        side = Side(
            action="notify",
            verdict=about[0].verdict if about else one.verdict,
            rule=about[0].rule if about else one.rule,
        )
        return self._templates["deleted"].filled(values(one, side, facts, (), about or one.findings))[1]


def may_tell_sender(one: Disposition, facts: Facts) -> bool:
    """Return whether a notice may answer this sender: it is a person's, and not forged as malware's is."""
    sender = unwrapped(facts.envelope.sender)
    headers = facts.anatomy
    # What counts for these recipients has its class. All that was found has not: each message has a spam score, and
    # rules in warn mode convict nobody; but what an engine knows as malware is that, whoever's rules let it pass.
    if any(found.verdict in _NEVER_TOLD for found in one.findings) or any(
        found.verdict is Verdict.INFECTED for found in facts.findings
    ):
        return False
    if one.fate in {"reject", "tempfail"} or one.verdict in _NEVER_TOLD:
        # A refusal is told by the sender's own server.
        return False
    automatic = headers.header("auto-submitted").strip().lower() not in {"", "no"}
    listed = any(name.startswith("list-") for name, _ in headers.headers)
    bulk = headers.header("precedence").strip().lower() in _BULK
    return bool(sender) and not (_MACHINE.fullmatch(sender) or automatic or listed or bulk)


def values(
    one: Disposition,
    side: Side,
    facts: Facts,
    told: Sequence[str],
    findings: Sequence[Finding] | None = None,
) -> dict[str, str]:
    """Return the value of each placeholder: one line each, bounded."""
    about = one.findings if findings is None else findings
    names = dict.fromkeys(found.name for found in about if found.name)
    signatures = dict.fromkeys(
        found.detail for found in about if found.rule == "virus.signature" and found.detail
    )
    action = _ACTIONS[one.fate]
    if one.fate == "deliver" and one.rewritten:
        action = "changed and delivered"
    return {
        name: line(value)
        for name, value in {
            "ATTACH_NAME": _listed(names),
            "SUBJECT": facts.anatomy.header("subject"),
            "FROM_USER": unwrapped(facts.envelope.sender) or "<>",
            "TO_USER": told[0] if told else "",
            "TO_USERS": _listed(dict.fromkeys(told)),
            "VIRUS_NAME": _listed(signatures),
            "RULE": side.rule or one.rule,
            "CLASS": str(side.verdict),
            "ACTION": action,
            "QUEUE_ID": facts.queue_id,
            "DATE": datetime.now(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z"),
            "HOST": facts.host,
        }.items()
    }


def _listed(names: Mapping[str, None]) -> str:
    shown = list(names)[:_MAX_NAMES]
    return ", ".join(one[: _MAX_VALUE // 2] for one in shown) + (" …" if len(names) > len(shown) else "")


def line(text: str, most: int = _MAX_VALUE) -> str:
    """Return a value as one line of bounded length: what controls, or has no form, is a question mark."""
    cut = text[:most].encode("utf-8", "replace").decode("utf-8")
    seen = "".join(one if one.isprintable() else " " if one in "\t\r\n" else "?" for one in cut)
    return " ".join(seen.split()) + ("…" if len(text) > most else "")


class Rate:
    """How many notices an address has had within the hour. Bounded in memory: the longest unused is forgotten."""

    def __init__(self, per_hour: int) -> None:
        self._per_hour = per_hour
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, address: str, now: float | None = None) -> bool:
        """Count one notice; False when the address has had enough."""
        at = time.monotonic() if now is None else now
        times = self._times.setdefault(address.lower(), deque())
        self._times.move_to_end(address.lower())
        while times and at - times[0] >= _HOUR_S:
            times.popleft()
        if len(self._times) > _MAX_ADDRESSES:
            self._times.popitem(last=False)
        if len(times) >= self._per_hour:
            return False
        times.append(at)
        return True

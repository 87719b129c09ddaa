"""What the MTA did by itself, read from its log: refused, held, discarded, warned of, by rule and list of addresses. Pure.

Sources: smtpd_check.c (log_whatsup), cleanup_message.c (cleanup_act_log), postscreen(8); sendmaillog.py.
"""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from filterd.ledger.maillog import ENVELOPE, block_list, parsed
from filterd.ledger.sendmaillog import decided

from .figures import Door, Row

# What Postfix's smtpd and postscreen do (also by a rule that only warns), and what cleanup does by header_checks(5).
_POSTFIX: Final = re.compile(
    r"(?:[0-9A-Za-z]+: )?(reject|reject_warning|hold|discard): ([A-Z-]+) from \S*\[[^]\s]*\](?::\d+)?: (.*)"
)
_CLEANUP: Final = re.compile(
    r"[0-9A-Za-z]+: (reject|warning|hold|discard): (header|mime-header|nested-header|body) (.*)"
)
# What a rule of Sendmail's that only warns would have said, and what one says of mail that it drops; and to whom.
_COUNTED: Final = re.compile(
    r"(?:([0-9A-Za-z]+): )?(would (?:reject|defer|refuse|discard|hold|count)|discarded): (.*), relay=\[[^\]\s]*\]"
)
_DEEDS: Final = {
    "reject": "refused",
    "reject_warning": "warned",
    "warning": "warned",
    "hold": "held",
    "quarantine": "held",
    "discard": "discarded",
    "discarded": "discarded",
}
# Characters. Postfix cuts its lines (msg_syslog.c, 2000), and at the end of one that is cut stands a peer's text.
_WHOLE: Final = 1900
# At the end of the reply: what stands before it may be an address of the peer's making.
_RULE: Final = re.compile(r"\(rule ([a-z0-9][a-z0-9._-]{0,79})\)$")
_CODE: Final = re.compile(r"([45]\d\d)[ -](?:([45]\.\d{1,3}\.\d{1,3}) )?")
# The lines of refusals.pcre: how the MTA words a refusal of its own, and the rule behind it.
_WORDS: Final = re.compile(r"/: (.*)\$/ .*\(rule ([a-z0-9][a-z0-9._-]{0,79})\)")
_MOST: Final = 10_000  # different keys; more are of an attacker's making


class DoorLog:
    """Counts what was done. ``refusals`` is the text of the table by which the MTA's words name their rule, or ""."""

    def __init__(self, refusals: str, now: datetime) -> None:
        self._now = now
        self._words = [
            (re.compile(f": {found[1]}$"), found[2])
            for line in refusals.splitlines()
            if (found := _WORDS.match(line)) is not None
        ]
        self._lines = self._refused = 0
        self._lists: Counter[str] = Counter()
        self._deeds: dict[str, Counter[str]] = {deed: Counter() for deed in _DEEDS.values()}
        self._messages: set[tuple[str, str, str]] = set()

    def read(self, lines: Iterable[str]) -> None:
        """Take the lines of a log."""
        for text in lines:
            line = parsed(text, self._now)
            if line is not None:
                self._lines += 1
                self._take(line.text)

    def _take(self, text: str) -> None:
        if (found := _POSTFIX.match(text)) is not None:
            self._replied(_DEEDS[found[1]], found[2], found[3])
        elif (found := _CLEANUP.match(text)) is not None:
            # Behind all that the sender wrote stands the rule's own text.
            rule = _RULE.search(found[3]) if len(text) < _WHOLE else None
            self._count(_DEEDS[found[1]], rule[1] if rule is not None else f"{found[2]} other")
        elif (sent := decided(text)) is not None:
            if sent.verb == "reject":
                self._replied("refused", "", sent.said)
            elif sent.verb == "quarantine":
                self._once(text.partition(": ")[0], "held", self._key(sent.said, "", ""))
        elif (counted := _COUNTED.fullmatch(text)) is not None and counted[2] == "discarded":
            self._once(counted[1], "discarded", self._key(counted[3], "", ""))
        elif counted is not None:
            self._replied("warned", "", counted[3])

    def _replied(self, deed: str, stage: str, said: str) -> None:
        """Count what was done at a command, by the words of the reply."""
        listed = block_list(said)
        said, *behind = said.split(ENVELOPE)
        # Where an address holds these words too, nobody can tell where the reply ends: it is counted by its code.
        self._count(deed, self._key(said, stage, listed) if len(behind) <= 1 else _answered(said, stage))
        if listed and deed == "refused":
            _add(self._lists, listed)

    def _once(self, queue_id: str | None, deed: str, key: str) -> None:
        """Count a message: Sendmail says at each of its recipients that it will be held or dropped."""
        message = (queue_id or "", deed, key)
        if message in self._messages:
            return
        if len(self._messages) >= _MOST:
            self._messages.clear()
        self._messages.add(message)
        self._count(deed, key)

    def _count(self, deed: str, key: str) -> None:
        self._refused += deed == "refused"
        _add(self._deeds[deed], key)

    def _key(self, said: str, stage: str, listed: str) -> str:
        """Return the rule behind a refusal, or else how it was answered."""
        if (rule := _RULE.search(said)) is not None:
            return rule[1]
        if listed:
            return "mta.dnsbl"
        for words, rule_id in self._words:
            if words.search(said) is not None:
                return rule_id
        return _answered(said, stage)

    def door(self, limit: int, note: str = "") -> Door:
        """Return the counts, at most ``limit`` rows of each."""
        return Door(
            lines=self._lines,
            refused=self._refused,
            rules=_rows(self._deeds["refused"], limit),
            lists=_rows(self._lists, limit),
            warned=_rows(self._deeds["warned"], limit),
            held=_rows(self._deeds["held"], limit),
            discarded=_rows(self._deeds["discarded"], limit),
            note=note,
        )


def _answered(said: str, stage: str) -> str:
    """Return how a refusal was answered, by its code."""
    code = _CODE.match(said)
    return f"{stage} {code[1]} {code[2] or ''}".strip() if code is not None else f"{stage} other".strip()


def _add(counts: Counter[str], key: str) -> None:
    counts[key if key in counts or len(counts) < _MOST else "others"] += 1


def _rows(counts: Counter[str], limit: int) -> tuple[Row, ...]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return tuple(Row(key=key, messages=many) for key, many in ranked)

"""What the MTA refused by itself, read from its log: by rule, by list of addresses, in total. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from filterd.ledger.maillog import ENVELOPE, block_list, parsed

from .figures import Door, Row

# A refusal of Postfix's smtpd and postscreen (also of a rule that only warns), and one of Sendmail's rulesets.
_POSTFIX: Final = re.compile(
    r"(?:\S+: )?(reject|reject_warning): ([A-Z-]+) from \S*\[[^]\s]*\](?::\d+)?: (.*)"
)
_SENDMAIL: Final = re.compile(r"(?:\S+: )?ruleset=\S+, .*?reject=(.*)")
# What a rule of Sendmail's that only warns would have said, and to whom.
_WOULD: Final = re.compile(
    r"(?:\S+: )?would (?:reject|defer|refuse|discard|hold|count): (.*), relay=\[[^\]\s]*\]"
)
# At the end of the reply: what stands before it may be an address of the peer's making.
_RULE: Final = re.compile(r"\(rule ([a-z0-9][a-z0-9._-]{0,79})\)$")
_CODE: Final = re.compile(r"([45]\d\d)[ -](?:([45]\.\d{1,3}\.\d{1,3}) )?")
# The lines of refusals.pcre: how the MTA words a refusal of its own, and the rule behind it.
_WORDS: Final = re.compile(r"/: (.*)\$/ .*\(rule ([a-z0-9][a-z0-9._-]{0,79})\)")
_MOST: Final = 10_000  # different keys; more are of an attacker's making


class DoorLog:
    """Counts refusals. ``refusals`` is the text of the table by which the MTA's words name their rule, or ""."""

    def __init__(self, refusals: str, now: datetime) -> None:
        self._now = now
        self._words = [
            (re.compile(f": {found[1]}$"), found[2])
            for line in refusals.splitlines()
            if (found := _WORDS.match(line)) is not None
        ]
        self._lines = self._refused = 0
        self._rules: Counter[str] = Counter()
        self._lists: Counter[str] = Counter()
        self._warned: Counter[str] = Counter()

    def read(self, lines: Iterable[str]) -> None:
        """Take the lines of a log."""
        for text in lines:
            line = parsed(text, self._now)
            if line is not None:
                self._lines += 1
                self._take(line.text)

    def _take(self, text: str) -> None:
        if (found := _POSTFIX.match(text)) is not None:
            warned, stage, said = found[1] == "reject_warning", found[2], found[3]
        elif (sent := _SENDMAIL.match(text)) is not None:
            warned, stage, said = False, "", sent[1]
        elif (would := _WOULD.fullmatch(text)) is not None:
            warned, stage, said = True, "", would[1]
        else:
            return
        listed = block_list(said)
        said, *behind = said.split(ENVELOPE)
        # Where an address holds these words too, nobody can tell where the reply ends: it is counted by its code.
        key = self._key(said, stage, listed) if len(behind) <= 1 else _answered(said, stage)
        if warned:
            _count(self._warned, key)
            return
        self._refused += 1
        if listed:
            _count(self._lists, listed)
        _count(self._rules, key)

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
            rules=_rows(self._rules, limit),
            lists=_rows(self._lists, limit),
            warned=_rows(self._warned, limit),
            note=note,
        )


def _answered(said: str, stage: str) -> str:
    """Return how a refusal was answered, by its code."""
    code = _CODE.match(said)
    return f"{stage} {code[1]} {code[2] or ''}".strip() if code is not None else f"{stage} other".strip()


def _count(counts: Counter[str], key: str) -> None:
    counts[key if key in counts or len(counts) < _MOST else "others"] += 1


def _rows(counts: Counter[str], limit: int) -> tuple[Row, ...]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return tuple(Row(key=key, messages=many) for key, many in ranked)

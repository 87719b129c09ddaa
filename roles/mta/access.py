"""Declared rules as Postfix's tables and the restrictions that look into them: text from data, nothing else."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final

from roles.mta.rules import AccessRule, ClientRule, ContentRule, in_force, network_of, pattern, today
from roles.settings import Gateway

DIRECTORY: Final = "/etc/postfix/rules"
# Refused before any table is asked for it.
LONG: Final = "long.pcre"
PATH: Final = 256 - 2  # octets, without the brackets
KEY: Final = 511  # octets of a key of LMDB's
_HEAD: Final = "# Written by Bastide; changes are undone by the next deploy. See {manual}.\n"
_MANUALS: Final = {"cidr": "cidr_table(5)", "pcre": "pcre_table(5)"}
# access(5); enhanced codes of RFC 3463 3.8. What a rule that warns would do, its text says.
_ACTIONS: Final = {"reject": "REJECT 5.7.1 ", "defer": "DEFER 4.7.1 ", "discard": "DISCARD ", "hold": "HOLD "}
_TEXTS: Final = {
    "reject": "Access denied",
    "defer": "Not now, try again later",
    "discard": "Discarded",
    "hold": "Held for a person to look at",
    "ignore": "Line removed",
    "warn": "Counted",
}
# As header_checks(5) names them.
_CONTENT_ACTIONS: Final = {
    "reject": "REJECT 5.7.1 ",
    "ignore": "IGNORE",
    "hold": "HOLD ",
    "discard": "DISCARD ",
}
_CHECKS: Final = {"header": "header_checks", "mime": "mime_header_checks", "body": "body_checks"}
# A table of names is asked for the client's address as well (access(5)); its rules are about names alone.
_NAMES_ONLY: Final = ("if !/^([0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*)$/", "endif")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: its file's name and text, Postfix's type of it, and whether what it refuses is only counted."""

    file: str
    type: str
    warns: bool
    text: str

    @property
    def map(self) -> str:
        """The table in the words of main.cf."""
        return f"{self.type}:{DIRECTORY}/{self.file}"


def access_tables(rules: Sequence[AccessRule], on: date) -> tuple[Table, ...]:
    """Return the tables of one list's rules in the declared order.

    Rules of one type that stand together are one table. A rule that warns has a table of its own: what it matches
    must still meet the rules behind it.
    """
    made: list[Table] = []
    numbered = list(enumerate(in_force(rules, on)))

    def run(entry: tuple[int, AccessRule]) -> tuple[str, int]:
        number, rule = entry
        return _type(rule), number if rule.mode == "warn" else -1

    for number, ((kind, _), group) in enumerate(groupby(numbered, run), 1):
        members = [rule for _, rule in group]
        made.append(
            Table(
                file=f"{members[0].word}-{number}.{kind}",
                type=kind,
                warns=members[0].mode == "warn",
                text=_text(kind, members),
            )
        )
    return tuple(made)


def entries(rules: Sequence[AccessRule], on: date) -> tuple[str, ...]:
    """Return the entries of a restriction list that look into the tables of these rules."""
    return tuple(
        f"{'warn_if_reject ' if table.warns else ''}check_{rules[0].word}_access {table.map}"
        for table in access_tables(rules, on)
    )


def _type(rule: AccessRule) -> str:
    return "cidr" if isinstance(rule, ClientRule) and network_of(rule.match) is not None else "pcre"


def _text(kind: str, rules: Sequence[AccessRule]) -> str:
    lines = [line for rule in rules for line in (f"# {rule.name}", _line(kind, rule))]
    if kind == "pcre" and isinstance(rules[0], ClientRule):
        lines = [_NAMES_ONLY[0], *lines, _NAMES_ONLY[1]]
    return _HEAD.format(manual=_MANUALS[kind]) + "\n".join(lines) + "\n"


def _line(kind: str, rule: AccessRule) -> str:
    if rule.verb == "accept":
        action = "OK"
    elif rule.mode == "warn":
        # warn_if_reject holds back a refusal; it would not hold back the other verbs.
        action = f"REJECT 5.7.1 {_said(rule, f'would {rule.verb}: ')}"
    else:
        action = _ACTIONS[rule.verb] + _said(rule)
    if kind == "cidr":
        return f"{rule.match} {action}"
    return f"/{_delimited(pattern(rule, international=True))}/ {_literal(action)}"


def _said(rule: AccessRule | ContentRule, would: str = "") -> str:
    """Return the text of a reply and log line; the id at its end is what both sides search for."""
    return f"{would}{rule.text or _TEXTS[rule.verb]} (rule {rule.name})"


def _delimited(expression: str) -> str:
    r"""Return a regular expression in which no slash ends it: `a/b` as `a\/b`."""
    return re.sub(r"\\.|/", lambda found: found[0] if found[0] != "/" else r"\/", expression)


def _literal(action: str) -> str:
    """Return an action in which nothing is replaced by what the expression matched (pcre_table(5))."""
    return action.replace("$", "$$")


def content_tables(rules: Sequence[ContentRule], on: date) -> dict[str, Table]:
    """Return the tables of header_checks(5) by the parameter that names each; a part without rules has none.

    One look-up decides for a line. Rules that warn come last, so that none keeps another from acting.
    """
    made = {}
    for part, parameter in _CHECKS.items():
        own = [rule for rule in in_force(rules, on) if rule.part == part]
        own.sort(key=_warns)
        if own:
            lines = [line for rule in own for line in (f"# {rule.name}", _content_line(rule))]
            text = _HEAD.format(manual=_MANUALS["pcre"]) + "\n".join(lines) + "\n"
            made[parameter] = Table(file=f"{part}.pcre", type="pcre", warns=False, text=text)
    return made


def _warns(rule: ContentRule) -> bool:
    return rule.verb == "warn" or rule.mode == "warn"


def _content_line(rule: ContentRule) -> str:
    if _warns(rule):
        would = "" if rule.verb == "warn" else f"would {rule.verb}: "
        action = f"WARN {_said(rule, would)}"
    elif rule.verb == "ignore":
        action = "IGNORE"
    else:
        action = _CONTENT_ACTIONS[rule.verb] + _said(rule)
    return f"/{_delimited(rule.match[1:-1])}/ {_literal(action)}"


def tables(gateway: Gateway) -> Iterator[Table]:
    """Give every table of a gateway's rules that hold today."""
    on, rules = today(), gateway.mta_rules
    for own in (rules.client, rules.helo, rules.sender, rules.recipient):
        yield from access_tables(own, on)
    yield from content_tables(rules.content, on).values()


def check_map(gateway: Gateway, parameter: str) -> str:
    """Return the value of header_checks and its like; empty where no rule of that part holds today."""
    found = content_tables(gateway.mta_rules.content, today()).get(parameter)
    return found.map if found else ""


def rule_files(gateway: Gateway) -> dict[str, str]:
    """Return the texts of all tables by the names of their files."""
    return {LONG: _too_long(), **{table.file: table.text for table in tables(gateway)}}


def _too_long() -> str:
    """Return the table of addresses longer than a path is (RFC 5321 4.5.3.1.3).

    Letters beyond ASCII have up to four octets, and where Postfix counts letters a key of its lmdb tables may have 511 octets.
    """
    said = "REJECT 5.1.3 Address too long (rule mta.address-length)"
    return (
        _HEAD.format(manual=_MANUALS["pcre"])
        + rf"""/^.{{{PATH + 1},}}$/ {said}
/^(?=.*[^\x00-\x7f]).{{{KEY // 4 + 1},}}$/ {said}
"""
    )

"""What a script may look signs up in: texts of different characters, and tables that give a sign its number or letter."""

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

# A table that gives each sign its number or letter: {a:77,"b":90} or [["a",77],["b",90]].
_KEY: Final = r"[\"']?([^\s\"',:;\[\](){}]{1,8})[\"']?\s*+[:,]\s*+"
_ENTRY: Final = re.compile(
    rf"{_KEY}(?:(-?(?:0x[0-9a-fA-F]{{1,2}}|\d{{1,3}}))|\"([^\"\\]{{1,4}})\"|'([^'\\]{{1,4}})')"
)
# No group may stand within what is repeated possessively: CPython 3.11 takes its span for wrong (SystemError).
_TABLE: Final = re.compile(
    rf"(?<=[{{\[(,\s])(?:{_ENTRY.pattern.replace('(-', '(?:-').replace('([', '(?:[')}[\s,\[\]]*+){{8,}}+"
)


class Alphabets(Struct, frozen=True):
    """What a script may look signs up in. ``texts``: of different characters each. ``tables``: sign to number or sign."""

    texts: tuple[str, ...] = ()
    tables: tuple[dict[str, str], ...] = ()


def alphabets_of(code: str, texts: Iterable[str]) -> Alphabets:
    """Return the alphabets among the ``texts`` of a script and the tables in its ``code``."""
    found = [one for one in texts if 16 <= len(one) <= 260 and len(set(one)) >= len(one) - 1]
    tables = []
    for run in _TABLE.finditer(code):
        pairs = {key: number or sign or other for key, number, sign, other in _ENTRY.findall(run[0])}
        tables += [pairs, {value: key for key, value in pairs.items()}]
    return Alphabets(texts=tuple(dict.fromkeys(found)), tables=tuple(tables))

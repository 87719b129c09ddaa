"""Attack dialogues, one file each: exact bytes out, patterns for the replies. A new attack is a new file.

A file's first comment says what must hold. ``from wan`` or ``from lan`` says where it is spoken, ``from wan 73`` by which
address there (its last octet, of lab/plan.py WAN_VANTAGES). ``needs mta.x``: where the MTA lacks that defence the
dialogue is not spoken, and the record says what stands in its place. ``> text`` sends a
line, ``>> text`` bytes without a line end; ``\\r \\n \\xNN`` are escapes and ``{x*N}`` is N times x. ``< pattern`` must
match the whole next reply, its lines joined by a newline; ``< closed`` is the end of the connection.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lab.plan import LabState
from tests.acceptance.lacking import missing
from tests.acceptance.outside import Step, seen_from

DIALOGS = sorted((Path(__file__).parent / "dialogs").glob("*.smtp"))


def sent(text: str) -> str:
    """Return the bytes that a line of a file stands for, as Latin-1 text."""
    repeated = re.sub(r"\{(.)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)
    return repeated.encode("latin-1").decode("unicode_escape")


def parsed(text: str) -> tuple[str, list[Step], list[str]]:
    """Return (vantage, steps, patterns) of one file; the first pattern is for the greeting."""
    side, steps, patterns = "", list[Step](), list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        word, _, rest = line.partition(" ")
        if not line or word in ("#", "needs"):
            continue
        if word == "from":
            side = rest
        elif word == "<":
            patterns.append(rest)
            # The greeting is read before anything is sent; every later pattern wants a reply read for it.
            if len(patterns) > 1:
                waiting = steps and not steps[-1].reply
                steps[-1:] = [Step(send=steps[-1].send)] if waiting else [*steps[-1:], Step(send="")]
        elif word in (">", ">>"):
            steps.append(Step(send=sent(rest) + ("\r\n" if word == ">" else ""), reply=False))
        else:
            raise ValueError(f"line {number}: {word!r} is none of: # from > >> <")
    if not re.fullmatch(r"(wan|lan)( \d+)?", side):
        raise ValueError("no line says `from wan` or `from lan`")
    return side, steps, patterns


def spoken(text: str, lab: LabState) -> None:
    """Speak one file's dialogue; AssertionError where a reply is another than the file says."""
    side, steps, patterns = parsed(text)
    network, _, number = side.partition(" ")
    place = seen_from(lab, network)
    source = f"{place.source.rpartition('.')[0]}.{number}" if number else place.source
    replies = replace(place, source=source).dialogue(*steps)
    assert len(replies) == len(patterns), replies
    # A client that is new gets its greeting in two lines (mta.screened), another in one; files are about neither.
    replies[0] = replies[0].rpartition("\n")[2]
    for reply, pattern in zip(replies, patterns, strict=True):
        assert re.fullmatch(pattern, reply, re.DOTALL), f"{pattern} does not match {reply!r} in {replies}"


@pytest.mark.parametrize("file", DIALOGS, ids=[file.stem for file in DIALOGS])
def test_dialogue(file: Path, lab: LabState) -> None:
    text = file.read_text()
    needed = re.search(r"(?m)^needs (\S+)$", text)
    if needed and (why := missing(needed[1])):
        pytest.skip(why)
    spoken(text, lab)

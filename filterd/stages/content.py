"""The rules of the operator about words: subject, bodies, file names, header fields, all of them decoded."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import Final

from msgspec import Struct

from filterd.anatomy import Anatomy
from filterd.config.inspection import ContentRule, Inspection
from filterd.config.patterns import endless
from filterd.parse.processor import ProcessorSpentError, bounded

from . import limits
from .stage import Finding, Stage, Verdict

_MAX_SHOWN: Final = 80  # characters of what matched, for the log
# A search looks at its clock (`re` lets signals in) once in 4096 steps, and a step may go through the whole text: so a
# long text is searched in pieces. A match of as many characters as two pieces share is found wherever it stands.
_PIECE: Final = 128 * 1024
_SHARED: Final = 32 * 1024
# Format characters (soft hyphen, zero width, bidi) and the fillers that show nothing.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


# What separates words on a line. Headers are often folded with a tab (RFC 5322 2.2.3), which is shown as a blank.
_GAP: Final = re.compile(r"[^\S\n]{2,}|[^\S\n ]")


class _Place(Struct, frozen=True):
    """The readings of a text that rules may look at, and what it belongs to."""

    texts: tuple[str, ...]
    part: str = ""
    path: str = ""
    name: str = ""


def judge(anatomy: Anatomy, inspection: Inspection) -> tuple[Finding, ...]:
    """Report where each rule of ``[[content]]`` matches: once a rule and place. Its id is ``content.<name>``.

    A body is read twice: as it is, and as a reader sees it (compatibility forms folded, invisible characters left
    out, one blank between words). The direction of a rule is the policy's business. Patterns that do not compile were refused with the
    configuration (``check``); here they raise re.error. Where the rules take too long the message is over-limit.
    """
    if not inspection.content:
        return ()
    found: list[Finding] = []
    busy = inspection.content[0].name
    seconds = inspection.parse.seconds / 2
    try:
        with bounded(seconds):
            places = {
                where: tuple(_places(anatomy, where)) for rule in inspection.content for where in rule.where
            }
            for rule in inspection.content:
                busy = rule.name
                for place in dict.fromkeys(chain.from_iterable(places[where] for where in rule.where)):
                    found += _search(rule, place)
    except ProcessorSpentError:
        found.append(
            Finding(
                stage=limits.STAGE.id,
                verdict=limits.CONTENT_TIME.verdict,
                rule=limits.CONTENT_TIME.id,
                detail=f"content.{busy}: more than {seconds:g} s",
            )
        )
    return tuple(found)


def check(rules: tuple[ContentRule, ...]) -> Iterator[str]:
    """Yield what is wrong with rules, one sentence each: names that stand twice, patterns that are none or take for ever."""
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            yield f"[[content]] name = {rule.name!r} stands twice: give one of them another name"
        seen.add(rule.name)
        try:
            pattern = compiled(rule.pattern, case=rule.case)
            slow = endless(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            yield f"[[content]] {rule.name}: pattern is no regular expression ({error}): correct it"
            continue
        if slow:
            yield (
                f"[[content]] {rule.name}: pattern takes for ever on texts like {slow[:_MAX_SHOWN]!r} many times over:"
                " let what is repeated match in one way only, as (a+)+ can be written a+"
            )


@lru_cache(maxsize=1024)
def compiled(pattern: str, *, case: bool) -> re.Pattern[str]:
    """Return the compiled pattern. Raises re.error. Kept: a parse worker that calls it before it forks saves time."""
    return re.compile(pattern, re.MULTILINE if case else re.MULTILINE | re.IGNORECASE)


def as_seen(text: str) -> str:
    """Return ``text`` as the eye takes it: compatibility forms folded (NFKC), nothing invisible, one blank for several."""
    if not text.isascii():
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    return _GAP.sub(" ", text)


def _places(anatomy: Anatomy, where: str) -> Iterator[_Place]:
    if where == "body":
        for part, text in anatomy.texts:
            yield _Place(_readings(text), part, part)
    elif where == "name":
        for leaf in anatomy.leaves:
            if leaf.names:
                texts = tuple(chain.from_iterable(_readings(name) for name in leaf.names))
                yield _Place(texts, leaf.part, leaf.path, leaf.name)
    else:
        field = "subject" if where == "subject" else where.removeprefix("header:").lower()
        for known, value in anatomy.headers:
            if known == field:
                yield _Place(_readings(value))


def _readings(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((text, as_seen(text))))


def _search(rule: ContentRule, place: _Place) -> Iterator[Finding]:
    pattern = compiled(rule.pattern, case=rule.case)
    if match := next(filter(None, (_first(pattern, text) for text in place.texts)), None):
        yield Finding(
            stage=STAGE.id,
            verdict=Verdict(rule.verdict),
            rule=f"content.{rule.name}",
            detail=match.group()[:_MAX_SHOWN],
            part=place.part,
            path=place.path,
            name=place.name,
        )


def _first(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the first match, piece by piece; a piece ends with a line where one ends near it."""
    begin = 0
    while (end := begin + _PIECE) < len(text):
        line_end = text.rfind("\n", begin + _PIECE - _SHARED // 2, end)
        end = line_end if line_end >= 0 else end
        match = pattern.search(text, begin, end)
        if match and match.end() == end:
            # It may have taken the end of the piece for that of the text.
            match = pattern.match(text, match.start(), end + _SHARED)
        if match:
            return match
        begin = end - _SHARED
    return pattern.search(text, begin)


STAGE: Final = Stage(
    id="content",
    title="The operator's own rules about words",
    why="What must not come in or go out here (a fraud that is going round, a project's name) no vendor knows.",
    cost=2,
    rules=(),
    judge=judge,
)

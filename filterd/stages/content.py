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

from .stage import Finding, Stage, Verdict

_MAX_SHOWN: Final = 80  # characters of what matched, for the log
# Format characters (soft hyphen, zero width, bidi) and the fillers that show nothing.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


class _Place(Struct, frozen=True):
    """The readings of a text that rules may look at, and what it belongs to."""

    texts: tuple[str, ...]
    part: str = ""
    path: str = ""
    name: str = ""


def judge(anatomy: Anatomy, inspection: Inspection) -> tuple[Finding, ...]:
    """Report where each rule of ``[[content]]`` matches: once a rule and place. Its id is ``content.<name>``.

    A body is read twice: as it is, and as a reader sees it (compatibility forms folded, invisible characters left
    out). The direction of a rule is the policy's business. Patterns that do not compile were refused with the
    configuration (``check``); here they raise re.error.
    """
    places = {where: tuple(_places(anatomy, where)) for rule in inspection.content for where in rule.where}
    return tuple(
        found
        for rule in inspection.content
        for place in dict.fromkeys(chain.from_iterable(places[where] for where in rule.where))
        for found in _search(rule, place)
    )


def check(rules: tuple[ContentRule, ...]) -> Iterator[str]:
    """Yield what is wrong with rules, one sentence each: patterns that do not compile, names that stand twice."""
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            yield f"[[content]] name = {rule.name!r} stands twice: give one of them another name"
        seen.add(rule.name)
        try:
            compiled(rule.pattern, case=rule.case)
        except (re.error, RecursionError, OverflowError) as error:
            yield f"[[content]] {rule.name}: pattern is no regular expression ({error}): correct it"


@lru_cache(maxsize=1024)
def compiled(pattern: str, *, case: bool) -> re.Pattern[str]:
    """Return the compiled pattern. Raises re.error. Kept: a parse worker that calls it before it forks saves time."""
    return re.compile(pattern, re.MULTILINE if case else re.MULTILINE | re.IGNORECASE)


def as_seen(text: str) -> str:
    """Return ``text`` as the eye takes it: compatibility forms folded (NFKC), invisible characters left out."""
    if text.isascii():
        return text
    folded = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    return folded.replace("\u00a0", " ")


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
    if match := next(filter(None, map(pattern.search, place.texts)), None):
        yield Finding(
            stage=STAGE.id,
            verdict=Verdict(rule.verdict),
            rule=f"content.{rule.name}",
            detail=match.group()[:_MAX_SHOWN],
            part=place.part,
            path=place.path,
            name=place.name,
        )


STAGE: Final = Stage(
    id="content",
    title="The operator's own rules about words",
    why="What must not come in or go out here (a fraud that is going round, a project's name) no vendor knows.",
    cost=2,
    rules=(),
    judge=judge,
)

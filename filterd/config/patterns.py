"""Which regular expressions take for ever: found by trying them on short texts made from the pattern itself.

A repetition within a repetition, or a choice within one, may match a text in so many ways that a search which fails
tries them all: `(a+)+$` takes twice as long for each further "a". Whether it does is tried, as it cannot be read off.
"""

import importlib
import re
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

# The reader of `re` itself, which has no public name.
_READER: Any = importlib.import_module("re._parser")

_LONGEST: Final = 300  # characters of a text that is tried
_TURNS: Final = (8, 12, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 40)
_TOO_LONG_S: Final = 0.25  # of this thread; an honest pattern takes some microseconds for such a text
_FORMS: Final = 4
_MOST: Final = 64  # texts that are tried
_UNBOUNDED: Final = 10  # turns from which a repetition counts as one
_REPEATS: Final = ("MAX_REPEAT", "MIN_REPEAT")
_CANDIDATES: Final = "a0 -_.@/A\t\n!é"
_CLASSES: Final = {
    "CATEGORY_DIGIT": re.compile(r"\d"), "CATEGORY_NOT_DIGIT": re.compile(r"\D"),
    "CATEGORY_SPACE": re.compile(r"\s"), "CATEGORY_NOT_SPACE": re.compile(r"\S"),
    "CATEGORY_WORD": re.compile(r"\w"), "CATEGORY_NOT_WORD": re.compile(r"\W"),
}  # fmt: skip

_Node = tuple[Any, Any]


@lru_cache(maxsize=1024)
def endless(pattern: re.Pattern[str]) -> str:
    """Return a text on which the pattern takes for ever, the repeated piece once, or "" if none is found."""
    tree = list(_READER.parse(pattern.pattern, pattern.flags & ~re.UNICODE))
    tried: set[tuple[str, str]] = set()
    for prefix, piece in _doubtful(tree, ""):
        if not piece or (prefix, piece) in tried:
            continue
        tried.add((prefix, piece))
        if len(tried) > _MOST:
            return ""
        if _takes_for_ever(pattern, prefix[-_LONGEST:], piece):
            return prefix + piece
    return ""


def _takes_for_ever(pattern: re.Pattern[str], prefix: str, piece: str) -> bool:
    for turns in _TURNS:
        if turns * len(piece) > _LONGEST:
            return False
        begun = time.thread_time()
        pattern.search(f"{prefix}{piece * turns}\x00")
        if time.thread_time() - begun > _TOO_LONG_S:
            return True
    return False


def _doubtful(tree: Sequence[_Node], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield what stands before each repetition that has one, or a choice, within it, and what it repeats, in some forms."""
    for op, value in tree:
        if str(op) in _REPEATS:
            _, most, inner = value
            if most >= _UNBOUNDED and _has_choice(inner):
                yield from ((prefix, _text(inner, form)) for form in range(2 * _FORMS))
        for inner in _inner(op, value):
            yield from _doubtful(list(inner), prefix)
        prefix += _one(op, value, 0)


def _has_choice(tree: Sequence[_Node]) -> bool:
    return any(
        str(op) in {*_REPEATS, "BRANCH"} or any(_has_choice(list(inner)) for inner in _inner(op, value))
        for op, value in tree
    )


def _inner(op: object, value: Any) -> Sequence[Sequence[_Node]]:  # noqa: ANN401 - what `re` has there differs by op
    """Return the sequences within a node."""
    match str(op):
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [value[2]]
        case "SUBPATTERN":
            return [value[3]]
        case "ATOMIC_GROUP":
            return [value]
        case "BRANCH":
            return list(value[1])
        case "ASSERT" | "ASSERT_NOT":
            return [value[1]]
        case _:
            return []


def _text(tree: Sequence[_Node], form: int) -> str:
    return "".join(_one(op, value, form) for op, value in tree)


def _one(op: object, value: Any, form: int) -> str:  # noqa: ANN401 - see _inner
    """Return a short text that a node matches. ``form``: which alternatives, and whether repetitions go once round more."""
    name = str(op)
    if name in {*_REPEATS, "POSSESSIVE_REPEAT"}:
        least, most, inner = value
        turns = min(max(int(least), 1 if form < _FORMS else 0), int(most), _LONGEST)
        return _text(inner, form) * turns
    if name == "BRANCH":
        return _text(value[1][form % len(value[1])], form)
    if name in {"SUBPATTERN", "ATOMIC_GROUP"}:
        return "".join(_text(inner, form) for inner in _inner(op, value))
    return _letter(name, value)


def _letter(name: str, value: Any) -> str:  # noqa: ANN401 - see _inner
    match name:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return next(one for one in _CANDIDATES if one != chr(value))
        case "ANY":
            return "a"
        case "IN":
            return _member(value)
        case _:
            return ""


def _member(items: Sequence[_Node]) -> str:
    """Return a character of a set, or "" where none is found."""
    negated = bool(items) and str(items[0][0]) == "NEGATE"
    firsts = [
        chr(value if str(op) == "LITERAL" else value[0])
        for op, value in items
        if str(op) in {"LITERAL", "RANGE"}
    ]
    return next((one for one in [*firsts, *_CANDIDATES] if _holds(items, one) is not negated), "")


def _holds(items: Sequence[_Node], letter: str) -> bool:
    for op, value in items:
        match str(op):
            case "LITERAL" if value == ord(letter):
                return True
            case "RANGE" if value[0] <= ord(letter) <= value[1]:
                return True
            case "CATEGORY" if str(value) in _CLASSES and _CLASSES[str(value)].match(letter):
                return True
    return False

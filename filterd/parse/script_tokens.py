"""Where the texts of a script stand: its literals, told from comments, regular expressions and nested templates.

A reader that takes a quotation mark in a regular expression for the begin of a text reads code as texts from there on.
"""

import re
import sys
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

# A slash is either the end of this pattern or of a division; quotes within either are looked at by itself. Braces
# matter only within a template.
_PATTERN: Final = (
    r"//[^\n]*+|/\*.*?(?:\*/|\Z)"
    r"|\"(?P<double>[^\"\\\n]*+(?:\\.[^\"\\\n]*+)*+)\"?"
    r"|'(?P<single>[^'\\\n]*+(?:\\.[^'\\\n]*+)*+)'?"
    r"|`(?P<template>[^`\\]*+(?:\\.[^`\\]*+)*+)`?"
    r"|(?P<slash>/)"
)
_OUTSIDE: Final = re.compile(_PATTERN, re.DOTALL)
_WITHIN: Final = re.compile(rf"{_PATTERN}|(?P<brace>[{{}}])", re.DOTALL)
_TEMPLATE_REST: Final = re.compile(r"(?P<template>[^`\\]*+(?:\\.[^`\\]*+)*+)`?", re.DOTALL)
# What a regular expression stands behind (ECMA-262 12.9.5); behind a name, a number or a bracket, "/" divides.
_BEFORE_REGEXP: Final = re.compile(r"(?:[(,=:\[!&|?{;~^%*<>]|(?<![\w$.])(?:return|typeof|case))\s*+\Z")
_MAX_REGEXP: Final = 20_000  # characters: tables of letters in libraries have as many
_REGEXP: Final = re.compile(
    rf"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.){{0,{_MAX_REGEXP}}}+\]){{1,{_MAX_REGEXP}}}+/"
)
_BEFORE: Final = 12  # characters before a slash that are looked at
_MAX_ASTRAY: Final = 300  # slashes that begin nothing: the cost of each grows with the text
_MAX_DEPTH: Final = 100
_BRACE: Final = re.compile(r"[{}]")
_ESCAPE: Final = re.compile(
    r"((?:\\x[0-9a-fA-F]{2}){4,}+)|((?:\\u[0-9a-fA-F]{4}){4,}+)"
    r"|\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|([0-7]{1,3})|(\r\n|.))",
    re.DOTALL,
)
_PLAIN_ESCAPES: Final = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\n": "",
    "\r\n": "",
    "\r": "",
}


class Literal(Struct):
    """One text of a script, escapes undone, and from where to where it stands."""

    text: str
    start: int
    end: int


def literals(code: str) -> Iterator[Literal]:
    """Yield the texts of JavaScript (of VBScript, as far as its literals are alike), in order. Linear in its length.

    A template that holds further templates comes in pieces, without what stands between ``${`` and ``}`` there; that
    is read as code. Other templates come whole.
    """
    at, astray = 0, 0
    open_braces: list[int] = []  # of each template that is interrupted by code
    while found := (_WITHIN if open_braces else _OUTSIDE).search(code, at):
        at, kind = found.end(), found.lastgroup
        if kind == "slash":
            if astray < _MAX_ASTRAY and _BEFORE_REGEXP.search(code[max(0, at - 1 - _BEFORE) : at - 1]):
                regexp = _REGEXP.match(code, at - 1)
                astray += regexp is None
                at = regexp.end() if regexp else at
            continue
        if kind == "brace":
            open_braces[-1] += 1 if found[0] == "{" else -1
            if open_braces[-1] >= 0:
                continue
            open_braces.pop()
            kind, found = "template", _TEMPLATE_REST.match(code, at) or found
            at = found.end()
        if kind:
            end, stop = found.end(kind), at
            if kind == "template" and len(open_braces) < _MAX_DEPTH and (depth := _interrupted(found[kind])):
                open_braces.append(depth - 1)
                at = end  # the template within begins here
                end = stop = found.start(kind) + found[kind].rindex("${")
            yield Literal(_plain(code[found.start(kind) : end]), found.start(), stop)


def _interrupted(template: str) -> int:
    """Return how many braces are open at the end of what looks like a template: more than none if one begins there."""
    at = template.rfind("${")
    depth = 0
    for brace in _BRACE.finditer(template, at + 1) if at != -1 else ():
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            break
    return depth


def without(code: str, found: list[Literal]) -> str:
    """Return ``code`` with ``""`` for each of the texts ``found`` in it."""
    pieces, at = [], 0
    for one in found:
        pieces.append(code[at : one.start])
        at = one.end
    pieces.append(code[at:])
    return '""'.join(pieces)


def _plain(raw: str) -> str:
    return _ESCAPE.sub(_unescaped, raw) if "\\" in raw else raw


def _unescaped(found: re.Match[str]) -> str:
    """Return what a JavaScript escape stands for (ECMA-262 12.9.4)."""
    if found[1]:
        return bytes.fromhex(found[1].replace("\\x", "")).decode("latin-1")
    if found[2]:
        return bytes.fromhex(found[2].replace("\\u", "")).decode("utf-16-be", "surrogatepass")
    for group in (3, 4, 5):
        if digits := found[group]:
            return chr(min(int(digits, 16), sys.maxunicode))
    if found[6]:
        return chr(int(found[6], 8))
    return _PLAIN_ESCAPES.get(found[7], found[7])

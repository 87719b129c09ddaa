"""What becomes of one part: the new fields of its header and its new content, for each kind of edit."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from filterd.anatomy import Edit, EditAction, RewriteOrder
from filterd.fields import Change, split

from .html import disarm
from .macros import without_macros
from .naming import harmless_name, parameter, shown_name
from .outline import Entity
from .transfer import as_base64, decoded, encoded, text_encoded

WARN_NAME: Final = "warn.txt"
_TEXT: Final = b" text/plain; charset=utf-8"
_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_HTML_NAMES: Final = (".htm", ".html", ".xhtml", ".xht", ".shtml")
_ZIP: Final = b"PK\x03\x04"
# Fields that say what the content is or is called: they go with it.
_ABOUT_CONTENT: Final = re.compile(r"content-", re.IGNORECASE)


class Outcome(Struct, frozen=True, kw_only=True):
    """A part as it is to be. ``changes`` are made to its header; with ``fresh`` they are all of its header.

    ``content`` None: its content stays.
    """

    changes: tuple[Change, ...]
    content: bytes | None = None
    fresh: bool = False


def _warned(raw: bytes, one: Entity, edit: Edit, _order: RewriteOrder) -> Outcome:
    """Put a text of exactly the decoded size in its place."""
    size = len(decoded(raw[one.body : one.end], "" if one.children else one.encoding))
    text = exactly(edit.text, size)
    # Base64, as nothing else keeps this many blanks through every server on the way.
    content = as_base64(text) if one.is_message else as_base64(text).removesuffix(b"\r\n")
    named = parameter("name", WARN_NAME), parameter("filename", WARN_NAME)
    return _replaced(
        raw,
        one,
        content,
        kind=_TEXT + b"; " + named[0],
        encoding=b" base64",
        disposition=b" attachment; " + named[1],
    )


def exactly(text: str, size: int) -> bytes:
    """Return ``text`` as ``size`` bytes of UTF-8 with CRLF: cut off between characters, filled up with blanks."""
    whole = "\r\n".join(text.splitlines()).encode("utf-8") + b"\r\n"
    if len(whole) > size:
        whole = whole[:size].decode("utf-8", "ignore").encode("utf-8")
    return whole.ljust(size, b" ")


def _noticed(raw: bytes, one: Entity, edit: Edit, _order: RewriteOrder) -> Outcome:
    content, encoding = text_encoded(("\r\n".join(edit.text.splitlines()) + "\r\n").encode("utf-8"))
    if not one.is_message:
        content = content.removesuffix(b"\r\n")
    return _replaced(
        raw, one, content, kind=_TEXT, encoding=b" " + encoding.encode("ascii"), disposition=b" inline"
    )


def emptied(raw: bytes, one: Entity) -> Outcome:
    """Put an empty text in its place, where something must stand."""
    return _replaced(raw, one, b"", kind=_TEXT, encoding=b" 7bit", disposition=None)


def _replaced(
    raw: bytes, one: Entity, content: bytes, *, kind: bytes, encoding: bytes, disposition: bytes | None
) -> Outcome:
    changes = [
        Change(name="Content-Type", value=kind),
        Change(name="Content-Transfer-Encoding", value=encoding),
        Change(name="Content-Disposition", value=disposition),
    ]
    if not one.is_message:
        return Outcome(changes=tuple(changes), content=content, fresh=True)
    ours = {change.name.lower() for change in changes}
    present = {field.name.lower(): field.name for field in split(raw[one.start : one.body])}
    changes += [
        Change(name=name, value=None)
        for lower, name in present.items()
        if _ABOUT_CONTENT.match(name) and lower not in ours
    ]
    if "mime-version" not in present:
        changes.insert(0, Change(name="MIME-Version", value=b" 1.0"))
    return Outcome(changes=tuple(changes), content=content)


def _renamed(raw: bytes, one: Entity, _edit: Edit, _order: RewriteOrder) -> Outcome | None:
    """Give it a name and a type that no program is started for; its content stays byte for byte."""
    if one.children:
        return None
    name = harmless_name(shown_name(one.message))
    present = {field.name.lower(): field.name for field in split(raw[one.start : one.body])}
    changes = [
        Change(name="Content-Type", value=b" application/octet-stream;\n " + parameter("name", name)),
        Change(name="Content-Disposition", value=b" attachment;\n " + parameter("filename", name)),
        # Some readers take a name from these.
        *(
            Change(name=present[other], value=None)
            for other in ("content-description", "content-location")
            if other in present
        ),
    ]
    if one.is_message and "mime-version" not in present:
        changes.insert(0, Change(name="MIME-Version", value=b" 1.0"))
    return Outcome(changes=tuple(changes))


def _disarmed(raw: bytes, one: Entity, _edit: Edit, order: RewriteOrder) -> Outcome | None:
    """Make active content harmless: of HTML as the order says, of Office documents their macros."""
    if one.children:
        return None
    content = decoded(raw[one.body : one.end], one.encoding)
    if content.startswith(_ZIP):
        fresh = without_macros(content)
        return None if fresh is None else _recoded(one, fresh, "base64")
    if one.type in _HTML_TYPES or shown_name(one.message).lower().endswith(_HTML_NAMES):
        changed = disarm(content, str(one.message.get_content_charset("") or ""), order.html)
        return Outcome(changes=()) if changed is None else _recoded(one, changed, one.encoding)
    return None


def _recoded(one: Entity, content: bytes, encoding: str) -> Outcome:
    """Return changed content in its old encoding, or in one that can hold it."""
    body, used = encoded(content, encoding)
    changes = () if used == one.encoding else (
        Change(name="Content-Transfer-Encoding", value=b" " + (used or "7bit").encode("ascii")),
    )  # fmt: skip
    return Outcome(changes=changes, content=body)


Maker = Callable[[bytes, Entity, Edit, RewriteOrder], Outcome | None]

# How each edit is made; None comes of one that cannot be. "remove" takes the part's place too: see rewriting.py.
MAKERS: Final[Mapping[EditAction, Maker]] = {
    "warn": _warned,
    "notice": _noticed,
    "rename": _renamed,
    "disarm": _disarmed,
}

"""Where each MIME part stands in the bytes of a message, by the same reading that gave the parts their paths.

The standard library's parser keeps no positions. This one walks the lines as that parser does, compares what both
have seen, and gives up at the first difference: a part whose place is not certain is not edited.
"""

import email
import re
from email.message import Message
from email.policy import compat32
from typing import Final

from msgspec import Struct

_HEADER: Final = re.compile(rb"From |[!-9;-~]*:|[\t ]")
_EOL: Final = re.compile(rb"\r\n|\r|\n")
_LAST_EOL: Final = re.compile(rb"(?:\r\n|\r|\n)\Z")


class UnmappableError(Exception):
    """The parts of this message cannot be told apart with certainty."""


class Entity(Struct, kw_only=True, eq=False):
    """One MIME entity in the raw message: header in [start, body), content in [body, end).

    ``delimiter`` is where the boundary line before it begins, -1 for the root and the message inside a
    message/rfc822. ``separated``: an empty line ends its header. ``encoding`` is its Content-Transfer-Encoding.
    """

    path: str
    message: "Message[str, str]"
    parent: "Entity | None"
    start: int
    body: int = 0
    end: int = 0
    delimiter: int = -1
    separated: bool = False
    encoding: str = ""
    children: list["Entity"] = []

    @property
    def type(self) -> str:
        """Return its content type in lower case."""
        return self.message.get_content_type()

    @property
    def is_message(self) -> bool:
        """Whether it is a whole message: the root, or what a message/rfc822 holds."""
        return self.delimiter < 0

    def within(self, path: str) -> bool:
        """Return whether it is the entity of that path or lies inside of it."""
        return self.path == path or self.path.startswith(path + ".")


class _Lines:
    """The message line by line, as the standard parser's BufferedSubFile gives them: also a lone CR ends one."""

    def __init__(self, raw: bytes) -> None:
        self._lines = raw.splitlines(keepends=True)
        self._next = 0
        self.offset = 0
        self.ends: list[re.Pattern[bytes]] = []

    def read(self) -> bytes:
        """Return the next line, or nothing at the end of the text or before a boundary line of an outer part."""
        if self._next == len(self._lines):
            return b""
        line = self._lines[self._next]
        if line.startswith(b"--") and any(end.match(line) for end in self.ends):
            return b""
        self._next += 1
        self.offset += len(line)
        return line

    def back(self, line: bytes) -> None:
        """Put a line back. The empty one is the end, and stays there."""
        if line:
            self._next -= 1
            self.offset -= len(line)

    def rest(self) -> None:
        """Go to the end."""
        while self.read():
            pass


def outline(raw: bytes) -> dict[str, Entity]:
    """Return the entities of a message by path, outer before inner. Raises UnmappableError."""
    try:
        tree = email.message_from_bytes(raw, policy=compat32)
        lines = _Lines(raw)
        found: dict[str, Entity] = {}
        _Mapper(raw, lines, found).entity(tree, "1", None, -1)
    except (RecursionError, LookupError, UnicodeError, TypeError, ValueError) as error:
        # What the standard parser raises for input that it was not made for.
        raise UnmappableError(str(error)) from error
    if lines.offset != len(raw):
        raise UnmappableError("the text goes on behind the last part")
    for one in found.values():
        _compare(raw, one)
    return found


class _Mapper:
    def __init__(self, raw: bytes, lines: _Lines, found: dict[str, Entity]) -> None:
        self._raw = raw
        self._lines = lines
        self._found = found

    def entity(
        self, message: "Message[str, str]", path: str, parent: Entity | None, delimiter: int
    ) -> Entity:
        """Map one entity and what it holds; the lines stand behind its last one then."""
        lines = self._lines
        one = Entity(
            path=path, message=message, parent=parent, start=lines.offset, delimiter=delimiter, children=[]
        )
        self._found[path] = one
        one.encoding = str(message.get("content-transfer-encoding", "")).strip().lower()
        while line := lines.read():
            if not _HEADER.match(line):
                one.separated = bool(_EOL.match(line))
                if not one.separated:
                    lines.back(line)
                break
        one.body = lines.offset
        kind = message.get_content_maintype()
        payload = message.get_payload()
        inner = (
            [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []
        )
        if not message.is_multipart() or one.type == "message/delivery-status":
            lines.rest()
        elif kind == "message":
            self._inner_message(one, inner)
        else:
            self._parts(one, inner)
        one.end = lines.offset
        return one

    def _inner_message(self, one: Entity, inner: list["Message[str, str]"]) -> None:
        if len(inner) != 1:
            raise UnmappableError(f"{one.path} holds {len(inner)} messages")
        one.children.append(self.entity(inner[0], f"{one.path}.1", one, -1))

    def _parts(self, one: Entity, inner: list["Message[str, str]"]) -> None:
        """Map the parts of a multipart; RFC 2046 5.1.1: the line end before a boundary belongs to the boundary."""
        lines = self._lines
        boundary = one.message.get_boundary()
        if boundary is None:
            raise UnmappableError(f"{one.path} has parts and no boundary")
        pattern = re.compile(
            re.escape(b"--" + boundary.encode("ascii", "surrogateescape"))
            + rb"(?P<end>--)?[ \t]*(?:\r\n|\r|\n)?\Z"
        )
        number = 0
        while line := lines.read():
            mark = pattern.match(line)
            if mark is None:
                continue
            if mark["end"]:
                lines.rest()
                break
            delimiter = lines.offset - len(line)
            # Boundary lines one behind the other hold no parts between them.
            while (line := lines.read()) and pattern.match(line):
                pass
            lines.back(line)
            number += 1
            if number > len(inner):
                raise UnmappableError(f"{one.path} has more than {len(inner)} parts")
            lines.ends.append(pattern)
            part = self.entity(inner[number - 1], f"{one.path}.{number}", one, delimiter)
            lines.ends.pop()
            self._trim(part)
            one.children.append(part)
        if number != len(inner):
            raise UnmappableError(f"{one.path} has {number} parts, not {len(inner)}")

    def _trim(self, part: Entity) -> None:
        """Give the line end before a boundary to the boundary, in the part and in what ends where it ends."""
        found = _LAST_EOL.search(self._raw, max(part.body, part.end - 2), part.end)
        if found is None:
            return
        old: int = part.end
        last: Entity | None = part
        while last is not None and last.end == old:
            last.end = max(found.start(), last.body)
            last = last.children[-1] if last.children else None


def _compare(raw: bytes, one: Entity) -> None:
    """Look whether the parser has the same content for a part without parts. Raises UnmappableError."""
    message = one.message
    if message.is_multipart():
        return
    # Without this field the parser gives the content as it stands; the tree is ours.
    del message["content-transfer-encoding"]
    content = message.get_payload(decode=True)
    if not isinstance(content, bytes) or content != raw[one.body : one.end]:
        raise UnmappableError(f"{one.path} is read in two ways")

"""The tree of a message as the standard library reads it: its entities, with the paths that all of filterd uses.

The library takes 40 ms for a megabyte, all of it for lines of base64 that mean nothing to the structure. So a long
run of such lines is handed to it as one line, and put back into the body that comes out.
"""

import re
import secrets
from collections.abc import Iterator
from email.message import Message
from email.parser import FeedParser
from typing import Final

from msgspec import Struct

from .charsets import is_exotic
from .harvest import Budget, LimitReachedError
from .mime_fields import bytes_of, parameters, unfolded, without_comments
from .names import names_of
from .transfer import Decoded, decode, encodings

# Lines that hold letters of base64 only, or nothing, are no delimiter or field; 40 of them are worth the trouble.
_RUN: Final = re.compile(rb"(?:[A-Za-z0-9+/]{40,100}+\r\n){40,}+|(?:\r\n){40,}+")
_MAX_TYPE: Final = 8 * 1024  # characters of a Content-Type field; an honest one has 200
_MAX_REPEATED: Final = 20  # fields of one name that are read; more than one is a finding already
_CHUNK: Final = 256 * 1024
_TYPE: Final = re.compile(r"[ \t]*([!-'*-.0-9A-Z^-z|~]+)/([!-'*-.0-9A-Z^-z|~]+)[ \t]*(?:;|\Z)", re.IGNORECASE)
_NO_CHARSET: Final = re.compile(r"\([^()]*\)|[^A-Za-z0-9_.:+-]")
_HIDDEN: Final = re.compile(r"content-transfer-encoding\s*[:=]\s*[\"']?([a-z0-9-]{3,30})", re.IGNORECASE)
_COPIES: Final = ("dkim-", "arc-", "x-google-dkim-")  # their lists of fields are no fields


class Entity(Struct, kw_only=True):
    """One MIME entity. ``body`` is raw (encoded) for a leaf and b"" for what holds others.

    ``shape``: "leaf", "multipart" (of ``children`` entities) or "message". ``nested`` counts the messages around
    it, ``level`` all entities. ``fields`` are lower-case names and raw values, 8-bit characters as surrogates.
    """

    path: str
    fields: tuple[tuple[str, str], ...]
    claimed: str
    shape: str
    nested: int
    level: int
    body: bytes = b""
    preamble: bytes = b""
    epilogue: bytes = b""
    defects: tuple[str, ...] = ()
    boundary: str | None = None
    parent: str = ""
    _decoded: Decoded | None = None
    _encodings: tuple[str, ...] | None = None

    def values(self, name: str) -> list[str]:
        """Return the raw values of all fields of that lower-case name."""
        return [value for known, value in self.fields if known == name]

    @property
    def encodings(self) -> tuple[str, ...]:
        """Return all encodings that its fields name."""
        if self._encodings is None:
            values = [*self.values("content-transfer-encoding")[:_MAX_REPEATED], *self._hidden_encodings()]
            self._encodings = encodings([bytes_of(value).decode("latin-1") for value in values])
        return self._encodings

    def _hidden_encodings(self) -> Iterator[str]:
        """Yield the encodings of fields that stand within other fields, for readers that end lines elsewhere."""
        for name, value in self.fields:
            if "ransfer-" in value and not name.startswith(_COPIES) and len(value) <= _MAX_TYPE:
                for found in _HIDDEN.finditer(value):
                    if encodings([found[1]])[0] not in {"", "plain"}:
                        yield found[1]

    @property
    def decoded(self) -> Decoded:
        """Return what its body decodes to; worked out once."""
        if self._decoded is None:
            self._decoded = decode(self.body, self.encodings)
        return self._decoded

    @property
    def names(self) -> tuple[str, ...]:
        """Return all readings of its file name."""
        dispositions, types = self.values("content-disposition"), self.values("content-type")
        return names_of(
            dispositions[:_MAX_REPEATED], types[:_MAX_REPEATED], self.values("content-description")
        )

    @property
    def disposition(self) -> str:
        """Return "attachment", "inline" or another word in lower case, or ""."""
        values = self.values("content-disposition")
        return unfolded(values[0]).partition(";")[0].strip().lower()[:40] if values else ""

    @property
    def charset(self) -> str:
        """Return the charset that its type names, or ""."""
        given: list[str] = []
        for value in self.values("content-type")[:_MAX_REPEATED]:
            if "charset" in value[:_MAX_TYPE].lower():
                given += [one.value for one in parameters(value[:_MAX_TYPE]) if one.name == "charset"]
        names = [_NO_CHARSET.sub("", name)[:40].lower() for name in given]
        return next((name for name in names if is_exotic(name)), names[0] if names else "")


class _Counting(Message):
    """A message of the library that stops it where a bound is met: depth, number of entities, time."""

    budget: Budget
    level = 0

    def attach(self, payload: Message) -> None:  # type: ignore[override]  # typeshed has a type variable here
        """Take a child in: the library calls this as soon as the child begins."""
        if isinstance(payload, _Counting):
            payload.level = self.level + 1
            payload.budget = self.budget
            # Multiparts and messages within each other; the library itself recurses, and ends at about 300.
            self.budget.take_depth((payload.level + 1) // 2)
            self.budget.take_part()
        super().attach(payload)

    def get_boundary(self, failobj: str | None = None) -> str | None:  # type: ignore[override]  # as above
        """Return the boundary, or None where reading it would be costly or fails.

        The library's reading of parameters is quadratic, and raises on numbers of 5000 digits.
        """
        value = str(self.get("content-type", ""))
        if len(value) > _MAX_TYPE:
            return failobj
        try:
            # The library takes a comment for a part of the value.
            plain = without_comments(value)
            if plain != value:
                bare = Message()
                bare["Content-Type"] = unfolded(plain)
                return bare.get_boundary(failobj)
            return super().get_boundary(failobj)
        except (ValueError, LookupError, TypeError, AttributeError):
            return failobj


def read_tree(raw: bytes, root: str, nested: int, budget: Budget) -> list[Entity]:
    """Return the entities of a message, depth first, the root (path ``root``) being the first.

    Raises LimitReachedError: "limit.depth", "limit.parts", "limit.time". Source: email.feedparser, compat32.
    """
    skeleton, mark, runs = _without_runs(raw)
    budget.take_part()

    def make(**_: object) -> _Counting:
        message = _Counting()
        message.budget = budget
        return message

    parser = FeedParser(make)
    text = skeleton.decode("ascii", "surrogateescape")
    try:
        for at in range(0, len(text), _CHUNK):
            parser.feed(text[at : at + _CHUNK])
            budget.take_time()
        message = parser.close()
    except RecursionError as error:
        raise LimitReachedError("limit.depth", "MIME entities nested too deep") from error
    entities: list[Entity] = []
    _collect(message, _Place(path=root, nested=nested, level=0, parent=""), entities, _Restorer(mark, runs))
    return entities


class _Place(Struct, frozen=True, kw_only=True):
    """Where an entity stands in the tree: fields as in Entity."""

    path: str
    nested: int
    level: int
    parent: str


class _Restorer:
    """Puts the runs of base64 lines back into a body."""

    def __init__(self, mark: bytes, runs: list[bytes]) -> None:
        self._mark = mark
        self._runs = runs
        self._pattern = re.compile(re.escape(mark) + rb"(\d{9})")

    def bytes_of(self, payload: object) -> bytes:
        if not isinstance(payload, str):
            return b""
        body = payload.encode("ascii", "surrogateescape") if payload else b""
        if not self._runs or self._mark not in body:
            return body
        return self._pattern.sub(lambda found: self._runs[int(found[1])], body)


def _without_runs(raw: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Return the message with each long run of base64 lines behind an empty line as one line, and the runs."""
    mark = b"run" + secrets.token_hex(16).encode()
    runs: list[bytes] = []
    pieces: list[bytes] = []
    at = done = 0
    while (at := raw.find(b"\r\n\r\n", at)) >= 0:
        at += 4
        if found := _RUN.match(raw, at):
            # The last line's end may belong to the delimiter behind it.
            pieces += (raw[done:at], mark, b"%09d" % len(runs))
            done = at = found.end() - 2
            runs.append(found[0][:-2])
        else:
            at -= 2
    pieces.append(raw[done:])
    return (b"".join(pieces) if runs else raw), mark, runs


def _collect(message: Message, place: _Place, entities: list[Entity], restorer: _Restorer) -> None:
    fields = tuple((name.lower(), str(value)) for name, value in message.raw_items())
    claimed = message.get_content_type()
    # get_payload() would decode 8-bit text by its charset, and lose bytes.
    raw_payload = vars(message)["_payload"]
    children = raw_payload if isinstance(raw_payload, list) else []
    shape = "leaf"
    if children:
        shape = "multipart" if message.get_content_maintype() == "multipart" else "message"
    boundary = message.get_boundary() if claimed.startswith("multipart/") else None
    entities.append(
        Entity(
            path=place.path,
            fields=fields,
            claimed=claimed,
            shape=shape,
            nested=place.nested,
            level=place.level,
            body=b"" if children else restorer.bytes_of(raw_payload),
            preamble=restorer.bytes_of(message.preamble),
            epilogue=restorer.bytes_of(message.epilogue),
            defects=tuple(type(defect).__name__ for defect in message.defects),
            boundary=boundary,
            parent=place.parent,
        )
    )
    inner = place.nested + (shape == "message")
    for number, child in enumerate(children, 1):
        path = f"{place.path}.{number}"
        below = _Place(path=path, nested=inner, level=place.level + 1, parent=place.path)
        _collect(child, below, entities, restorer)


def is_typed(value: str) -> bool:
    """Return whether a Content-Type begins with type, slash, subtype, as RFC 2045 5.1 wants it."""
    return _TYPE.match(unfolded(value)) is not None

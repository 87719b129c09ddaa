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
from .transfer import ALPHABET, Decoded, decode, encodings, equal_lines

# Lines that hold letters of base64 only, or nothing, are no delimiter or field; 40 of them are worth the trouble.
_RUN: Final = re.compile(rb"(?:[A-Za-z0-9+/]{40,100}+\r\n){40,}+|(?:\r\n){40,}+")
# What the library takes for a field or its rest, in a header; and what is no text at all.
_FIELD_LIKE: Final = re.compile(rb"From |[!-9;-~]*+:|[ \t\r\n]|--")
_DASHES: Final = re.compile(rb"--(?<=[\r\n]--)")
_LEAST_TEXT: Final = 1024
_LEAST_LINES: Final = 40
_NARROWEST: Final = 40
_FIRST_OF_RUN: Final = re.compile(rb"[A-Za-z0-9+/]{40,100}+\r\n|\r\n")
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
    _names: tuple[str, ...] | None = None
    _charset: str | None = None

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
        if self._names is None:
            dispositions, types = self.values("content-disposition"), self.values("content-type")
            descriptions = self.values("content-description")
            self._names = names_of(dispositions[:_MAX_REPEATED], types[:_MAX_REPEATED], descriptions)
        return self._names

    @property
    def disposition(self) -> str:
        """Return "attachment", "inline" or another word in lower case, or ""."""
        values = self.values("content-disposition")
        return unfolded(values[0]).partition(";")[0].strip().lower()[:40] if values else ""

    @property
    def charset(self) -> str:
        """Return the charset that its type names, or ""."""
        if self._charset is None:
            self._charset = self._named_charset()
        return self._charset

    def _named_charset(self) -> str:
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


class Skeleton(Struct, frozen=True, kw_only=True):
    """A message whose long runs of base64 lines are one line each: ``mark`` and nine digits, their number in ``runs``.

    What these lines cannot hold (NULs, dashes, bare or far line ends, fields) stands in it as in the message.
    """

    data: bytes
    mark: bytes
    runs: list[bytes]

    def bytes_of(self, payload: object) -> bytes:
        """Return a body of the library's as it stands in the message."""
        if not isinstance(payload, str) or not payload:
            return b""
        return self.bytes_of_raw(payload.encode("ascii", "surrogateescape"))

    def bytes_of_raw(self, body: bytes) -> bytes:
        """Return a piece of ``data`` as it stands in the message."""
        if not self.runs or self.mark not in body:
            return body
        first, *others = body.split(self.mark)
        pieces = [first]
        for other in others:
            pieces += (self.runs[int(other[:9])], other[9:])
        return b"".join(pieces)


def read_tree(skeleton: Skeleton, root: str, nested: int, budget: Budget) -> list[Entity]:
    """Return the entities of a message, depth first, the root (path ``root``) being the first.

    Raises LimitReachedError: "limit.depth", "limit.parts", "limit.time". Source: email.feedparser, compat32.
    """
    budget.take_part()

    def make(**_: object) -> _Counting:
        message = _Counting()
        message.budget = budget
        return message

    parser = FeedParser(make)
    skeleton = _without_texts(skeleton)
    text = skeleton.data.decode("ascii", "surrogateescape")
    try:
        for at in range(0, len(text), _CHUNK):
            parser.feed(text[at : at + _CHUNK])
            budget.take_time()
        message = parser.close()
    except RecursionError as error:
        raise LimitReachedError("limit.depth", "MIME entities nested too deep") from error
    entities: list[Entity] = []
    _collect(message, _Place(path=root, nested=nested, level=0, parent=""), entities, skeleton)
    return entities


class _Place(Struct, frozen=True, kw_only=True):
    """Where an entity stands in the tree: fields as in Entity."""

    path: str
    nested: int
    level: int
    parent: str


def skeleton_of(raw: bytes) -> Skeleton:
    """Return the message with each long run of base64 lines behind an empty line as one line, and the runs."""
    mark = b""
    runs: list[bytes] = []
    pieces: list[bytes] = []
    at = done = 0
    while (at := raw.find(b"\r\n\r\n", at)) >= 0:
        at += 4
        if end := _end_of_run(raw, at):
            mark = mark or _new_mark()
            # The last line's end may belong to the delimiter behind it.
            pieces += (raw[done:at], mark, b"%09d" % len(runs))
            runs.append(raw[at : end - 2])
            done = at = end - 2
        else:
            at -= 2
    pieces.append(raw[done:])
    return Skeleton(data=b"".join(pieces) if runs else raw, mark=mark, runs=runs)


def _without_texts(skeleton: Skeleton) -> Skeleton:
    """Return it with long stretches of text as one line each as well, for the library alone.

    A stretch begins behind an empty line with a line that is no field, so that the library is or now comes to be
    in a body; it ends where a line begins with dashes, as only such a line means something there.
    """
    data = skeleton.data
    if len(data) < _LEAST_TEXT:
        return skeleton
    mark, runs = skeleton.mark or _new_mark(), list(skeleton.runs)
    pieces: list[bytes] = []
    at = done = end = stop = 0
    while (at := data.find(b"\r\n\r\n", at)) >= 0:
        at += 4
        if at > end:
            dashes = _DASHES.search(data, at)
            end = dashes.start() if dashes else len(data)
            stop = end - 2 if data.startswith(b"\r\n", end - 2) else at
        if stop - at >= _LEAST_TEXT and not _FIELD_LIKE.match(data, at):
            pieces += (data[done:at], mark, b"%09d" % len(runs))
            runs.append(skeleton.bytes_of_raw(data[at:stop]))
            done = at = stop
        else:
            at -= 2
    # There, blank lines within a text part blocks of fields from each other (RFC 3464 2.1).
    if not pieces or b"delivery-status" in data.lower():
        return skeleton
    return Skeleton(data=b"".join((*pieces, data[done:])), mark=mark, runs=runs)


def _new_mark() -> bytes:
    return b"run" + secrets.token_hex(16).encode()


def _end_of_run(raw: bytes, at: int) -> int:
    """Return where a run of base64 lines ends that begins at ``at``, or 0."""
    if not _FIRST_OF_RUN.match(raw, at):
        return 0
    width, count = equal_lines(raw, at)
    # The last line may hold padding, or have a delimiter in it and be as long as the others by chance.
    for lines in (count, count - 1):
        end = at + lines * (width + 2)
        if lines < _LEAST_LINES or width < _NARROWEST:
            break
        if raw[at:end].translate(None, ALPHABET) == b"\r\n" * lines:
            return end
    found = _RUN.match(raw, at)
    return found.end() if found else 0


def _collect(message: Message, place: _Place, entities: list[Entity], skeleton: Skeleton) -> None:
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
            body=b"" if children else skeleton.bytes_of(raw_payload),
            preamble=skeleton.bytes_of(message.preamble),
            epilogue=skeleton.bytes_of(message.epilogue),
            defects=tuple(type(defect).__name__ for defect in message.defects),
            boundary=boundary,
            parent=place.parent,
        )
    )
    inner = place.nested + (shape == "message")
    for number, child in enumerate(children, 1):
        path = f"{place.path}.{number}"
        below = _Place(path=path, nested=inner, level=place.level + 1, parent=place.path)
        _collect(child, below, entities, skeleton)


def is_typed(value: str) -> bool:
    """Return whether a Content-Type begins with type, slash, subtype, as RFC 2045 5.1 wants it."""
    return _TYPE.match(unfolded(value)) is not None

"""What filterd itself writes into the header of delivered mail: marks, and the tag before the subject."""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from filterd.anatomy import HeaderEdit
from filterd.milter.replies import AddHeader, ChangeHeader, InsertHeader, Reply

# All fields of ours begin like this; one that came with a message is forged.
OWN: Final = b"x-bastide-"
VERDICT: Final = "X-Bastide-Verdict"
TAG: Final = "X-Bastide-Tag"
_EMPTY_FOLD: Final = re.compile(rb"\n[ \t]*(?=\n|\Z)")
_MAX_FORGED: Final = 1000  # more are bounded by the size of all headers anyway
# RFC 6376 3.5, RFC 8617 4.1.2
_SIGN: Final = frozenset({b"dkim-signature", b"arc-message-signature"})
# As many as [milter] max_all_headers_bytes has room for by default; a message with more is not delivered.
_MOST_FIELDS: Final = 65_536
_LONGEST_NAME: Final = 100  # nobody reads a field of ours under a longer name
_LONGEST_ID: Final = 1000  # RFC 5322 2.1.1: no line is longer
_LONGEST_SUBJECT: Final = 50_000  # a milter's reply has room for little more


class Heading(Struct, kw_only=True):
    """What of a message's header matters here, noted as the MTA hands it over.

    ``forged`` are the names of fields that look like ours, in order; ``subject`` and ``message_id`` are the values of
    the first fields of these names; ``names`` are those of all fields in lower case, ``traces`` and ``signatures`` the
    values of Received fields and of those that sign others.
    """

    forged: list[bytes] = []
    names: list[bytes] = []
    traces: list[bytes] = []
    signatures: list[bytes] = []
    subject: bytes | None = None
    message_id: bytes | None = None

    def note(self, name: bytes, value: bytes) -> None:
        """Take one field, as SMFIC_HEADER gives it."""
        lower = name.lower()
        if len(self.names) < _MOST_FIELDS:
            self.names.append(lower[:_LONGEST_NAME])
            if lower == b"received":
                self.traces.append(value)
            elif lower in _SIGN:
                self.signatures.append(value)
        if lower.startswith(OWN):
            if len(lower) <= _LONGEST_NAME and len(self.forged) < _MAX_FORGED:
                self.forged.append(lower)
        elif lower == b"subject" and self.subject is None:
            self.subject = value
        elif lower == b"message-id" and self.message_id is None:
            self.message_id = value.strip()[:_LONGEST_ID]


class Marks(Struct, frozen=True, kw_only=True):
    """What is written: the class ("" for none), values of X-Bastide-Tag, what stands before the subject.

    ``hidden`` are fields that are taken out.
    """

    verdict: str = ""
    tags: tuple[str, ...] = ()
    subject: str = ""
    hidden: tuple[HeaderEdit, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is anything to write."""
        return bool(self.written or self.hidden)

    @property
    def written(self) -> bool:
        """Return whether anything is added."""
        return bool(self.verdict or self.tags or self.subject)


def edits(marks: Marks, heading: Heading) -> tuple[HeaderEdit, ...]:
    """Return the edits: forged fields away, the last first, then ours. New fields have index 0."""
    if not marks.written:
        return marks.hidden
    made = [
        HeaderEdit(name=name.decode("latin-1"), index=index, value=None)
        for name, index in reversed(list(_numbered(heading.forged)))
    ]
    if marks.verdict:
        made.append(_field(VERDICT, marks.verdict))
    made += [_field(TAG, tag) for tag in marks.tags]
    if marks.subject and _may_be_tagged(marks.subject, heading.subject or b""):
        value = tagged(marks.subject, heading.subject)
        made.append(HeaderEdit(name="Subject", index=0 if heading.subject is None else 1, value=value))
    return (*marks.hidden, *made)


def _may_be_tagged(tag: str, subject: bytes) -> bool:
    """Return whether a Subject lacks the tag, and has room for it."""
    tagged_already = subject.lstrip(b" \t\r\n").startswith(tag.strip().encode("ascii"))
    return not tagged_already and len(subject) <= _LONGEST_SUBJECT


def _numbered(names: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """Return each name with its number among those of the same name, from 1."""
    seen: dict[bytes, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        numbered.append((name, seen[name]))
    return numbered


def _field(name: str, value: str) -> HeaderEdit:
    return HeaderEdit(name=name, index=0, value=b" " + value.encode("ascii", "replace"))


def tagged(tag: str, subject: bytes | None) -> bytes:
    """Return a Subject with ``tag`` (printable ASCII) before it; encoded words (RFC 2047) stay as they are."""
    mark = tag.encode("ascii")
    # Lines of a fold without words may be taken for the end of the header; so may a lone CR.
    rest = _EMPTY_FOLD.sub(b"", (subject or b"").replace(b"\r", b"")).lstrip(b" \t")
    if rest.startswith(b"\n"):
        # Folded behind the colon: the tag takes the first line.
        return b" " + mark.rstrip(b" ") + rest
    if rest.startswith(b"=?") and not mark.endswith(b" "):
        # RFC 2047 5: a blank parts an encoded word from other text.
        mark += b" "
    return b" " + mark + rest if rest else b" " + mark.rstrip(b" ")


def as_replies(changes: Sequence[HeaderEdit]) -> tuple[Reply, ...]:
    """Return edits as milter replies. Own fields go to the top, above what signatures cover; others to the end."""
    replies: list[Reply] = []
    for change in changes:
        name = change.name.encode("ascii")
        if change.value is None:
            replies.append(ChangeHeader(change.index, name))
        elif change.index:
            replies.append(ChangeHeader(change.index, name, change.value))
        elif name.lower().startswith(OWN):
            replies.append(InsertHeader(0, name, change.value))
        else:
            replies.append(AddHeader(name, change.value))
    return tuple(replies)

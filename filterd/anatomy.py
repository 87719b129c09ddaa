"""What a parse worker makes of a message, and what it is asked to make of it: the data that cross the border.

Paths: the root entity is "1", the children of entity P are "P.1", "P.2", …; the message inside a message/rfc822
entity P is "P.1". What a part holds inside (an archive's member, a decoded uuencode block) appends "!N".
"""

from typing import Literal

from msgspec import Struct

from .findings import Finding


class Leaf(Struct, frozen=True, kw_only=True):
    """One decoded content: a MIME part, or something inside one. ``size`` in bytes, decoded.

    ``claimed`` is the declared content type in lower case, ``kind`` what the bytes are (filterd/parse/kinds.py).
    ``via`` says how it was found: "mime", or the container ("zip", "uuencode", "html" …). ``names`` are all
    readings of its file name, the one shown first.
    """

    path: str
    names: tuple[str, ...] = ()
    claimed: str = ""
    kind: str = "unknown"
    size: int = 0
    digest: str = ""
    via: str = "mime"
    disposition: str = ""

    @property
    def part(self) -> str:
        """Return the path of the MIME part that carries it."""
        return self.path.partition("!")[0]

    @property
    def name(self) -> str:
        """Return its file name as shown, or ""."""
        return self.names[0] if self.names else ""


class Anatomy(Struct, frozen=True, kw_only=True):
    """What a message consists of. ``texts`` are (part, decoded text) of bodies, bounded, for the stages.

    ``links`` are (path, shown text, target) of what leads elsewhere in HTML, bounded in number and length.
    ``headers`` are the top entity's fields in order: lower-case name, decoded value. ``author`` is the one address
    of the one From, in lower case, if it stands there plainly, else "". ``protected`` says why the
    content must not be altered: "signed", "encrypted", "calendar" or "". ``contents`` numbers the leaves whose
    bytes come beside this record, in the order in which they come.
    """

    findings: tuple[Finding, ...] = ()
    leaves: tuple[Leaf, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str, str], ...] = ()
    author: str = ""
    protected: str = ""
    contents: tuple[int, ...] = ()

    def header(self, name: str) -> str:
        """Return the first field of that name, decoded, or ""."""
        return next((value for known, value in self.headers if known == name.lower()), "")


# remove: the part goes. warn: a text of exactly the part's decoded size stands in its place. notice: a short text
# does. rename: the file name becomes harmless. disarm: HTML is sanitised, macros are taken out.
EditAction = Literal["remove", "warn", "notice", "rename", "disarm"]


class Edit(Struct, frozen=True, kw_only=True):
    """One change to one MIME part. ``text`` is what a warn.txt or notice says."""

    part: str
    action: EditAction
    text: str = ""


class HtmlTreatment(Struct, frozen=True, kw_only=True):
    """What ``disarm`` does to each kind of active content: leave it, make it harmless but visible, or drop it."""

    scripts: Literal["allow", "disarm", "strip"] = "strip"
    forms: Literal["allow", "disarm", "strip"] = "disarm"
    iframes: Literal["allow", "disarm", "strip"] = "strip"
    objects: Literal["allow", "disarm", "strip"] = "strip"
    webbugs: Literal["allow", "disarm", "strip"] = "disarm"


class RewriteOrder(Struct, frozen=True, kw_only=True):
    """All changes that one variant of a message gets. ``stamp`` is appended to its text bodies."""

    edits: tuple[Edit, ...] = ()
    html: HtmlTreatment = HtmlTreatment()
    stamp: str = ""


class HeaderEdit(Struct, frozen=True, kw_only=True):
    """One change of the top entity's header, in the milter's words: the ``index``-th (from 1) field of that name.

    ``value`` None deletes it; index 0 adds one at the end of the header. Values are as they stand behind the
    colon, the leading blank included, folds as LF.
    """

    name: str
    index: int
    value: bytes | None


class Rewritten(Struct, frozen=True, kw_only=True):
    """The result of a RewriteOrder: ``failed`` numbers the edits that could not be done (nothing else was then).

    The whole new message, CRLF, comes beside this record; ``body_offset`` is where its body starts.
    """

    failed: tuple[int, ...] = ()
    headers: tuple[HeaderEdit, ...] = ()
    body_offset: int = 0
    stamped: bool = False

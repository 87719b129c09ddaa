"""Appends a text to the bodies of a message, in their own charset and encoding (R05)."""

import codecs
import html
import re
from collections.abc import Iterator, Mapping
from typing import Final

from filterd.fields import Change

from .outline import Entity
from .parts import Outcome
from .transfer import as_base64, as_quoted, decoded

# What a signature covers, or a calendar reads, must stay as it is.
_PROTECTED: Final = frozenset(
    {
        "multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime",
        "application/pgp-encrypted", "application/pgp-signature", "application/pkcs7-signature",
        "application/x-pkcs7-signature", "text/calendar",
    }
)  # fmt: skip
_INLINE_PGP: Final = re.compile(rb"^-----BEGIN PGP (?:SIGNED )?MESSAGE-----", re.MULTILINE)
_END: Final = re.compile(rb"</body\s*>|</html\s*>", re.IGNORECASE)
_EIGHT_BITS: Final = re.compile(rb"[\x80-\xff]")
_ASCII: Final = ("", "us-ascii", "ascii", "ansi_x3.4-1968")


def protected(raw: bytes, entities: Mapping[str, Entity]) -> bool:
    """Return whether the message is signed, encrypted or a calendar's, and must not be stamped."""
    return any(
        one.type in _PROTECTED
        or (one.message.get_content_maintype() == "text" and bool(_INLINE_PGP.search(raw, one.body, one.end)))
        for one in entities.values()
    )


def bodies(root: Entity) -> Iterator[Entity]:
    """Return the text parts that a reader sees as the message itself."""
    if root.type in {"text/plain", "text/html"}:
        if root.message.get_content_disposition() != "attachment" and not root.message.get_filename():
            yield root
    elif root.type == "multipart/alternative":
        for child in root.children:
            yield from bodies(child)
    elif root.message.get_content_maintype() == "multipart" and root.children:
        # RFC 2387 3.2, and by custom in multipart/mixed: the first one.
        yield from bodies(root.children[0])


def stamped(content: bytes, one: Entity, text: str) -> Outcome | None:
    """Return a body with ``text`` behind it, or None where its charset or encoding does not allow that.

    ``content`` is the body as it is encoded now.
    """
    charset = str(one.message.get_content_charset("") or "")
    words = _html(text) if one.type == "text/html" else _plain(text, content)
    changes: tuple[Change, ...] = ()
    addition = _in_charset(words, charset)
    if addition is None and one.type == "text/html":
        addition = _in_charset(words.encode("ascii", "xmlcharrefreplace").decode("ascii"), charset)
    if addition is None:
        recoded = _to_utf8(decoded(content, one.encoding), charset)
        if recoded is None:
            return None
        joined = recoded + words.encode("utf-8")
        kind = b" text/plain; charset=utf-8"
        return Outcome(
            changes=(
                Change(name="Content-Type", value=kind),
                Change(name="Content-Transfer-Encoding", value=b" quoted-printable"),
            ),
            content=as_quoted(joined.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")),
        )
    body, encoding = _joined(content, one, addition)
    if encoding != one.encoding:
        changes = (Change(name="Content-Transfer-Encoding", value=b" " + encoding.encode("ascii")),)
    return Outcome(changes=changes, content=body)


def _plain(text: str, content: bytes) -> str:
    """Return the text as a paragraph of its own; the last line end of a part belongs to the boundary behind it."""
    gap = "\r\n" if content.endswith(b"\n") else "\r\n\r\n"
    return gap + "\r\n".join(text.splitlines()) + "\r\n"


def _html(text: str) -> str:
    lines = "<br>\r\n".join(html.escape(line) for line in text.splitlines())
    return f"<div>{lines}</div>\r\n"


def _in_charset(words: str, charset: str) -> bytes | None:
    try:
        if charset in _ASCII:
            return words.encode("ascii")
        # The byte order is the body's; a mark in the middle of it would be a character.
        name = codecs.lookup(charset).name
        return words.encode({"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(name, name))
    except (LookupError, UnicodeError):
        return None


def _to_utf8(content: bytes, charset: str) -> bytes | None:
    try:
        return content.decode("ascii" if charset in _ASCII else charset).encode("utf-8")
    except (LookupError, UnicodeError):
        return None


def _joined(content: bytes, one: Entity, addition: bytes) -> tuple[bytes, str]:
    """Return the encoded body with the addition in it, and its encoding."""
    encoding = one.encoding
    if encoding == "base64":
        return as_base64(_placed(decoded(content, encoding), one, addition)), encoding
    if encoding == "quoted-printable":
        # A soft line break at the end would glue the addition to the last line.
        return _placed(content.removesuffix(b"="), one, as_quoted(addition)), encoding
    if _EIGHT_BITS.search(addition) and encoding not in {"8bit", "binary"}:
        return as_quoted(_placed(content, one, addition)), "quoted-printable"
    return _placed(content, one, addition), encoding


def _placed(content: bytes, one: Entity, addition: bytes) -> bytes:
    """Put the addition at the end; in HTML before its body ends, as some readers drop what comes behind."""
    if one.type == "text/html":
        marks = list(_END.finditer(content))
        bodies_end = [mark for mark in marks if mark[0][:6].lower() == b"</body"] or marks
        if bodies_end:
            at = bodies_end[-1].start()
            return content[:at] + addition + content[at:]
    return content + addition

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
    written = _with_order(charset, decoded(content, one.encoding))
    addition = _in_charset(words, written)
    if addition is None and one.type == "text/html":
        addition = _in_charset(words.encode("ascii", "xmlcharrefreplace").decode("ascii"), written)
    if addition is None:
        recoded = _to_utf8(decoded(content, one.encoding), charset)
        if recoded is None:
            return None
        joined = recoded + words.encode("utf-8")
        kind = b" text/plain; charset=utf-8" + _flow(one)
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


def _flow(one: Entity) -> bytes:
    """Return the parameters that say how lines are joined (RFC 3676 4), as the part has them."""
    values = (str(one.message.get_param(name, "")).lower() for name in ("format", "delsp"))
    flowed, glued = (value == wanted for value, wanted in zip(values, ("flowed", "yes"), strict=True))
    return (b"; format=flowed" + b"; delsp=yes" * glued) if flowed else b""


def _with_order(charset: str, content: bytes) -> str:
    """Return a charset with its byte order: the body's, as a mark in the middle of it would be a character."""
    try:
        name = codecs.lookup(charset).name
    except (LookupError, UnicodeError, ValueError):
        return charset
    marks = {"utf-16": codecs.BOM_UTF16_BE, "utf-32": codecs.BOM_UTF32_BE}
    return charset if name not in marks else f"{name}-{'be' if content.startswith(marks[name]) else 'le'}"


def _in_charset(words: str, charset: str) -> bytes | None:
    try:
        return words.encode("ascii" if charset in _ASCII else charset)
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

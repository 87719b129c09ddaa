"""The second parser, and how it differs from the first: fast_mail_parser against the standard library's tree."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import fast_mail_parser

from .harvest import Content, Harvest
from .mime_chunks import Found
from .mime_tree import Entity

# The second parser refuses more (its own bound); the first one's reading and the scavenger remain.
_MOST: Final = 100 * 1024 * 1024
# It is quadratic in the encoded words of a header: 100,000 take a second, 500,000 take 25, and nothing stops it.
_MAX_WORDS: Final = 20_000


def second_reading(
    mail: Content, entities: list[Entity], harvest: Harvest, *, strict: bool
) -> Iterator[Found]:
    """Yield the leaves that only the second parser sees; note where the two do not agree, if it is to be ``strict``.

    They agree when both see the same non-text leaves, line ends at the end and within text aside.
    """
    if len(mail.data) > _MOST:
        return
    if mail.data.count(b"=?") > _MAX_WORDS:
        if strict:
            harvest.note("integrity.unreadable", mail, "too many encoded words")
        return
    try:
        leaves = list(_leaves(mail.data))
    except (fast_mail_parser.ParseError, ValueError) as error:
        if strict:
            harvest.note("integrity.unreadable", mail, str(error))
        return
    if not entities:
        return
    theirs = Counter(_same(content) for _, _, content in leaves)
    ours = Counter(_same(entity.decoded.first) for entity in entities if entity.shape == "leaf")
    # Leaves without content say nothing.
    theirs.pop(b"", None)
    ours.pop(b"", None)
    if strict and set(theirs) != set(ours):
        harvest.note(
            "integrity.parsers-disagree", mail, f"{sum(ours.values())} and {sum(theirs.values())} leaves"
        )
    for kind, name, content in leaves:
        if _same(content) not in ours:
            yield Found(start=0, data=content, via="mime", names=(name,) if name else (), claimed=kind)


def _leaves(raw: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Yield (type, name, content) of the leaves that it sees; a body that it cannot decode is b""."""
    for part in fast_mail_parser.walk(fast_mail_parser.parse_email_tree(raw, mode="lazy")):
        if part.children:
            continue
        try:
            content = part.content or b""
        except fast_mail_parser.DecodeError:
            content = b""
        yield part.content_type.lower(), part.filename, content


def _same(content: bytes) -> bytes:
    """Return the content without what differs for reasons of line ends only."""
    return content.replace(b"\r\n", b"\n").strip(b"\r\n \t")

"""The second parser, and how it differs from the first: fast_mail_parser against the standard library's tree."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeAlias

import fast_mail_parser

from .harvest import Content, Harvest, LimitReachedError
from .mime_chunks import Found
from .mime_tree import Entity

# What the second parser says of a leaf: its type in lower case, its name, its content.
_Leaf: TypeAlias = tuple[str, str, bytes]
# The second parser refuses more (its own bound); the first one's reading and the scavenger remain.
_MOST: Final = 100 * 1024 * 1024
# It is quadratic in the encoded words of a header: 100,000 take a second, 500,000 take 25, and nothing stops it.
_MAX_WORDS: Final = 20_000
# It calls itself for each level, some 250 bytes of stack a time, and counts them afterwards: 30,000 end the process,
# and 100,000 messages within each other take 2 s. Each level needs a field that says multipart or message.
_MAX_NESTING: Final = 5000
# Fields for programs (RFC 3464 2.1, 8098 3, 5965 2): the library takes what it finds in them for messages, the second parser
# for the one leaf that they are.
_OF_FIELDS: Final = frozenset(
    f"message/{kind}"
    for kind in (
        "delivery-status",
        "global-delivery-status",
        "disposition-notification",
        "global-disposition-notification",
        "feedback-report",
        "tracking-status",
    )
)
# A dash first, as base64 has none.
_NESTING: Final = re.compile(
    rb"-(?<=content-)type[^\r\n:]*+:[^A-Za-z=]*+(?:multipart/|message/|=\?)", re.IGNORECASE
)
_BOUNDARY: Final = re.compile(rb"=(?<=boundary=)", re.IGNORECASE)
# It takes a comment behind a boundary (RFC 2045 5.1) for a part of it.
_COMMENTED: Final = re.compile(
    rb"""\b(boundary=(?:"[^"\r\n]{1,70}+"|[^"\s;()]{1,70}+(?=\s)))(?:\r?\n(?=[ \t]))?[ \t]*+"""
    rb"\((?:[^()\r\n]|\([^()\r\n]{0,200}+\)){0,200}+\)(?=[ \t]*+(?:;|\r?\n))",
    re.IGNORECASE,
)


def second_reading(
    mail: Content, bones: bytes, entities: list[Entity], harvest: Harvest, *, strict: bool
) -> Iterator[Found]:
    """Yield the leaves that only the second parser sees; note where the two do not agree, if it is to be ``strict``.

    They agree when both see the same non-text leaves, line ends at the end and within text aside.
    ``bones``: the mail without its long base64 (mime_tree.Skeleton).
    """
    if len(mail.data) > _MOST or _is_too_much(mail, bones, harvest, strict=strict):
        return
    try:
        leaves = list(_leaves(mail.data, bones))
    except (fast_mail_parser.ParseError, ValueError) as error:
        if strict:
            harvest.note("integrity.unreadable", mail, str(error))
        return
    firsts = [entity.decoded.first for entity in entities if entity.shape == "leaf"]
    # What is equal as it stands need not be copied and made alike.
    seconds = [content for _, _, content in leaves]
    if not entities or firsts == seconds or set(firsts) == set(seconds):
        return
    if strict:
        _compare(leaves, entities, mail, harvest)
    ours = {_same(content) for content in firsts}
    for kind, name, content in leaves:
        if _same(content) not in ours:
            yield Found(start=0, data=content, via="mime", names=(name,) if name else (), claimed=kind)


def _compare(leaves: list[_Leaf], entities: list[Entity], mail: Content, harvest: Harvest) -> None:
    """Note if the second parser's leaves are not ours; those without content say nothing, nor do fields for programs."""
    within = tuple(f"{one.path}." for one in entities if one.claimed in _OF_FIELDS)
    if sum(kind in _OF_FIELDS for kind, _, _ in leaves) == len(within):
        leaves = [leaf for leaf in leaves if leaf[0] not in _OF_FIELDS]
        entities = [one for one in entities if not f"{one.path}.".startswith(within)]
    theirs = list(filter(None, (_same(content) for _, _, content in leaves)))
    ours = list(filter(None, (_same(one.decoded.first) for one in entities if one.shape == "leaf")))
    if set(theirs) != set(ours):
        harvest.note("integrity.parsers-disagree", mail, f"{len(ours)} and {len(theirs)} leaves")


def _is_too_much(mail: Content, bones: bytes, harvest: Harvest, *, strict: bool) -> bool:
    """Return whether the second parser would not come to its end, or end the process; that is noted."""
    if sum(1 for _ in islice(_NESTING.finditer(bones), _MAX_NESTING + 1)) > _MAX_NESTING:
        detail = f"more than {_MAX_NESTING} entities that hold others"
        harvest.note_limit(LimitReachedError("limit.parts", detail), mail)
        return True
    if bones.count(b"=?") > _MAX_WORDS:
        if strict:
            harvest.note("integrity.unreadable", mail, "too many encoded words")
        return True
    return False


def _leaves(raw: bytes, bones: bytes) -> Iterator[_Leaf]:
    """Yield the leaves that it sees; a body that it cannot decode is b""."""
    if _without_comments(bones) is not bones:
        raw = _without_comments(raw)
    for part in fast_mail_parser.walk(fast_mail_parser.parse_email_tree(raw, mode="lazy")):
        if part.children:
            continue
        try:
            content = part.content or b""
        except fast_mail_parser.DecodeError:
            content = b""
        yield part.content_type.lower(), part.filename, content


def _without_comments(raw: bytes) -> bytes:
    """Return the message without the comments behind its boundaries."""
    if b"(" not in raw:
        return raw
    pieces: list[bytes] = []
    done = 0
    for found in _BOUNDARY.finditer(raw):
        start = found.end() - len("boundary=")
        if start >= done and (commented := _COMMENTED.match(raw, start)):
            pieces += (raw[done:start], commented[1])
            done = commented.end()
    return b"".join((*pieces, raw[done:])) if pieces else raw


def _same(content: bytes) -> bytes:
    """Return the content without what differs for reasons of line ends only."""
    return content.replace(b"\r\n", b"\n").strip(b"\r\n \t")

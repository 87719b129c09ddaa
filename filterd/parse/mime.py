"""A whole message, and mail inside of mail: which contents it has, by every reading of its structure.

Three readings: the standard library's tree (its paths are the ones that all of filterd uses), a second parser, and
one that knows no boundaries but takes whatever stands between two lines of dashes. What they have in common is
ordinary mail and is offered once; whatever only one of them sees is offered too.
"""

import re
from collections.abc import Iterator
from typing import Final

from .charsets import text_of
from .harvest import Content, Harvest, LimitReachedError
from .html import visible_text
from .kinds import KINDS, extension_of, kind_of
from .mime_checks import check_entities, check_head, check_raw, note_encryption
from .mime_chunks import PASSAGE, bodies_of
from .mime_compare import second_reading
from .mime_fields import lenient_head, plain_author, readable
from .mime_flowed import as_shown, is_flowed, unflowed
from .mime_tree import Entity, Skeleton, read_tree, skeleton_of
from .protection import protection_of
from .scavenge import OPENED_AS_TEXT, Span, offered, scavenge

_MAX_FIELDS: Final = 2000  # beyond 1000 there is a finding; the rest is kept for the log
_LARGE: Final = 4096
_BEGINNING: Final = 64
_MAX_TRIES: Final = 8
_MBOX: Final = re.compile(rb"(?:^|(?<=\n))From [^\r\n]{1,300}\r?\n(?=[!-9;-~]{1,76}:)")


def open_message(raw: bytes, harvest: Harvest) -> Iterator[Content]:
    """Yield what the message holds; fill ``harvest.headers``, ``texts`` and ``protected`` before the first one.

    ``raw``: the whole message (RFC 5322). Where it has no CRLF at all its LFs are taken for line ends, as an MTA does.
    """
    if b"\r\n" not in raw:
        raw = raw.replace(b"\n", b"\r\n")
    whole = Content(data=raw, path="1", claimed="message/rfc822", depth=0)
    skeleton = skeleton_of(raw)
    check_raw(raw, skeleton.data, harvest)
    yield from _read(whole, skeleton, harvest, top=True)


def open_mail(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what a mail, an mbox file or an MHTML page holds (kinds "mail", "mbox", "mhtml")."""
    starts = [found.start() for found in _MBOX.finditer(content.data)] if content.kind == "mbox" else []
    ends = [*starts[1:], len(content.data)]
    pieces = (
        [content.data[start:end] for start, end in zip(starts, ends, strict=True)]
        if starts
        else [content.data]
    )
    for number, piece in enumerate(pieces, 1):
        harvest.budget.take_depth(content.depth + 1)
        harvest.budget.take_entry()
        raw = piece.partition(b"\n")[2] if piece.startswith(b"From ") else piece
        if b"\r\n" not in raw:
            raw = raw.replace(b"\n", b"\r\n")
        claimed = "" if starts else content.claimed
        mail = content.inner(number, raw, "mail", claimed=claimed)
        for inner in _read(mail, skeleton_of(raw), harvest, top=False):
            if inner.data and raw.endswith(inner.data) and not _claims_mail(content):
                # A text that begins like a mail may go on like the next: a list of headers is not nested.
                inner.via = PASSAGE
            yield inner


def _claims_mail(content: Content) -> bool:
    """Return whether a content is said to be a mail, by its type or a name."""
    ends = {extension_of(name) for name in content.names}
    return content.claimed.startswith(("message/", "multipart/")) or not ends.isdisjoint(
        KINDS["mail"].extensions
    )


def _read(mail: Content, skeleton: Skeleton, harvest: Harvest, *, top: bool) -> Iterator[Content]:
    """Yield the contents of one mail by all readings. ``mail.path`` becomes the path of its root entity."""
    raw = mail.data
    entities: list[Entity] = []
    try:
        entities = read_tree(skeleton, mail.path, mail.depth, harvest.budget)
    except LimitReachedError as reached:
        if reached.rule != "limit.depth":
            raise
        harvest.note_limit(reached, mail)
    if top:
        _fill(raw, entities, harvest)
    _add_texts(entities, harvest)
    strict = top or _is_declared(mail)
    if strict:
        check_entities(entities, skeleton.data, harvest)
    else:
        note_encryption(entities, harvest)
    spans = _spans(raw, entities)
    for entity in entities:
        yield from _entity(entity)
    yield from offered(
        second_reading(mail, skeleton.data, entities, harvest, strict=strict), mail, spans, harvest
    )
    yield from scavenge(raw, mail, harvest, spans, bodies_of(entities))


def _is_declared(mail: Content) -> bool:
    """Tell an attached message, which readers show as one, from a file or text that begins like one."""
    return mail.path.count("!") == 1 and mail.claimed in {"message/rfc822", "message/global", "message/news"}


def _fill(raw: bytes, entities: list[Entity], harvest: Harvest) -> None:
    fields = entities[0].fields if entities else lenient_head(raw).fields
    check_head(fields, harvest)
    author = plain_author([value for name, value in fields if name == "from"])
    harvest.author = author if author == plain_author(lenient_head(raw).values("from")) else ""
    harvest.headers += [(name, readable(value)) for name, value in fields[:_MAX_FIELDS]]
    harvest.protected = protection_of(entities)


def _add_texts(entities: list[Entity], harvest: Harvest) -> None:
    for entity in entities:
        if entity.shape == "leaf" and entity.claimed.startswith("text/"):
            text = text_of(entity.decoded.first, entity.charset)
            if entity.claimed == "text/html":
                harvest.add_text(entity.path, visible_text(text))
                continue
            text = text.replace("\r\n", "\n")  # to a pattern a line ends in LF alone
            for shown in as_shown(entity.claimed, entity.values("content-type"), text):
                harvest.add_text(entity.path, shown)


def _entity(entity: Entity) -> Iterator[Content]:
    """Yield what one entity of the tree holds, as most programs decode it first, then as others do."""
    names = entity.names
    content = Content(
        data=b"",
        path=entity.path,
        names=names,
        claimed=entity.claimed,
        charset=entity.charset,
        disposition=entity.disposition,
        depth=entity.nested,
    )
    if entity.shape != "leaf":
        if names and entity.claimed.startswith("message/"):
            yield content
        return
    content.data = entity.decoded.first
    yield content
    if b"\0" in entity.body:
        # There are readers that leave NULs out.
        yield content.inner(1100, content.data.replace(b"\0", b""), "nul", claimed=entity.claimed)
    if entity.claimed == "text/plain" and is_flowed(entity.values("content-type")):
        yield content.inner(1000, unflowed(content.data), "flowed", claimed=entity.claimed)
    for number, (via, data) in enumerate(entity.decoded.others, 1001):
        other = content.inner(number, data, via, claimed=entity.claimed)
        other.names, other.charset, other.depth = names, entity.charset, entity.nested
        yield other


def _spans(raw: bytes, entities: list[Entity]) -> list[Span]:
    """Return where in the message the bodies of the leaves stand; those that cannot be found are left out."""
    spans: list[Span] = []
    cursor = 0
    for entity in entities:
        if entity.shape != "leaf" or not entity.body:
            continue
        start = _place(raw, entity.body, cursor)
        if start >= 0:
            cursor = start + len(entity.body)
            done = entity.decoded.clean and (entity.encodings == ("base64",) or _is_opened(entity))
            spans.append(Span(start=start, end=cursor, path=entity.path, done=done))
    return spans


def _place(raw: bytes, body: bytes, at: int) -> int:
    """Return where a body stands from ``at`` on, or -1.

    The search for a megabyte prepares itself for longer than it takes to look for its beginning.
    """
    for _ in range(_MAX_TRIES if len(body) > _LARGE else 0):
        at = raw.find(body[:_BEGINNING], at)
        if at < 0 or raw.startswith(body, at):
            return at
        at += 1
    return raw.find(body, at)


def _is_opened(entity: Entity) -> bool:
    """Return whether its body as it stands becomes a leaf that open_text or open_mail will look into."""
    return entity.decoded.first is entity.body and kind_of(entity.body, "") in OPENED_AS_TEXT

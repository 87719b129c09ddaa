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
from .kinds import kind_of
from .mime_checks import check_entities, check_head, check_raw
from .mime_chunks import bodies_of
from .mime_compare import second_reading
from .mime_fields import lenient_head, readable
from .mime_tree import Entity, read_tree
from .protection import protection_of
from .scavenge import OPENED_AS_TEXT, Span, offered, scavenge

_MAX_FIELDS: Final = 2000  # beyond 1000 there is a finding; the rest is kept for the log
_MBOX: Final = re.compile(rb"(?:^|(?<=\n))From [^\r\n]{1,300}\r?\n(?=[!-9;-~]{1,76}:)")


def open_message(raw: bytes, harvest: Harvest) -> Iterator[Content]:
    """Yield what the message holds; fill ``harvest.headers``, ``texts`` and ``protected`` before the first one.

    ``raw``: the whole message (RFC 5322). Where it has no CRLF at all its LFs are taken for line ends, as an MTA does.
    """
    if b"\r\n" not in raw:
        raw = raw.replace(b"\n", b"\r\n")
    whole = Content(data=raw, path="1", claimed="message/rfc822", depth=0)
    check_raw(raw, harvest)
    yield from _read(whole, harvest, top=True)


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
        yield from _read(content.inner(number, raw, "mail"), harvest, top=False)


def _read(mail: Content, harvest: Harvest, *, top: bool) -> Iterator[Content]:
    """Yield the contents of one mail by all readings. ``mail.path`` becomes the path of its root entity."""
    raw = mail.data
    entities: list[Entity] = []
    try:
        entities = read_tree(raw, mail.path, mail.depth, harvest.budget)
    except LimitReachedError as reached:
        if reached.rule != "limit.depth":
            raise
        harvest.note_limit(reached, mail)
    if top:
        _fill(raw, entities, harvest)
    _add_texts(entities, harvest)
    check_entities(entities, raw, harvest)
    spans = _spans(raw, entities)
    for entity in entities:
        yield from _entity(entity)
    yield from offered(second_reading(mail, entities, harvest), mail, spans, harvest)
    yield from scavenge(raw, mail, harvest, spans, bodies_of(entities))


def _fill(raw: bytes, entities: list[Entity], harvest: Harvest) -> None:
    fields = entities[0].fields if entities else lenient_head(raw).fields
    check_head(fields, harvest)
    harvest.headers += [(name, readable(value)) for name, value in fields[:_MAX_FIELDS]]
    harvest.protected = protection_of(entities)


def _add_texts(entities: list[Entity], harvest: Harvest) -> None:
    for entity in entities:
        if entity.shape == "leaf" and entity.claimed.startswith("text/"):
            text = text_of(entity.decoded.first, entity.charset)
            harvest.add_text(entity.path, visible_text(text) if entity.claimed == "text/html" else text)


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
        start = raw.find(entity.body, cursor)
        if start >= 0:
            cursor = start + len(entity.body)
            done = entity.decoded.clean and (entity.encodings == ("base64",) or _is_opened(entity))
            spans.append(Span(start=start, end=cursor, path=entity.path, done=done))
    return spans


def _is_opened(entity: Entity) -> bool:
    """Return whether its body as it stands becomes a leaf that open_text or open_mail will look into."""
    return entity.decoded.first is entity.body and kind_of(entity.body, "") in OPENED_AS_TEXT

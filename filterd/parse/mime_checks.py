"""What is wrong with a message's structure: line ends, fields, types, encodings, boundaries. Notes, and goes on.

The rules, with what each means, stand in filterd/stages/integrity.py.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from .harvest import Content, Harvest
from .mime_boundaries import check_boundaries
from .mime_fields import parameters, unfolded
from .mime_tree import Entity, is_typed
from .protection import is_encrypted
from .transfer import encodings, is_plain_token

_MAX_LINE: Final = 998  # RFC 5322 2.1.1
_MAX_FIELDS: Final = 1000
_MAX_FIELD: Final = 100 * 1024  # Postfix' own bound (header_size_limit)
_MAX_MIME_FIELD: Final = 8 * 1024
_MAX_PARAMETERS: Final = 100
_MAX_REPEATED: Final = 20

_MIME_FIELDS: Final = ("content-type", "content-transfer-encoding", "content-disposition", "mime-version")
_SPEAKING: Final = ("from", "sender", "subject")
_ONCE: Final = ("to", "cc", "bcc", "date", "message-id", "reply-to", "in-reply-to", "references")
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
# The MTA hands header folds to a milter as bare LF and blank; that is not the sender's doing.
_BARE_NO_FOLD: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n(?![ \t])")
_BARE_AT_STRUCTURE: Final = re.compile(
    rb"(?:\r(?!\n)|(?<!\r)\n)(?:--[^\r\n ]|content-(?:type|transfer|disp))|\n--[^\r\n ][^\r\n]*+(?:\r(?!\n)|\n)(?<!\r\n)"
    rb"|\ncontent-(?:type|transfer-encoding|disposition)[^\r\n]*+(?:\r(?!\n)|\n)(?<!\r\n)",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NO_FIELD: Final = frozenset(
    {"MissingHeaderBodySeparatorDefect", "FirstHeaderLineIsContinuationDefect", "MalformedHeaderDefect"}
)
_AMBIGUOUS_TYPE: Final = re.compile(r"multipart|message", re.IGNORECASE)
_MAILBOX_NOISE: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|\((?:[^()\\]|\\.)*+\)')


def check_raw(raw: bytes, harvest: Harvest) -> None:
    """Look at the bytes of the whole message: NUL, bare CR and LF, over-long lines."""
    if b"\0" in raw:
        harvest.note("integrity.nul", None, f"the first at {raw.index(0)}")
    pairs = raw.count(b"\r\n")
    if raw.count(b"\r") != pairs or raw.count(b"\n") != pairs:
        end = raw.find(b"\r\n\r\n")
        head = raw[: end if end >= 0 else len(raw)]
        if _BARE_NO_FOLD.search(head) or _BARE_AT_STRUCTURE.search(raw, len(head)):
            harvest.note("integrity.bare-line-end")
        elif _BARE.search(raw, len(head)):
            harvest.note("integrity.bare-line-end-body")
    if _has_long_line(raw):
        harvest.note("integrity.long-line")
    if raw.startswith(b"From "):
        harvest.note("integrity.mbox-line")


def _has_long_line(raw: bytes) -> bool:
    at = 0
    while len(raw) - at > _MAX_LINE:
        end = raw.rfind(b"\n", at, at + _MAX_LINE + 2)
        if end < 0:
            return True
        at = end + 1
    return False


def check_head(fields: Iterable[tuple[str, str]], harvest: Harvest) -> None:
    """Look at the message's own header: what RFC 5322 3.6 allows once, and the mailbox that it shows."""
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(unfolded(value))
    for name in (*_SPEAKING, *_ONCE):
        given = values.get(name, [])
        if len(given) > 1:
            rule = "repeated-header" if name in _SPEAKING and len(set(given)) > 1 else "repeated-field"
            harvest.note(f"integrity.{rule}", None, name)
    for name in ("from", "date"):
        if name not in values:
            harvest.note(f"integrity.{name}-missing")
    for value in values.get("from", [])[:1]:
        bare = _MAILBOX_NOISE.sub("", value)
        if sum("@" in mailbox for mailbox in re.split(r"[,;]", re.sub(r"<[^<>]*>", _only_at, bare))) > 1:
            harvest.note("integrity.from-several", None, value)


def _only_at(found: re.Match[str]) -> str:
    # A route or a comma within the brackets is one mailbox still.
    return "<@>" if "@" in found[0] else "<>"


def check_entities(entities: list[Entity], raw: bytes, harvest: Harvest) -> None:
    """Look at every entity's fields and body, and at the boundaries of the whole."""
    opaque: set[str] = set()  # what the library read in the encoded text of a message is no structure
    for entity in entities:
        harvest.budget.take_time()
        if entity.parent in opaque:
            opaque.add(entity.path)
            continue
        if entity.claimed.startswith("message/") and not {*entity.encodings} <= {"plain", ""}:
            opaque.add(entity.path)
        where = Content(data=b"", path=entity.path, names=entity.names, depth=entity.nested)
        _check_fields(entity, where, harvest)
        _check_type(entity, where, harvest)
        _check_encoding(entity, where, harvest)
        if is_encrypted(entity):
            harvest.note("integrity.encrypted", where)
    check_boundaries(entities, raw, harvest)


def _check_fields(entity: Entity, where: Content, harvest: Harvest) -> None:
    if not _NO_FIELD.isdisjoint(entity.defects):
        harvest.note("integrity.no-field", where, ",".join(entity.defects))
    if len(entity.fields) > _MAX_FIELDS:
        harvest.note("integrity.many-fields", where, str(len(entity.fields)))
    counted = Counter(name for name, _ in entity.fields)
    for name, value in entity.fields:
        mime = name in _MIME_FIELDS
        if len(value) > (_MAX_MIME_FIELD if mime else _MAX_FIELD):
            harvest.note("integrity.long-field", where, f"{name[:40]}: {len(value)}")
        if not value.isascii():
            harvest.note("integrity.eight-bit-header", where, name[:40])
        if "\x00" in value or _CONTROL.search(value):
            harvest.note(
                "integrity.control-in-mime" if mime else "integrity.control-character", where, name[:40]
            )
    for name in _MIME_FIELDS:
        if counted[name] > 1:
            different = {unfolded(value).lower() for value in entity.values(name)}
            rule = "conflicting-field" if len(different) > 1 else "repeated-field"
            harvest.note(f"integrity.{rule}", where, name)


def _check_type(entity: Entity, where: Content, harvest: Harvest) -> None:
    for value in entity.values("content-type")[:_MAX_REPEATED]:
        if not is_typed(value):
            ambiguous = _AMBIGUOUS_TYPE.search(value.partition(";")[0][:200])
            harvest.note(f"integrity.type-{'ambiguous' if ambiguous else 'malformed'}", where, value)
        if len(value) > _MAX_PARAMETERS and len(parameters(value)) >= _MAX_PARAMETERS:
            harvest.note("integrity.many-parameters", where)
    if entity.claimed == "message/partial":
        harvest.note("integrity.partial", where)
    elif entity.claimed == "message/external-body":
        harvest.note("integrity.external-body", where)


def _check_encoding(entity: Entity, where: Content, harvest: Harvest) -> None:
    values = entity.values("content-transfer-encoding")[:_MAX_REPEATED]
    named = entity.encodings
    for value in values:
        if "" in encodings([value]):
            harvest.note("integrity.encoding-unknown", where, value)
        elif not is_plain_token(value):
            harvest.note("integrity.encoding-odd", where, value)
    if len(named) > 1:
        harvest.note("integrity.encoding-conflict", where, ",".join(named))
    if entity.claimed.startswith(("multipart/", "message/")) and not {*named} <= {"plain", ""}:
        if entity.claimed.startswith("message/"):
            rule = "encoded-mail"
        else:
            rule = "encoded-multipart-said" if entity.shape == "multipart" else "encoded-multipart"
        harvest.note(f"integrity.{rule}", where, ",".join(named))
    elif entity.shape == "leaf" and entity.decoded.problem:
        harvest.note(
            "integrity.base64" if entity.decoded.problem == "base64" else "integrity.base64-tail", where
        )

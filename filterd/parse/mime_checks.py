"""What is wrong with a message's structure: line ends, fields, types, encodings, boundaries. Notes, and goes on.

The rules, with what each means, stand in filterd/stages/integrity.py.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from .harvest import Content, Harvest
from .mime_boundaries import check_boundaries
from .mime_fields import decode_words, parameters, unfolded, without_noise
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
    rb"(?:\r(?!\n)|(?<!\r)\n)(?:--([^\r\n ][^\r\n]*+)|content-(?:type|transfer|disp))"
    rb"|\n--([^\r\n ][^\r\n]*+)(?:\r(?!\n)|\n)(?<!\r\n)"
    rb"|\ncontent-(?:type|transfer-encoding|disposition)[^\r\n]*+(?:\r(?!\n)|\n)(?<!\r\n)",
    re.IGNORECASE,
)
_BOUNDARY: Final = re.compile(
    rb"boundary(?:[ \t\r\n]*+=[ \t\r\n]*+\"?([A-Za-z0-9_=.-]{1,70}+))?", re.IGNORECASE
)
_NUL_LINE: Final = re.compile(rb"[^\r\n\0]*+\0[^\r\n]*+")
_STRUCTURE: Final = re.compile(rb"--|content-(?:type|transfer|disp)", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Old Japanese software writes text in ISO 2022 (ECMA-35 14) as it is.
_ESCAPES: Final = re.compile(r"\x1b\$?[()]?[@-Z]")
# What a bounce tells is shown as text; its lines are of whatever sort the other side has sent.
_REPORTS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_CUT: Final = 76  # bytes of a last line: a returned header may end amid a field
_NO_FIELD: Final = frozenset(
    {"MissingHeaderBodySeparatorDefect", "FirstHeaderLineIsContinuationDefect", "MalformedHeaderDefect"}
)
_AMBIGUOUS_TYPE: Final = re.compile(r"multipart|message", re.IGNORECASE)


def check_raw(raw: bytes, bones: bytes, harvest: Harvest) -> None:
    """Look at the bytes of the whole message: NUL, bare CR and LF, over-long lines.

    ``bones``: the message without its long base64 (mime_tree.Skeleton), where all of these stand as well.
    """
    if b"\0" in bones:
        rule = "nul" if _is_nul_at_structure(raw) else "nul-body"
        harvest.note(f"integrity.{rule}", None, f"the first at {raw.index(0)}")
    pairs = bones.count(b"\r\n")
    if bones.count(b"\r") != pairs or bones.count(b"\n") != pairs:
        end = bones.find(b"\r\n\r\n")
        head = bones[: end if end >= 0 else len(bones)]
        if _BARE_NO_FOLD.search(head) or _is_bare_at_structure(bones, len(head)):
            harvest.note("integrity.bare-line-end")
        elif _BARE.search(bones, len(head)):
            harvest.note("integrity.bare-line-end-body")
    if _has_long_line(bones):
        harvest.note("integrity.long-line")
    if raw.startswith(b"From "):
        harvest.note("integrity.mbox-line")


def _is_nul_at_structure(raw: bytes) -> bool:
    """Tell NULs that hide fields or delimiters from those that a program has printed."""
    head = max(raw.find(b"\r\n\r\n"), 0)
    return b"\0" in raw[:head] or any(
        _STRUCTURE.match(found[0].replace(b"\0", b"").lstrip()) for found in _NUL_LINE.finditer(raw, head)
    )


def _is_bare_at_structure(bones: bytes, start: int) -> bool:
    """Return whether a bare line end stands at a field of MIME, or at what begins like a delimiter of this message."""
    known: set[bytes] | None = None
    for found in _BARE_AT_STRUCTURE.finditer(bones, start):
        text = found[1] or found[2]
        if known is None:
            known = {one[1][:8] if one[1] else b"" for one in _BOUNDARY.finditer(bones)}
        if not text or any(map(text.startswith, known)):
            return True
    return False


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
            different = {" ".join(decode_words(value).split()) for value in given[:_MAX_REPEATED]}
            rule = "repeated-header" if name in _SPEAKING and len(different) > 1 else "repeated-field"
            harvest.note(f"integrity.{rule}", None, name)
    for name in ("from", "date"):
        if name not in values:
            harvest.note(f"integrity.{name}-missing")
    for value in values.get("from", [])[:1]:
        named = _mailboxes(value)
        # RFC 5322 3.6.2: several authors are legal where one sender stands for them.
        sent = len(values.get("sender", [])) == 1 and len(_mailboxes(values["sender"][0])) == 1
        if not sent and len(named) > 1 and (len(set(named)) > 1 or "<@>" in named[0]):
            harvest.note("integrity.from-several", None, value)


def _mailboxes(value: str) -> list[str]:
    """Return what of the field is like a mailbox, without quoted names and comments."""
    bare = re.sub(r"<[^<>]*+>", _only_at, without_noise(value))
    return [mailbox.strip().lower() for mailbox in re.split(r"[,;]", bare) if "@" in mailbox]


def _only_at(found: re.Match[str]) -> str:
    # A route or a comma within the brackets is one mailbox still.
    return "<@>" if "@" in found[0] else "<>"


def check_entities(entities: list[Entity], bones: bytes, harvest: Harvest) -> None:
    """Look at every entity's fields and body, and at the boundaries of the whole (``bones`` as in `check_raw`)."""
    opaque: set[str] = set()  # what the library read in the encoded text of a message is no structure
    reports = {entity.path for entity in entities if entity.claimed in _REPORTS}
    for entity in entities:
        harvest.budget.take_time()
        if entity.parent in opaque:
            opaque.add(entity.path)
            continue
        if entity.claimed.startswith("message/") and not {*entity.encodings} <= {"plain", ""}:
            opaque.add(entity.path)
        where = Content(data=b"", path=entity.path, names=entity.names, depth=entity.nested)
        if entity.parent not in reports:
            _check_separator(entity, where, harvest)
        _check_fields(entity, where, harvest)
        _check_type(entity, where, harvest)
        _check_encoding(entity, where, harvest)
        if is_encrypted(entity):
            harvest.note("integrity.encrypted", where)
    check_boundaries(entities, bones, harvest)


def note_encryption(entities: list[Entity], harvest: Harvest) -> None:
    """Report what is encrypted in a mail that is a file: how it is built matters to nobody on its way."""
    for entity in entities:
        if is_encrypted(entity):
            where = Content(data=b"", path=entity.path, names=entity.names, depth=entity.nested)
            harvest.note("integrity.encrypted", where)


def _check_separator(entity: Entity, where: Content, harvest: Harvest) -> None:
    if _NO_FIELD.isdisjoint(entity.defects):
        return
    rest = entity.body.strip()
    cut = entity.parent and len(rest) <= _CUT and b"\n" not in rest and b":" not in rest
    if not cut:
        harvest.note("integrity.no-field", where, ",".join(entity.defects))


def _check_fields(entity: Entity, where: Content, harvest: Harvest) -> None:
    if len(entity.fields) > _MAX_FIELDS:
        harvest.note("integrity.many-fields", where, str(len(entity.fields)))
    counted = Counter(name for name, _ in entity.fields)
    for name, value in entity.fields:
        mime = name in _MIME_FIELDS
        if len(value) > (_MAX_MIME_FIELD if mime else _MAX_FIELD):
            harvest.note("integrity.long-field", where, f"{name[:40]}: {len(value)}")
        if not value.isascii():
            harvest.note("integrity.eight-bit-header", where, name[:40])
        if not value.isprintable() and ("\x00" in value or _CONTROL.search(value)):
            stops = mime and ("\x00" in value or _CONTROL.search(_ESCAPES.sub("", value)))
            harvest.note(f"integrity.control-{'in-mime' if stops else 'character'}", where, name[:40])
    for name in _MIME_FIELDS:
        if counted[name] > 1:
            different = {_meaning(name, value) for value in entity.values(name)[:_MAX_REPEATED]}
            rule = "conflicting-field" if len(different) > 1 else "repeated-field"
            harvest.note(f"integrity.{rule}", where, name)


def _meaning(name: str, value: str) -> str:
    """Return what of a field's value decides how a body is read: who has written it twice, differs in words only.

    A version decides nothing, and of file names every one is looked at (filterd/stages/integrity.py).
    """
    if name == "content-type":
        plain = unfolded(value).partition(";")[0].strip().lower()
        return plain if plain.startswith("text/") and "/" in plain else unfolded(value).lower()
    if name == "content-transfer-encoding":
        return ",".join(sorted({one or "plain" for one in encodings([value])}))
    return ""


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

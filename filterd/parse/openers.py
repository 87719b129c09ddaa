"""Which openers look into a content: by what its bytes are, by what it claims to be, by what stands inside it.

A content is opened in each way that some program may open it, so a picture with a zip behind it is a zip as well.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from . import (
    archive_arj,
    archive_rar,
    archive_streams,
    archive_udf,
    archives,
    native,
    ooxml_parts,
    packed_streams,
    pgp_packets,
)
from .archive_members import Opener, is_guess, look_at_names
from .charsets import is_exotic
from .cms import open_cms
from .documents import open_active_mime, open_onenote, open_sheet_text
from .documents_cards import open_card
from .forks import is_macbinary, open_apple, open_macbinary
from .harvest import Content, Harvest
from .html import open_html, open_script
from .kinds import KINDS, ZIP_TAIL, as_bytes_text, extension_of
from .mime import open_mail
from .mime_chunks import PASSAGE
from .ole_streams import open_ole
from .pdf_files import open_pdf
from .rtf_objects import open_rtf
from .scavenge import open_text
from .tnef import open_tnef
from .zip_records import END, LOCAL
from .zips import open_zip

_SCAVENGE: Final[tuple[Opener, ...]] = (open_text,)
_MAIL: Final[tuple[Opener, ...]] = (open_mail,)
_HTML: Final[tuple[Opener, ...]] = (open_html,)
_OF_TEXT: Final[tuple[Opener, ...]] = (open_text, open_mail)


def open_unreadable(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Report a container that nothing here can look into."""
    if not is_guess(content):
        harvest.note("archive.unreadable", content, KINDS[content.kind].title)
    yield from ()


# Volumes behind the first, which have no signature: of zip, RAR, ARJ, and of whatever was cut in pieces.
_VOLUME: Final = re.compile(r"\.(?:[zra]\d\d|\d{3}|part\d{1,4}\.rar)$", re.IGNORECASE)


def open_volume(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Report one of several volumes of an archive, known by its name: joined they are something else."""
    harvest.note("archive.unreadable", content, "one of several volumes")
    yield from ()


def _is_volume(content: Content) -> bool:
    return content.kind == "unknown" and _any_name(content, lambda name: bool(_VOLUME.search(name)))


OPENERS: Final[dict[str, tuple[Opener, ...]]] = {
    **{kind: (opener,) for kind, opener in (archives.OPENERS | archive_streams.OPENERS).items()},
    **dict.fromkeys(("ace", "zoo", "szdd", "rare", "wim", "vhd", "dmg", "img"), (open_unreadable,)),
    **dict.fromkeys(("zip", "ooxml", "odf", "jar", "apk"), (open_zip,)),
    "rar": (archive_rar.open_rar,),
    "arj": (archive_arj.open_arj,),
    "udf": (archive_udf.open_udf,),
    **dict.fromkeys(("ole", "msg", "msi"), (open_ole,)),
    "activemime": (open_active_mime,),
    "cms": (open_cms,),
    "card": (open_card, *_SCAVENGE),
    "one": (open_onenote,),
    "pdf": (open_pdf,),
    "rtf": (open_rtf, *_SCAVENGE),
    "tnef": (open_tnef,),
    "apple": (open_apple,),
    "mail": (*_MAIL, *_SCAVENGE),
    "mbox": (*_MAIL, *_SCAVENGE),
    "html": (*_HTML, *_SCAVENGE),
    "svg": (*_HTML, *_SCAVENGE),
    "xml": (ooxml_parts.open_xml, *_SCAVENGE),
    **dict.fromkeys(("text", "script", "url", "sylk"), _SCAVENGE),
    "pgp": (pgp_packets.open_armour, *_SCAVENGE),
    "swf": (packed_streams.open_flash,),
    "lnk": (packed_streams.open_texts,),
}
# What a claim adds where the bytes say nothing, or something else that is text.
_CLAIMED: Final[dict[str, tuple[Opener, ...]]] = {
    "html": _HTML,
    "svg": _HTML,
    "mail": _MAIL,
    "mbox": _MAIL,
    "card": (open_card,),
}
_TEXTUAL: Final = frozenset({"text", "unknown", "xml", "script", "mail", "html", "svg", "card"})
# Readers show these with their tags left out, as they do with HTML (RFC 1896).
_TAGGED: Final = dict.fromkeys(("text/enriched", "text/richtext", "application/hta"), "html")
_BY_TYPE: Final = _TAGGED | {
    name: kind.id for kind in KINDS.values() if kind.id in _CLAIMED for name in kind.types
}
# Fields at the start of a line tell a mail that begins like something else.
_FIELDS: Final = re.compile(rb"[\r\n]content-(?:type|transfer-encoding)[ \t]*:", re.IGNORECASE)
_FIELDS_WITHIN: Final = 64 * 1024
_ASCII: Final = bytes((*range(32, 127), 9, 10, 13))
_HEAD: Final = 4096
_BY_EXTENSION: Final = {
    name: kind.id for kind in KINDS.values() if kind.id in _CLAIMED for name in kind.extensions
}
_NUMBER: Final = re.compile(r"(\d+)")
_CODE: Final = re.compile(
    r"/(?:x-)?(?:java|ecma|j|vb|live)script|/json|\+json|/x-(?:python|perl|php|sh|powershell)"
)
_CODE_EXTENSIONS: Final = frozenset(KINDS["script"].extensions) | frozenset(
    [
        "js",
        "mjs",
        "jse",
        "vbs",
        "vbe",
        "vb",
        "json",
        "ipynb",
        "py",
        "pl",
        "rb",
        "php",
        "sh",
        "bash",
        "bat",
        "cmd",
        "ps1",
        "reg",
        "hta",
        "wsf",
        "sct",
        "css",
    ]
)
# Kinds that most mail is made of: their readers, and those that look for something else in any content, are Python, zlib
# and lexbor. To whatever has another kind the parse worker's life is given first.
_COMMON: Final = frozenset(
    {"text", "html", "empty", "png", "jpeg", "gif", "webp", "bmp", "tiff", "pdf", "zip", "unknown"}
)
# How contents were found that an archive had packed.
UNPACKED: Final = frozenset(kind.id for kind in KINDS.values() if kind.group in {"archive", "disk"})
# Compressed bytes hold any signature by chance, and their members are looked into one by one.
_NOT_CARVED: Final = frozenset(
    {"text", "html", "svg", "xml", "mail", "mbox", "tar", "iso", "ole", "msg", "msi", "cpio"}
)


def open_content(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what is inside a content, by every opener that applies, numbered on from one to the next."""
    start = len(content.path) + 1
    used = 0
    if content.kind not in _COMMON:
        native.note()
    openers = openers_of(content)
    if content.via == "html" and open_html in openers:
        harvest.budget.take_page(len(content.data))
    for opener in openers:
        before = used
        for inner in opener(content, harvest):
            # Each opener counts from one: what the second finds comes behind what the first has found.
            first = _NUMBER.match(inner.path, start)
            number, end = (before + int(first[1]), first.end()) if first else (before + 1, len(inner.path))
            used = max(used, number)
            inner.path = f"{content.path}!{number}{inner.path[end:]}"
            if inner.via in UNPACKED:
                look_at_names(inner, harvest)
            yield inner


def openers_of(content: Content) -> tuple[Opener, ...]:
    """Return the openers for a content whose kind is known."""
    found = list(OPENERS.get(content.kind, ()))
    # A browser takes a page by its name or type, whatever it begins with; a mail program a mail.
    claims = {
        _BY_TYPE.get(content.claimed),
        *(_BY_EXTENSION.get(extension_of(name)) for name in content.names),
    }
    for claim in sorted(claim for claim in claims if claim):
        if (
            content.kind in _TEXTUAL
            or claim in {"html", "svg"}
            or _FIELDS.search(content.data, 0, _FIELDS_WITHIN)
        ):
            found += _CLAIMED[claim]
    if open_text not in found and _may_be_text(content):
        found += _SCAVENGE
    found += [opener for applies, opener in _INSIDE if applies(content)]
    if content.via == PASSAGE:
        # The text that it stands in is searched already; that it begins like a mail is true of many a list of headers.
        found = [opener for opener in found if opener not in _OF_TEXT]
    return tuple(dict.fromkeys(found))


def _may_be_text(content: Content) -> bool:
    """Return whether a reader may show it as text though its bytes say otherwise: by its type, or some controls."""
    claimed = content.claimed.startswith("text/")
    if content.kind != "unknown":
        return claimed
    head = content.data[:_HEAD]
    odd = len(head.translate(None, _ASCII))
    if odd * (2 if claimed else 5) < len(head) or (claimed and is_exotic(content.charset)):
        return True
    return b"=ybegin " in content.data


def _has_zip(content: Content) -> bool:
    if content.kind in {"mail", "mbox", "tar", "ole", "iso"}:
        return False
    return END in content.data[-ZIP_TAIL:] or content.data.startswith(LOCAL) or _claims_zip(content)


def _claims_zip(content: Content) -> bool:
    claimed = content.claimed in KINDS["zip"].types or "zip" in {extension_of(name) for name in content.names}
    return claimed and LOCAL in content.data


def _has_pdf(content: Content) -> bool:
    # ISO 32000-1 Annex H.3, notes 13 and 14: readers look for the header in the first 1024 bytes, and take two more.
    if content.kind in {"mail", "mbox"}:
        return False
    head = content.data[:1029]
    if b"%PDF-" in head or b"%FDF-" in head or (b"%!PS-Adobe-" in head and b" PDF-" in head):
        return True
    return (content.claimed.endswith("/pdf") or _any_name(content, _is_pdf)) and b"endobj" in content.data


def _is_pdf(name: str) -> bool:
    return extension_of(name) in {"pdf", "fdf"}


def _has_rtf(content: Content) -> bool:
    # By its name Word opens it as RTF, or some program does; an objdata is no prose.
    return content.kind in {"text", "unknown", "html", "xml"} and b"\\objdata" in content.data


def _is_sheet(name: str) -> bool:
    return extension_of(name) in {"csv", "tsv", "slk", "iqy"}


def _is_sheet_text(content: Content) -> bool:
    return content.kind == "sylk" or (content.kind == "text" and _any_name(content, _is_sheet))


def _is_script(content: Content) -> bool:
    # Pages have their own reading of scripts.
    if content.kind not in {"script", "text", "unknown", "mail"}:
        return False
    return content.kind == "script" or bool(_CODE.search(content.claimed)) or _any_name(content, _is_code)


def _is_code(name: str) -> bool:
    return extension_of(name) in _CODE_EXTENSIONS


def _any_name(content: Content, holds: Callable[[str], bool]) -> bool:
    return any(holds(name) for name in content.names)


def _is_part(content: Content) -> bool:
    """Return whether a program reads it as XML by its name, or by its place in a package, whatever it begins with."""
    if content.kind in UNPACKED:
        return False
    if _any_name(content, lambda name: extension_of(name) in _XML_EXTENSIONS):
        return True
    return content.via == "zip" and as_bytes_text(content.data[:_HEAD]).lstrip(b" \t\r\n\0").startswith(b"<")


_XML_EXTENSIONS: Final = frozenset({"xml", "rels", "vml", "fodt", "fods", "fodp", "fodg"})
_INSIDE: Final[tuple[tuple[Callable[[Content], bool], Opener], ...]] = (
    (_is_volume, open_volume),
    (_has_zip, open_zip),
    (lambda content: content.kind == "iso" and archive_udf.is_beside(content.data), archive_udf.open_udf),
    (_is_script, open_script),
    (pgp_packets.is_packets, pgp_packets.open_packets),
    (packed_streams.is_packed_rtf, packed_streams.open_packed_rtf),
    (packed_streams.may_be_deflated, packed_streams.open_deflated),
    (lambda content: is_macbinary(content.data), open_macbinary),
    (_has_pdf, open_pdf),
    (_has_rtf, open_rtf),
    (_is_sheet_text, open_sheet_text),
    (_is_part, ooxml_parts.open_xml),
    (lambda content: _any_name(content, ooxml_parts.is_macro_sheet), ooxml_parts.open_macro_sheet),
    (lambda content: _any_name(content, ooxml_parts.is_binary_workbook), ooxml_parts.open_binary_workbook),
    (lambda content: content.kind not in _NOT_CARVED and content.via != "carved", archives.open_carved),
)

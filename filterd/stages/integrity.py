"""What a message must not be: something that two mail readers may read in two ways.

Mode "on": readers differ, so one of them may see what nobody looked at. Mode "warn": sloppy, and decoded anyway, in
every way that a reader might; it is reported and nothing more.
"""

import re
from collections.abc import Iterator
from typing import Final

from filterd.anatomy import Anatomy, Leaf
from filterd.config.inspection import Inspection
from filterd.findings import Mode

from .stage import Finding, Rule, Stage, Verdict

_MALFORMED: Final[tuple[tuple[str, Mode, str], ...]] = (
    ("conflicting-field", "on", "Content-Type, -Transfer-Encoding, -Disposition or MIME-Version stands twice and says two things"),
    ("repeated-field", "warn", "A field that may stand once stands twice"),
    ("repeated-header", "on", "From, Sender or Subject stands twice and says two things"),
    ("from-several", "on", "From names more than one mailbox"),
    ("from-missing", "warn", "There is no From field"),
    ("date-missing", "warn", "There is no Date field"),
    ("no-field", "on", "A header has a line that is no field (a blank before its colon …): for some readers the body begins there"),
    ("mbox-line", "warn", "An mbox line stands before the header"),
    ("eight-bit-header", "warn", "A header has raw 8-bit characters"),
    ("control-character", "warn", "A header has control characters"),
    ("control-in-mime", "on", "A field of MIME has control characters, where some readers stop"),
    ("nul", "on", "NUL bytes in a header or at a delimiter, where some readers stop"),
    ("nul-body", "warn", "NUL bytes in a body"),
    ("bare-line-end", "on", "A bare CR or LF in a header or at a delimiter: for some readers a line ends there"),
    ("bare-line-end-body", "warn", "A bare CR or LF in a body"),
    ("long-line", "warn", "A line of more than 998 bytes"),
    ("type-malformed", "warn", "A Content-Type that is not type, slash, subtype"),
    ("type-ambiguous", "on", "A Content-Type that some readers take for multipart or a message, and others do not"),
    ("encoding-unknown", "warn", "An unknown Content-Transfer-Encoding"),
    ("encoding-odd", "warn", "A Content-Transfer-Encoding with more than its name"),
    ("encoding-conflict", "on", "A Content-Transfer-Encoding that names several encodings"),
    ("encoded-mail", "warn", "An attached message is encoded as a whole"),
    ("encoded-multipart", "on", "A multipart is encoded as a whole: only some readers see its parts"),
    ("encoded-multipart-said", "warn", "A multipart is only said to be encoded"),
    ("base64", "on", "Base64 that readers decode to different contents"),
    ("base64-tail", "warn", "Base64 with text behind its end"),
    ("boundary-missing", "on", "A multipart without a boundary"),
    ("boundary-ambiguous", "on", "A multipart that has two boundaries, by two readings of its type"),
    ("boundary-mistaken", "on", "A multipart whose boundary never comes, while others do"),
    ("boundary-repeated", "on", "A multipart within another of the same boundary"),
    ("boundary-prefix", "warn", "A boundary that begins another one around it"),
    ("boundary-odd", "on", "A line that begins like a delimiter and goes on: for some readers it is one"),
    ("boundary-long", "warn", "A boundary of more than 70 characters"),
    ("boundary-open", "warn", "A multipart that is not closed, or that has neither boundary nor parts"),
    ("boundary-split", "warn", "A boundary that is written in pieces or encoded (RFC 2231)"),
    ("outside", "on", "Parts or files in front of the first or behind the last delimiter"),
    ("partial", "on", "A piece of a message (message/partial): nobody sees the whole on its way"),
    ("external-body", "on", "A body that the reader would fetch from elsewhere (message/external-body)"),
    ("parsers-disagree", "warn", "Two independent parsers see different contents"),
    ("unreadable", "on", "The second parser cannot read the structure"),
    ("tnef-broken", "warn", "A TNEF stream (winmail.dat) that ends too early"),
    ("name-bidi", "on", "A file name with characters that turn the direction of writing"),
    ("name-mark", "warn", "A file name with invisible characters, as some scripts need them"),
    ("name-clsid", "on", "A file name whose extension is a class id"),
    ("name-trailing", "on", "A file name with dots or blanks behind a dangerous extension"),
    ("name-control", "on", "A file name with control characters, or invisible ones in its extension"),
    ("name-long", "on", "A file name of more than 255 characters, and another extension at that place"),
    ("name-conflict", "on", "File names that contradict each other, one of them dangerous"),
    ("name-differs", "warn", "File names with different extensions for one part"),
)  # fmt: skip
_OTHER: Final = (
    Rule(id="integrity.many-fields", verdict=Verdict.OVER_LIMIT, title="A header of more than 1000 fields"),
    Rule(
        id="integrity.long-field",
        verdict=Verdict.OVER_LIMIT,
        title="A field of more than 100 kB, or of MIME of more than 8 kB",
    ),
    Rule(
        id="integrity.many-parameters",
        verdict=Verdict.OVER_LIMIT,
        title="A field of MIME with 100 parameters or more",
    ),
    Rule(
        id="integrity.encrypted",
        verdict=Verdict.ENCRYPTED,
        title="The message or a part of it is encrypted (OpenPGP, S/MIME)",
    ),
    Rule(
        id="integrity.name-double-extension",
        verdict=Verdict.BANNED,
        title="A dangerous extension behind a harmless one",
    ),
)

# What turns the order of Latin letters (UAX 9, 2.1 to 2.4): overrides, and embeddings from right to left. Marks and the
# other embeddings stand in ordinary Hebrew and Arabic names, and in front of paths that were copied from Windows.
_BIDI: Final = re.compile("[\u202b\u202d\u202e\u2067\u2068]")
_MARK: Final = re.compile("[\u00ad\u061c\u200b-\u200f\u202a\u202c\u2060\u2066\u2069\ufeff]")
_CLSID: Final = re.compile(r"\.\{[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\}\s*$")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Old Japanese software writes names as they are in ISO 2022 (ECMA-35 14).
_ESCAPES: Final = re.compile(r"\x1b\$?[()]?[@-Z]")
_MARKED_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9]*(?:" + _MARK.pattern + r"[A-Za-z0-9]*)+$")
_TRAILING: Final = re.compile(r"\.([A-Za-z0-9]{1,8})[ .\t\u00a0\u2000-\u200a\u3000]+$")
_BLANKS_BEFORE_EXTENSION: Final = re.compile(r"[ \t\u00a0\u2000-\u200a\u3000]{8,}\.[A-Za-z0-9]{1,8}$")
_END: Final = ' ."/\\'  # what systems leave out behind a name, or a reader of a quoted path
_INNOCENT: Final = frozenset({
    "avi", "bmp", "csv", "doc", "docx", "gif", "htm", "html", "jpeg", "jpg", "log", "mov", "mp3", "mp4", "odt", "pdf",
    "png", "pps", "ppt", "pptx", "rtf", "svg", "tif", "tiff", "txt", "wav", "webp", "xls", "xlsx", "xml", "zip",
})  # fmt: skip
_MAX_NAME: Final = 255  # what file systems take


def judge(anatomy: Anatomy, inspection: Inspection) -> tuple[Finding, ...]:
    """Report what is wrong with file names: of parts, and of what is inside them."""
    banned = frozenset(inspection.attachments.banned_extensions)
    found: dict[tuple[str, str], Finding] = {}
    for leaf in anatomy.leaves:
        for rule in _name_rules(leaf, banned):
            found.setdefault(
                (rule, leaf.path),
                Finding(
                    stage=STAGE.id,
                    verdict=_VERDICTS[rule],
                    rule=rule,
                    detail=ascii(leaf.name)[:200],
                    part=leaf.part,
                    path=leaf.path,
                    name=leaf.name[:200],
                ),
            )
    return tuple(found.values())[:_MAX_FINDINGS]


def _name_rules(leaf: Leaf, banned: frozenset[str]) -> Iterator[str]:
    extensions = set()
    own = "!" not in leaf.path  # within encrypted documents names are noise
    for name in leaf.names:
        yield from _of_end(name, banned)
        if own:
            yield from _of_own(name, banned)
        *before, last = name.lower().rstrip(_END).split(".")
        if before:
            extensions.add(last.strip())
        dangerous = last.strip() in banned
        hidden = (len(before) > 1 and before[-1].strip() in _INNOCENT) or _BLANKS_BEFORE_EXTENSION.search(
            name
        )
        if dangerous and hidden:
            yield "integrity.name-double-extension"
    if own and len(extensions) > 1:
        yield (
            "integrity.name-conflict"
            if extensions & banned and extensions - banned
            else "integrity.name-differs"
        )


def _of_end(name: str, banned: frozenset[str]) -> Iterator[str]:
    """Yield what hides how a name ends, of whatever file."""
    if _BIDI.search(name):
        yield "integrity.name-bidi"
    if _CLSID.search(name):
        yield "integrity.name-clsid"
    if (trailing := _TRAILING.search(name)) and trailing[1].lower() in banned:
        yield "integrity.name-trailing"


def _of_own(name: str, banned: frozenset[str]) -> Iterator[str]:
    """Yield what is odd in the name of a part."""
    if _MARK.search(name):
        yield "integrity.name-mark"
    if _CONTROL.search(_ESCAPES.sub("", name)) or _MARKED_EXTENSION.search(name):
        yield "integrity.name-control"
    if len(name) > _MAX_NAME and _is_cut_dangerous(name, banned):
        yield "integrity.name-long"


def _is_cut_dangerous(name: str, banned: frozenset[str]) -> bool:
    """Return whether a name ends in a dangerous extension, or would where file systems cut it."""
    return any(piece.rpartition(".")[2].strip().lower() in banned for piece in (name, name[:_MAX_NAME]))


_MAX_FINDINGS: Final = 100
STAGE: Final = Stage(
    id="integrity",
    title="The message is the same to every reader",
    why="What the filter reads as text and the recipient's program as a file passes every scanner in between.",
    cost=2,
    rules=(
        *(
            Rule(id=f"integrity.{name}", verdict=Verdict.MALFORMED, title=title, mode=mode)
            for name, mode, title in _MALFORMED
        ),
        *_OTHER,
    ),
    judge=judge,
)
_VERDICTS: Final = {rule.id: rule.verdict for rule in STAGE.rules}

"""What may be attached: by extension, by content, by claimed type, by number and size; inside archives as well."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from filterd.anatomy import Anatomy, Leaf
from filterd.config.inspection import AttachmentSettings, Inspection
from filterd.findings import Mode
from filterd.parse.kinds import KINDS, extension_of

from .stage import Finding, Rule, Stage, Verdict

# A thousand programs in one archive are no more banned than these.
_MAX_FINDINGS: Final = 20
# Content that runs whatever a person meant to open. Scripts are left out: a text that begins with "#!" is a text.
_PROGRAMS: Final = frozenset({"pe", "elf", "macho", "java-class", "dex", "lnk", "msi", "chm", "hlp"})
_HARMLESS_GROUPS: Final = frozenset({"image", "media", "document", "text", "mail"})
_HARMLESS_MAJORS: Final = frozenset({"image", "audio", "video", "text", "font", "message"})
# Kinds that are zips inside: any of them may claim to be another.
_ZIPS: Final = frozenset({"zip", "ooxml", "odf", "jar", "apk"})
_TEXTS: Final = frozenset(
    {"text", "html", "xml", "svg", "mail", "mbox", "script", "url", "pgp", "sylk", "rtf", "card"}
)
_SEPARATORS: Final = '/\\" \t'
_NO_KIND: Final = frozenset({"unknown", "empty"})
_TYPES: Final = {
    name: frozenset(kind.id for kind in KINDS.values() if name in kind.types)
    for known in KINDS.values()
    for name in known.types
}
_EXTENSIONS: Final = {
    name: frozenset(kind.id for kind in KINDS.values() if name in kind.extensions)
    for known in KINDS.values()
    for name in known.extensions
}
_ON: Final[Mode] = "on"
_WARN: Final[Mode] = "warn"
_RULES: Final = tuple(
    Rule(id=f"attachment.{name}", verdict=Verdict.BANNED, title=title, mode=mode)
    for name, title, mode in (
        ("extension", "A file name ends in one of `[attachments] banned_extensions`", _ON),
        ("kind", "The content is one of `[attachments] banned_kinds`, whatever it is called", _ON),
        ("type", "The claimed type is one of `[attachments] banned_types`", _ON),
        ("disguised", "A program under the name or type of something harmless", _ON),
        ("count", "More attachments than `[attachments] max_count`", _ON),
        ("size", "An attachment of more bytes than `[attachments] max_bytes`", _ON),
        ("type-mismatch", "The content is of another sort than its claimed type or extension", _WARN),
        (
            "disk-image",
            "A disk image, which carries files past the marks that the system sets on downloads",
            "warn",
        ),
    )
)


def judge(anatomy: Anatomy, inspection: Inspection) -> tuple[Finding, ...]:
    """Report what the settings ``[attachments]`` forbid, each with the part, path and name it is about."""
    settings, counts, findings = inspection.attachments, dict.fromkeys((rule.id for rule in _RULES), 0), []
    for rule, leaf, detail in (*_of_leaves(anatomy, settings), *_of_all(anatomy, settings)):
        counts[rule] += 1
        if counts[rule] <= _MAX_FINDINGS:
            findings.append(_finding(rule, leaf, detail))
    return tuple(findings)


def _finding(rule: str, leaf: Leaf | None, detail: str) -> Finding:
    return Finding(
        stage="attachment",
        verdict=Verdict.BANNED,
        rule=rule,
        detail=detail[:200],
        part=leaf.part if leaf else "",
        path=leaf.path if leaf else "",
        name=leaf.name[:200] if leaf else "",
    )


def _of_leaves(anatomy: Anatomy, settings: AttachmentSettings) -> Iterator[tuple[str, Leaf, str]]:
    """Yield rule, leaf and detail for each leaf that a rule about single contents matches."""
    extensions = _extensions(settings.banned_extensions)
    for leaf in anatomy.leaves:
        if "!" in leaf.path and not settings.inside_archives:
            continue
        ends = {_extension(leaf, name): name for name in leaf.names}
        for end in ends.keys() & extensions:
            yield "attachment.extension", leaf, ends[end]
        if leaf.kind in settings.banned_kinds:
            yield "attachment.kind", leaf, KINDS[leaf.kind].title if leaf.kind in KINDS else leaf.kind
        if leaf.claimed in settings.banned_types:
            yield "attachment.type", leaf, leaf.claimed
        if leaf.kind in _PROGRAMS and _looks_harmless(leaf, ends):
            yield "attachment.disguised", leaf, f"{leaf.kind} as {leaf.claimed} {leaf.name}".strip()
        if KINDS[leaf.kind].group == "disk" or (ends.keys() & {"iso", "img", "vhd", "vhdx"}):
            yield "attachment.disk-image", leaf, leaf.kind
        if mismatch := _mismatch(leaf, ends):
            yield "attachment.type-mismatch", leaf, f"{leaf.kind} as {mismatch}"


@lru_cache(maxsize=4)
def _extensions(banned: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower().lstrip(".") for name in banned)


def _extension(leaf: Leaf, name: str) -> str:
    """Return the extension of a name, without separators behind it; a folder of an archive has none."""
    return extension_of(name.rstrip(_SEPARATORS) if leaf.size or "!" not in leaf.path else name)


def _looks_harmless(leaf: Leaf, ends: dict[str, str]) -> bool:
    """Return whether type or extension belong to something that cannot run."""
    groups = {KINDS[kind].group for kind in _TYPES.get(leaf.claimed, ())}
    if groups & _HARMLESS_GROUPS or leaf.claimed.partition("/")[0] in _HARMLESS_MAJORS:
        return True
    kinds = [_EXTENSIONS.get(end, frozenset()) for end in ends]
    return any(known and leaf.kind not in known and _all_harmless(known) for known in kinds)


def _all_harmless(kinds: frozenset[str]) -> bool:
    return all(KINDS[kind].group in _HARMLESS_GROUPS | {"archive"} for kind in kinds)


def _mismatch(leaf: Leaf, ends: dict[str, str]) -> str:
    """Return the claim that the content does not bear out, or ""."""
    if leaf.kind in _NO_KIND:
        return ""
    for claim, known in (
        (leaf.claimed, _TYPES.get(leaf.claimed)),
        *((end, _EXTENSIONS.get(end)) for end in ends),
    ):
        if known and not any(_akin(leaf.kind, kind) for kind in known):
            return claim
    return ""


def _akin(kind: str, claimed: str) -> bool:
    """Return whether one may be called the other without a false claim."""
    if kind == claimed or (kind in _ZIPS and claimed in _ZIPS) or (kind in _TEXTS and claimed in _TEXTS):
        return True
    return KINDS[kind].group == KINDS[claimed].group


def _of_all(anatomy: Anatomy, settings: AttachmentSettings) -> Iterator[tuple[str, Leaf | None, str]]:
    attached = {
        leaf.path: leaf
        for leaf in anatomy.leaves
        if "!" not in leaf.path and (leaf.names or leaf.disposition == "attachment")
    }
    if settings.max_count and len(attached) > settings.max_count:
        yield "attachment.count", None, f"{len(attached)} attachments"
    if settings.max_bytes:
        for leaf in attached.values():
            if leaf.size > settings.max_bytes:
                yield "attachment.size", leaf, f"{leaf.size} bytes"


STAGE: Final = Stage(
    id="attachment",
    title="Attachments are of the permitted sorts",
    why="Most malware by mail is a file that its recipient is to open; what nobody needs by mail is not let in.",
    cost=3,
    rules=_RULES,
    judge=judge,
)

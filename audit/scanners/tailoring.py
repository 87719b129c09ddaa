"""The tailoring of OpenSCAP's profiles to a mail gateway (XCCDF 1.2, 7.5): made from the waivers, never written by hand."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from audit.scanners.errors import ScanError
from audit.scanners.waivers import REFINED, WAIVED, Refined, Waived
from roles.hardening.settings import LEVELS, Level

PROFILES: Final = ("minimal", "intermediary", "enhanced", "high")
_NAMESPACE: Final = "http://checklists.nist.gov/xccdf/1.2"
_CONTENT: Final = "xccdf_org.ssgproject.content"


def published(name: str) -> str:
    """Return the id of one of the content's own profiles."""
    return f"{_CONTENT}_profile_anssi_bp28_{name}"


def own(name: str) -> str:
    """Return the id of the profile that is made of it for a gateway."""
    return f"xccdf_bastide_profile_{name}"


def text(
    content: Path,
    level: Level,
    *,
    waived: Sequence[Waived] = WAIVED,
    refined: Sequence[Refined] = REFINED,
) -> str:
    """Return the tailoring file of a hardening level for a data stream; the same inputs give the same text.

    Raises ScanError for a waiver that names no rule of the content, or a value that it lacks: then it is another release.
    """
    rules, values = _ids(content)
    asked = [each for each in waived if each.below is None or LEVELS.index(level) < LEVELS.index(each.below)]
    lines = [line for each in asked for line in _unselected(each, rules)]
    for each in refined:
        if each.value not in values:
            raise ScanError(f"{content}: no value {each.value}, which audit/scanners/waivers.py refines")
        lines.append(f'    <set-value idref="{_CONTENT}_value_{each.value}">{escape(each.to)}</set-value>')
    profiles = "".join(
        f'  <Profile id="{own(name)}" extends="{published(name)}">\n    <title>Mail gateway, {name}</title>\n'
        + "\n".join(lines)
        + "\n  </Profile>\n"
        for name in PROFILES
    )
    # A version must say when it was made (XCCDF 1.2, 6.2.2): the waivers have no time, the content does.
    made = datetime.fromtimestamp(content.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    named = sha256(profiles.encode()).hexdigest()[:12]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<!-- Written by audit.scanners.tailoring from audit/scanners/waivers.py, where each reason stands. -->\n"
        f'<Tailoring xmlns="{_NAMESPACE}" id="xccdf_bastide_tailoring_gateway">\n'
        f'  <version time="{made}">{named}</version>\n{profiles}</Tailoring>\n'
    )


def _unselected(waived: Waived, rules: frozenset[str]) -> Iterator[str]:
    remark = escape(f"{waived.why} Instead: {', '.join(waived.instead)}.")
    for pattern in waived.rules:
        named = sorted(rule for rule in rules if fnmatchcase(rule, pattern))
        if not named:
            raise ScanError(f"the content has no rule {pattern}, which audit/scanners/waivers.py waives")
        for rule in named:
            yield f'    <select idref="{_CONTENT}_rule_{rule}" selected="false"><remark>{remark}</remark></select>'


def _ids(content: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the short ids of all rules and all values of a data stream."""
    root = ET.parse(content).getroot()  # noqa: S314 - Debian's own file, named by who runs it
    rules, values = (
        frozenset(
            each.get("id", "").rpartition(f"_{kind}_")[2] for each in root.iter(f"{{{_NAMESPACE}}}{tag}")
        )
        for kind, tag in (("rule", "Rule"), ("value", "Value"))
    )
    return rules, values

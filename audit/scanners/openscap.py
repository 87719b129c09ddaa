"""OpenSCAP: the rules that the French agency for the security of information systems (ANSSI, BP-028) asks of a Debian 12."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from audit.scanners import tailoring
from audit.scanners.errors import ScanError
from audit.scanners.figures import Figure, judged
from audit.scanners.host import FOLDER, Scanned
from audit.scanners.shim import shown

# The least score, 0 to 100.
LEAST: Final = 80.0
DATASTREAM: Final = "/usr/share/xml/scap/ssg/content/ssg-debian12-ds.xml"
_WANTED: Final = ("intermediary", "enhanced")
# Exit code 2 says that a rule failed (oscap(8)).
_SCRIPT: Final = """cd {folder}; oscap xccdf eval {more} --profile {profile} --results {folder}/results.xml {folder}/ds.xml \
2>{folder}/errors; code=$?; [ $code = 0 ] || [ $code = 2 ] || {{ tail -n 2 {folder}/errors >&2; exit 1; }}
echo; echo "Score $(grep -o '<score[^>]*>[0-9.]*' {folder}/results.xml | sed 's/.*>//')\""""
_NO_FAULT: Final = ("pass", "notapplicable", "notselected", "informational", "notchecked")
_RESULT: Final = re.compile(r"_rule_([A-Za-z0-9_.-]+)\s+.*?^Result\s+(\S+)", re.MULTILINE | re.DOTALL)


def datastream(path: Path | None) -> Path:
    """Return the file with the content; ScanError names the package that has it."""
    found = path or Path(DATASTREAM)
    if not found.is_file():
        raise ScanError(
            f"{found}: no such file; it is in Debian's package ssg-debian from 0.1.76 on (trixie; it needs nothing of trixie's): "
            "unpack that one with 'dpkg -x' and name the file by --datastream"
        )
    return found


def scanned(host: Scanned, content: Path, profiles: Sequence[str] = tailoring.PROFILES) -> Iterator[Figure]:
    """Have a host judged by each profile as it was published, and as it is tailored to a mail gateway."""
    ours = tailoring.text(content, host.target.gateway.hardening_level).encode()
    host.brought("ds.xml", content.read_bytes())
    tailored = host.brought("tailoring.xml", ours)
    for name in profiles:
        published = _evaluated(host, tailoring.published(name), "")
        own = _evaluated(host, tailoring.own(name), f"--tailoring-file {tailored}")
        yield from figures(name, published, own)


def _evaluated(host: Scanned, profile: str, more: str) -> str:
    return host.run(shown(_SCRIPT.format(folder=FOLDER, more=more, profile=profile)))


def results(text: str) -> dict[str, str]:
    """Return the result of each rule of oscap's output, by the rule's short id."""
    return dict(_RESULT.findall(text.replace("\r", "")))


def score(text: str) -> float:
    """Return the score, 0 to 100; ScanError where there is none."""
    found = re.search(r"^Score ([\d.]+)$", text, re.MULTILINE)
    if not found:
        raise ScanError("OpenSCAP gave no score")
    return float(found[1])


def figures(name: str, published: str, own: str) -> Iterator[Figure]:
    """Give the figures of one profile: as published, which is only told, and as tailored, in which nothing may fail."""
    was, counts = results(published), Counter(results(published).values())
    yield Figure(
        scanner="OpenSCAP",
        about=f"{name}, as published: passed, failed, not applicable, score",
        value=f"{counts['pass']}, {counts['fail']}, {counts['notapplicable']}, {score(published):.1f}",
        judged="told",
        details=tuple(sorted(rule for rule, result in was.items() if result == "fail")),
    )
    now = results(own)
    failed = tuple(sorted(rule for rule, result in now.items() if result not in _NO_FAULT))
    counts = Counter(now.values())
    least = LEAST if name in _WANTED else 0.0
    yield Figure(
        scanner="OpenSCAP",
        about=f"{name}, tailored: passed, failed, not applicable, score",
        value=f"{counts['pass']}, {counts['fail']}, {counts['notapplicable']}, {score(own):.1f}",
        limit=f"no failure, and a score above {least:g}" if least else "no failure",
        judged=judged(good=bool(now) and not failed and score(own) > least),
        details=failed,
    )

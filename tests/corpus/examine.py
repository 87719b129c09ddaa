"""The two ways to examine a mail: the product's parse entry in this process, and `filterd scan` with live engines."""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from filterd.config.inspection import Inspection
from filterd.parse.anatomise import anatomise
from filterd.stages import CONTENT

from .runner import Examine, Sight

_MODES: Final = {rule.id: rule.mode for stage in CONTENT for rule in stage.rules}
_PIECE: Final = 200  # files of one call of filterd scan


def in_process(inspection: Inspection | None = None) -> Examine:
    """Return the examination by `anatomise` alone: what clamd would be shown, and the findings that count."""
    settings = inspection or Inspection()

    def examine(raw: bytes, payload: bytes) -> Sight:
        try:
            anatomy, leaves = anatomise(raw, settings)
        except Exception as error:  # noqa: BLE001 - the daemon makes "not-inspected" of whatever a parse worker dies of
            return Sight(
                seen=False, classes=frozenset({"not-inspected"}), rules=(f"{type(error).__name__}: {error}",)
            )
        counting = [
            one
            for one in anatomy.findings
            if settings.rules.get(one.rule, _MODES.get(one.rule, "on")) == "on"
        ]
        return Sight(
            seen=payload in raw or any(payload in leaf for leaf in leaves),
            exact=any(leaf.startswith(payload) for leaf in leaves),
            classes=frozenset(str(one.verdict) for one in counting),
            rules=tuple(dict.fromkeys(one.rule for one in counting)),
        )

    return examine


class _Found(msgspec.Struct, kw_only=True):
    """A finding, as far as it is read here."""

    rule: str
    verdict: str
    counts: bool


class _Looked(msgspec.Struct, kw_only=True):
    """What one stage found."""

    findings: list[_Found]


class _Scanned(msgspec.Struct, kw_only=True):
    """What `filterd scan --json` says of one file, as far as it is read here (docs/filterd.md has all of it)."""

    stages: list[_Looked]


def live(config: Path, mails: Iterable[tuple[bytes, bytes]]) -> Examine:
    """Return the examination by `filterd scan`, which needs the engines that ``config`` names.

    ``mails``: all (mail, payload) that will be asked for; they are scanned at once, as each call starts a process.
    Raises RuntimeError when the command fails or says nothing about a mail.
    """
    wanted = list(dict.fromkeys(mails))
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        files = []
        for number, (raw, _) in enumerate(wanted):
            file = Path(folder, f"{number:05}.eml")
            file.write_bytes(raw)
            files.append(str(file))
        scanned = [
            one for at in range(0, len(files), _PIECE) for one in _scan(config, files[at : at + _PIECE])
        ]
    known = {raw: one for (raw, _), one in zip(wanted, scanned, strict=True)}
    return lambda raw, _: _sight(known[raw])


def _sight(scanned: _Scanned) -> Sight:
    counting = [one for stage in scanned.stages for one in stage.findings if one.counts]
    classes = frozenset(one.verdict for one in counting)
    caught = "infected" in classes
    return Sight(
        seen=caught,
        exact=caught,
        classes=classes - {"clean"},
        rules=tuple(dict.fromkeys(one.rule for one in counting)),
    )


def _scan(config: Path, files: list[str]) -> list[_Scanned]:
    command = (sys.executable, "-m", "filterd.cli", "scan", "--config", str(config), "--json", *files)
    done = subprocess.run(command, capture_output=True, check=False)
    lines = done.stdout.splitlines()
    if len(lines) != len(files):
        raise RuntimeError(
            f"filterd scan answered {len(lines)} of {len(files)} files, exit code {done.returncode}:"
            f" {done.stderr.decode('utf-8', 'replace')[-2000:]}"
        )
    return [msgspec.json.decode(line, type=_Scanned) for line in lines]

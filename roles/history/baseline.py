"""Baselines: what hosts were like at a time, and what of them has become different since, by a deploy or by somebody else."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

_VERSION: Final = 1
# What begins and ends by itself (services that timers start, bindings of a moment's program) is no drift.
_PASSING: Final = frozenset({"active"})

Sections = Mapping[str, Mapping[str, str]]


class BaselineError(Exception):
    """A picture or a baseline that cannot be read; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One deploy that changed something: when it ended (seconds since 1970), its revision, each value that it left behind."""

    ended: int
    revision: str
    left: Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a host said of itself: when, by section and key, and the deploys that it has filed."""

    taken: int
    sections: Sections
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as it was; ``-`` is a thing that is not there. ``by``: the deploy that made it so, or ""."""

    section: str
    key: str
    was: str
    now: str
    by: str


def read(text: str) -> Picture:
    """Return what ``record show`` printed (roles/history/record.sh). Raises BaselineError for anything else."""
    taken = -1
    sections: dict[str, dict[str, str]] = {}
    runs: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        words = line.split("\t")
        match words:
            case ["taken", seconds]:
                taken = int(seconds)
            case ["run", name, word, value]:
                runs.setdefault(name, {"left": {}})[word] = value
            case ["run", name, section, key, _was, now]:
                runs.setdefault(name, {"left": {}})["left"][section, key] = now
            case [section, key, value]:
                sections.setdefault(section, {})[key] = value
            case _:
                raise BaselineError(f"cannot be read: {line[:80]!r}")
    if taken < 0 or "files" not in sections:
        raise BaselineError("the host did not say what it is like")
    filed = (
        Run(ended=int(run["ended"]), revision=str(run["revision"]), left=run["left"])
        for _, run in sorted(runs.items())
    )
    return Picture(taken=taken, sections=sections, runs=tuple(filed))


def saved(path: Path, pictures: Mapping[str, Picture]) -> None:
    """Write a baseline of these hosts as JSON, for its owner alone: hashes, modes and names, no content and no secret."""
    hosts = {name: {"taken": each.taken, "sections": each.sections} for name, each in pictures.items()}
    text = json.dumps({"version": _VERSION, "hosts": hosts}, indent=1, sort_keys=True) + "\n"
    new = path.with_name(f"{path.name}.new")
    try:
        new.touch(mode=0o600)
        new.write_text(text)
        new.replace(path)
    except OSError as error:
        raise BaselineError(f"{path} cannot be written: {error.strerror}") from error


def loaded(path: Path) -> dict[str, Picture]:
    """Return the hosts of a baseline. Raises BaselineError for a file that is none."""
    try:
        told = json.loads(path.read_text())
        if told["version"] != _VERSION:
            raise BaselineError(f"{path} is of version {told['version']}; save a new one")
        return {
            str(name): Picture(taken=int(host["taken"]), sections=host["sections"], runs=())
            for name, host in told["hosts"].items()
        }
    except OSError as error:
        raise BaselineError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaselineError(f"{path} is no baseline; save one with `drift --save-baseline`") from error


def differences(base: Picture, now: Picture) -> Iterator[Difference]:
    """Give what is different, by section and key; a deploy explains it that ended since and left the value behind."""
    since = [run for run in now.runs if run.ended >= base.taken]
    for section in sorted({*base.sections, *now.sections} - _PASSING):
        before, after = base.sections.get(section, {}), now.sections.get(section, {})
        for key in sorted({*before, *after}):
            was, is_ = before.get(key, "-"), after.get(key, "-")
            if was != is_:
                by = next((run for run in reversed(since) if (section, key) in run.left), None)
                told = _told(by) if by and by.left[section, key] == is_ else ""
                yield Difference(section=section, key=key, was=was, now=is_, by=told)


def _told(run: Run) -> str:
    return f"the deploy of {run.revision} at {datetime.fromtimestamp(run.ended, UTC):%Y-%m-%d %H:%M:%S} UTC"

"""Is this host what it was? `bastide-integrity check|accept|findings`, as root.

Exit codes: 0 all that changed is explained, 2 something is not, 3 it could not look, or was asked wrongly.
"""

import argparse
import json
import os
import pwd
import shutil
import subprocess
import sys
import syslog
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from . import baseline, look, who
from .baseline import DATABASE, HOME
from .database import DatabaseError
from .look import Finding, Look

NOTE: Final = Path("/run/bastide-notes/integrity")
_FOUND: Final = "findings.json"
_BOOK: Final = "explained"
_OWN: Final = str(HOME / DATABASE)
_FINDINGS, _BLIND = 2, 3
_SHOWN: Final = 100
# Where an audit leaves no trace.
_PASSING: Final = "/run"
# How long an audit, which somebody waits for, lets an update end (seconds).
_AUDITED: Final = 60


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_BLIND, f"{self.prog}: {message}\n")


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    options = _parser().parse_args(words)
    if os.geteuid() != 0:
        print("only root sees all of the host: run it by sudo", file=sys.stderr)
        return _BLIND
    os.umask(0o077)
    try:
        if options.command == "findings":
            return _told(_last(), options)
        if options.command == "whole":
            return _whole()
        with look.alone(HOME if options.command != "replay" else options.to):
            return _COMMANDS[options.command](options)
    except Exception as error:  # noqa: BLE001 - a watch that ends without a word is none
        said = f"this host could not be looked at: {error}"
        print(said, file=sys.stderr)
        if not isinstance(error, (DatabaseError, OSError, subprocess.SubprocessError)):
            traceback.print_exception(error)
        if options.command == "check" and not options.dry:
            _note(said)
        return _BLIND


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="bastide-integrity", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="compare with the baseline, explain, and keep what is explained"
    )
    check.add_argument(
        "--deploy",
        action="store_true",
        help="behind a deploy: make the first baseline; findings are no failure",
    )
    check.add_argument(
        "--copy",
        type=Path,
        help="directory of the control host's copy, to compare with in place of the own baseline",
    )
    check.add_argument(
        "--dry",
        action="store_true",
        help="say what has changed, and keep, note and write nothing of it",
    )
    accept = commands.add_parser("accept", help="take over what nobody explains")
    accept.add_argument("--reason", required=True, help="why it is right, for the log")
    accept.add_argument("paths", nargs="+", metavar="PATH", help="as `findings` prints it")
    commands.add_parser("findings", help="what the last look found")
    commands.add_parser("whole", help="say whether the baseline is what the last look left")
    replay = commands.add_parser(
        "replay", help="for the control host: look by a copy of the baseline, and change nothing here"
    )
    replay.add_argument("copy", type=Path)
    replay.add_argument("to", type=Path)
    for each in commands.choices.values():
        each.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _check(options: argparse.Namespace, *, anew: bool = False) -> int:
    """Look. ``anew``: a baseline that is in doubt is made anew of what there is; where a copy took its place, that stays."""
    if options.command == "check" and options.dry:
        return _dry(options)
    wrong = baseline.wrong(HOME)
    by = {"accept": "accept"}.get(options.command, "night")
    copy = None
    if options.command == "check" and options.deploy:
        by, copy = "deploy", options.copy
    if copy:
        _unaltered(copy)
    nothing = not wrong and not (HOME / DATABASE).exists()
    if nothing and copy:
        wrong = f"{HOME} had a baseline, and has none"
    if (anew and wrong) or (nothing and by == "deploy" and not copy):
        with look.unhurried():
            found, wrong = look.first(), ""
    elif wrong and not copy:
        # By what is itself in doubt nothing is compared, and it stays as it is.
        found = look.Look(time.time(), 0, (), (), 0)
    else:
        with look.unhurried():
            found = look.again(copy or HOME, HOME, by)
    return _told(_kept(found, by, wrong, accepted=anew), options, quiet=by == "deploy")


def _kept(found: Look, by: str, wrong: str, *, accepted: bool) -> dict[str, Any]:
    """Write down what a look found, tell it, and return it as plain values."""
    before = {each["path"]: each for each in _last().get("unexplained", ())}
    told = look.as_json(found) | {"by": by}
    # A baseline that was changed stays a finding, though a copy took its place: somebody did it.
    if not accepted and (wrong or _OWN in before):
        note = wrong or str(before[_OWN]["note"])
        told["unexplained"].insert(
            0, Finding(_OWN, "changed", note=f"{note}: compare with the control host's copy")._asdict()
        )
    for each in told["unexplained"]:
        each["first"] = before.get(each["path"], {}).get("first", _at(found.at))
    # Written before anybody is asked: that takes its time where much was found.
    _filed(told)
    if told["explained"]:
        with (HOME / _BOOK).open("a") as book:
            book.writelines(json.dumps({"at": _at(found.at), **each}) + "\n" for each in told["explained"])
    _note(_summary(told["unexplained"]))
    if _ask(told, before):
        _filed(told)
    return told


def _filed(told: dict[str, Any]) -> None:
    baseline.put(HOME / _FOUND, (json.dumps(told, indent=1) + "\n").encode())


def _summary(unexplained: Sequence[dict[str, Any]]) -> str:
    if not unexplained:
        return ""
    first = _plain(str(unexplained[0]["path"]))
    return (
        f"{len(unexplained)} changes of this host are explained by no package, deploy or administrator, the first since "
        f"{unexplained[0]['first']}: {first}; `bastide-integrity findings` says all"
    )


def _accept(options: argparse.Namespace) -> int:
    known = {each["path"]: each["now"] for each in _last().get("unexplained", ())}
    if unknown := [path for path in options.paths if path not in known]:
        print(
            f"the last look found nothing at {_plain(unknown[0])}; `bastide-integrity findings` prints what it found",
            file=sys.stderr,
        )
        return _BLIND
    when, who = time.time(), _person()
    # As it was seen, and not as it may be meanwhile.
    told = {"at": _at(when), "when": when, "reason": options.reason, "who": who}
    with (HOME / look.ACCEPTED).open("a") as book:
        book.writelines(
            json.dumps({"path": path, "now": known[path], **told}) + "\n" for path in options.paths
        )
    for path in options.paths:
        said = f"integrity: {who} accepts {_plain(path)}: {_plain(options.reason)}"
        syslog.syslog(syslog.LOG_AUTH | syslog.LOG_NOTICE, said)
    return _check(options, anew=_OWN in options.paths)


def _person() -> str:
    """Return who logged in, whoever he has become since."""
    try:
        return pwd.getpwuid(int(Path("/proc/self/loginuid").read_text())).pw_name
    except (KeyError, OSError, ValueError):
        return os.environ.get("SUDO_USER", "root")


def _replay(options: argparse.Namespace) -> int:
    """Look by a copy that was kept elsewhere; what comes of it goes into a directory of the control host's."""
    _unaltered(options.copy)
    shutil.copy2(options.copy / baseline.CHAIN, options.to / baseline.CHAIN)
    with look.unhurried():
        found = look.again(options.copy, options.to, "replay", config=options.copy / baseline.CONFIG)
    wrong = baseline.wrong(HOME)
    own = (
        [Finding(_OWN, "changed", note=wrong)]
        if wrong
        else look.doubted(HOME, options.copy, options.to, frozenset(path for path, _, _ in found.explained))
    )
    told = look.as_json(found._replace(findings=(*own, *found.findings)))
    _ask(told, {})
    return _told(told, options)


def _dry(options: argparse.Namespace) -> int:
    """Look by the baseline, and change nothing of it: for audits."""
    if wrong := baseline.wrong(HOME):
        found = look.Look(time.time(), 0, (), (Finding(_OWN, "changed", note=wrong),), 0)
    else:
        with (
            look.unhurried(_AUDITED),
            tempfile.TemporaryDirectory(dir=_PASSING, prefix="bastide-integrity-") as place,
        ):
            found = look.again(HOME, Path(place), "dry")
    return _told(look.as_json(found), options)


def _unaltered(copy: Path) -> None:
    if wrong := baseline.wrong(copy):
        raise DatabaseError(
            f"the copy is not what was kept: {wrong}; find out who changed it, or remove it on the control host and deploy again"
        )


def _ask(told: dict[str, Any], before: dict[str, dict[str, Any]]) -> bool:
    """Write down who did what nobody explains, as far as it is known; returns whether there was anything to ask.

    ``before``: what the last look found of each path. What has not changed since was asked then, since a moment before it happened.
    """
    found = [each for each in told["unexplained"] if each["path"] != _OWN]
    fresh: list[str] = []
    asked: list[str] = []
    for each in found:
        last = before.get(each["path"], {})
        each["who"] = last.get("who", "") if last.get("now") == each["now"] else ""
        if not each["who"]:
            (asked if last.get("now") == each["now"] else fresh).append(each["path"])
    known = who.several((*fresh, *asked), told["since"])
    for each in found:
        each["who"] = each["who"] or known.get(each["path"], "")
    return bool(found)


def _whole() -> int:
    wrong = baseline.wrong(HOME) or ("" if (HOME / DATABASE).exists() else f"{HOME} has no baseline")
    print(wrong or "whole")
    return _FINDINGS if wrong else 0


def _last() -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((HOME / _FOUND).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return told


def _told(found: dict[str, Any], options: argparse.Namespace, *, quiet: bool = False) -> int:
    """Print what was found; returns the exit code."""
    if not found:
        raise DatabaseError(f"nobody has looked yet: {HOME / _FOUND} is missing")
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join(_lines(found)))
    return 0 if quiet or not found["unexplained"] else _FINDINGS


def _lines(found: dict[str, Any]) -> Iterable[str]:
    for each in found["unexplained"][:_SHOWN]:
        yield f"{each['what']}: {_plain(each['path'])}"
        yield from (
            f"    {name}: {_plain(text)}"
            for name in ("was", "now")
            if (text := ", ".join(f"{a} {b}" for a, b in each[name].items()))
        )
        if each["changed"]:
            yield f"    written {each['modified']}, changed {each['changed']}"
        yield from (f"    {name}: {_plain(each[name])}" for name in ("who", "note") if each[name])
    if len(found["unexplained"]) > _SHOWN:
        yield f"and {len(found['unexplained']) - _SHOWN} more: --json prints all"
    by: dict[str, int] = {}
    for each in found["explained"]:
        by[each["by"]] = by.get(each["by"], 0) + 1
    yield from (f"explained: {count} by {_plain(why)}" for why, count in sorted(by.items())[:_SHOWN])
    yield f"{found['watched']} paths watched, {len(found['explained'])} changes explained, {len(found['unexplained'])} not"


def _plain(text: str) -> str:
    """Return a text without what a terminal or a log would obey."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _at(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def _note(text: str) -> None:
    """Have the daily report say it, and alert when it changes (docs/reports.md)."""
    before = NOTE.read_text().strip() if NOTE.exists() else ""
    if text != before:
        syslog.syslog(
            syslog.LOG_MAIL | syslog.LOG_ALERT, f"integrity: {text or 'all changes are explained again'}"
        )
    if text:
        if not NOTE.parent.exists():
            NOTE.parent.mkdir()
            NOTE.parent.chmod(0o755)
        fresh = NOTE.with_name(f".{NOTE.name}")
        fresh.write_text(f"{text}\n")
        fresh.chmod(0o644)
        fresh.replace(NOTE)
    else:
        NOTE.unlink(missing_ok=True)


_COMMANDS: Final = {"check": _check, "accept": _accept, "replay": _replay}

"""Our few pyinfra operations: each convergent, so that a run that died is finished by the next one."""

import json
import shlex
from collections.abc import Callable, Generator, Sequence
from hashlib import sha256
from io import StringIO
from pathlib import PurePosixPath
from typing import cast

from pyinfra import host
from pyinfra.api import FactBase, FileUploadCommand, StringCommand, deploy, operation
from typing_extensions import override

from roles.history.paths import HISTORY
from roles.managers import APT, Manager
from roles.platforms import Platform
from roles.rendering import BuiltFile, OwnedFile
from roles.settings import Gateway

RUN_DIRECTORY = "/run/bastide"
# Where watchers of the host say what is wrong, a file each, for the daily report. Their scripts, which import nothing of ours, name it too.
NOTES = "/run/bastide-notes"
_RUN = f"{HISTORY}/begin"
# What each of our scripts begins with. What it makes is as readable as it would be under Debian's own umask: the login's may
# be stricter (hardening.umask), and daemons read below the directories that are made here. And the first one of a run
# records what the host is (roles/history), each one when it ended, and who was on the host then: if the run dies, what comes later is
# somebody else's.
_ENDED = (
    f"if [ -d {_RUN} ]; then (umask 077; mkdir -p {_RUN}/people/etc; "
    f"cp -u /etc/passwd /etc/group /etc/*shadow /etc/sub?id {_RUN}/people/etc/ 2>/dev/null) || true; "
    f"rm -f {_RUN}/running; touch {_RUN}/mark; fi"
)
PRELUDE = (
    f"umask 022\n[ -d {_RUN} ] || [ ! -e {HISTORY}/record ] || sh {HISTORY}/record begin\n"
    f"[ ! -d {_RUN} ] || {{ touch {_RUN}/mark {_RUN}/running; trap '{_ENDED}' EXIT; }}\n"
)

Layer = Callable[[Gateway, Platform], None]
Commands = Generator[StringCommand | FileUploadCommand, None, None]


def shell(script: str) -> StringCommand:
    """Return a command that stops at the first failure of a script, and before it where the host cannot be recorded."""
    return StringCommand("sh", "-e", "-c", shlex.quote(PRELUDE + script))


def plainly(script: str) -> StringCommand:
    """Return a command that keeps books and changes nothing of what the host does: for it no record of the host is begun."""
    return StringCommand("sh", "-e", "-c", shlex.quote(f"umask 077; {script}"))


def layer(title: str) -> Callable[[Layer], Layer]:
    """Return the decorator of a layer's ``apply``: it puts the title before the names of the operations inside."""
    # pyinfra types what it returns as an operation, with an operation's arguments.
    return cast("Callable[[Layer], Layer]", deploy(title))


class PackagesMissing(FactBase[list[str]]):
    """Which of some packages are not installed, and what of ours a dead run of the package manager left."""

    default = list

    @override
    def command(self, packages: Sequence[str], manager: Manager = APT) -> str:
        return manager.missing(packages)

    @override
    def process(self, output: list[str]) -> list[str]:
        return list(output)


@operation()
def packages_installed(packages: Sequence[str], manager: Manager = APT) -> Commands:
    """Install packages without their recommendations and without starting what they bring."""
    missing = host.get_fact(PackagesMissing, packages=packages, manager=manager)
    if not missing:
        host.noop(f"{', '.join(packages)} installed")
        return
    yield shell(manager.installed(missing))


class FileStates(FactBase[dict[str, str]]):
    """Content hash, mode, owner and group of some files, as one text a path; a file that is not there is left out."""

    default = dict

    @override
    def command(self, paths: Sequence[str]) -> str:
        names = " ".join(shlex.quote(path) for path in paths)
        return (
            f"for p in {names}; do [ -f $p ] && ! [ -L $p ] && "
            "echo $(sha256sum <$p | cut -c1-64) $(stat -c '%a %U %G' $p) $p; done; true"
        )

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        states = (line.rsplit(" ", 1) for line in output)
        return {path: state for state, path in states}


class BuiltStates(FactBase[list[str]]):
    """Which built files are not what their sources on the host make of them."""

    default = list

    @override
    def command(self, built: Sequence[BuiltFile]) -> str:
        asked = "; ".join(f"( {each.current} ) >/dev/null 2>&1 || echo {each.path}" for each in built)
        return f"{asked}; true"

    @override
    def process(self, output: list[str]) -> list[str]:
        return list(output)


# Fails where somebody has made a file unchangeable (chattr(1)), which is no deploy's to take back.
_CHANGEABLE = (
    "fixed=$(lsattr -d -- {paths} 2>/dev/null | sed -n 's/^[^ ]*[ia][^ ]* *//p' | tr '\\n' ' '); "
    '[ -z "$fixed" ] || {{ echo "somebody has made unchangeable what a deploy writes: $fixed- run chattr -ia on it and deploy again" '
    ">&2; exit 1; }}"
)


@operation()
def files_owned(files: Sequence[OwnedFile], check: str = "", built: Sequence[BuiltFile] = ()) -> Commands:
    """Make some files what they should be, all of them or none.

    They are staged below a private directory that mirrors the host's root. ``check`` is a shell command that sees that
    directory as ``$stage``; when it fails the live files stay as they were and the operation fails. Then each file is
    renamed into its place, and with them those that the check has built of them there, as it left them.
    """
    states = host.get_fact(FileStates, paths=[file.path for file in files])
    stale = host.get_fact(BuiltStates, built=built) if built else []
    if all(states.get(file.path) == _state(file) for file in files) and not stale:
        host.noop(f"{', '.join(file.path for file in files)} as wanted")
        return
    stage = f"{RUN_DIRECTORY}/stage"
    directories = sorted({f"{stage}{PurePosixPath(file.path).parent}" for file in files})
    yield shell(f"rm -rf {stage}; umask 077; mkdir -p {' '.join(directories)}")
    for file in files:
        yield FileUploadCommand(StringIO(file.content), f"{stage}{file.path}")
    for file in files:
        yield shell(
            f"chown {file.owner}:{file.group} {stage}{file.path}; chmod {file.mode} {stage}{file.path}"
        )
    if check:
        yield shell(f"stage={stage}; {check}")
    paths = [*(file.path for file in files), *(file.path for file in built)]
    moves = "\n".join(
        f"mkdir -p {PurePosixPath(path).parent}; cp -p {stage}{path} {path}.bastide-new; "
        f"mv -f {path}.bastide-new {path}"
        for path in paths
    )
    written = f"[ ! -d {_RUN} ] || printf '%s\\n' {' '.join(map(shlex.quote, paths))} >>{_RUN}/written"
    # Before the first is moved: all of them or none.
    changeable = _CHANGEABLE.format(paths=" ".join(shlex.quote(file.path) for file in files))
    yield shell(f"{changeable}\n{written}\n{moves}\nrm -rf {stage}")


def _state(file: OwnedFile) -> str:
    return f"{sha256(file.content.encode()).hexdigest()} {file.mode} {file.owner} {file.group}"


class UnitState(FactBase[dict[str, str]]):
    """How a systemd unit stands to the files it was started with; see ``unit_current``."""

    default = dict

    @override
    def command(self, unit: str, files: Sequence[str], stamp: str) -> str:
        names = " ".join(files)
        return f"""want=$(for p in {names}; do if [ -L $p ]; then readlink $p; else cat $p; fi; done 2>/dev/null | sha256sum | cut -c1-64)
newest=$(stat -c %Z {names} 2>/dev/null | sort -n | tail -n 1)
started=$(systemctl show -p ActiveEnterTimestamp --value {unit})
stamp={RUN_DIRECTORY}/{stamp}.stamp
printf '{{"want":"%s","have":"%s","active":"%s","enabled":"%s","stale":"%s","newest":"%s","started":"%s","stamped":"%s"}}\\n' \
"$want" "$(cat $stamp 2>/dev/null)" "$(systemctl is-active {unit})" "$(systemctl is-enabled {unit} 2>/dev/null)" \
"$(systemctl show -p NeedDaemonReload --value {unit})" "$newest" "$(date -d "${{started:-@0}}" +%s)" "$(stat -c %Y $stamp 2>/dev/null)" """

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        state: dict[str, str] = json.loads(output[-1])
        return state


@operation()
def unit_current(
    unit: str,
    files: Sequence[str],
    *,
    on_change: str = "reload-or-restart",
    along: Sequence[str] = (),
    stamp: str = "",
) -> Commands:
    """Have a unit enabled, running, and running with the present content of ``files``.

    ``on_change`` is the systemctl(1) verb that makes the daemon read them anew; it takes the units ``along`` with it.
    What the daemon runs with is known by a stamp (named for the unit, or ``stamp``) that is written after that verb
    succeeded, or else by the unit having started after the last change; so a reload that was due when an earlier run
    died is made up for.
    """
    stamp = stamp or unit
    state = host.get_fact(UnitState, unit=unit, files=files, stamp=stamp)
    running = state["active"] == "active"
    newest = int(state["newest"] or 0)
    # The same content is not enough: changed by hand, reloaded and put back, it is not what the daemon runs with.
    stamped = state["want"] == state["have"] and newest <= int(state["stamped"] or 0)
    current = stamped or (not state["have"] and newest < int(state["started"]))
    if running and current and state["enabled"] in ("enabled", "static") and state["stale"] != "yes":
        host.noop(f"{unit} runs with its present configuration")
        return
    units = " ".join((unit, *along))
    yield shell("systemctl daemon-reload")
    if state["enabled"] not in ("enabled", "static"):
        yield shell(f"systemctl --quiet enable {unit}")
    if not running:
        yield shell(f"systemctl reset-failed {unit} 2>/dev/null || true; systemctl start {units}")
    elif not current:
        yield shell(f"systemctl {on_change} {units}")
    yield shell(
        f"mkdir -p {RUN_DIRECTORY}; systemctl is-active --quiet {unit}; echo {state['want']} >{RUN_DIRECTORY}/{stamp}.stamp"
    )


def still_so(question: str, wanted: str) -> str:
    """Return the script that fails, and says what it is, where a question is not answered as wanted after its remedy."""
    return (
        f"answer=$({question}\n) || true\n"
        f'[ "$answer" = {shlex.quote(wanted)} ] || {{ echo "still: $answer" >&2; exit 1; }}'
    )


class ShellAnswer(FactBase[str]):
    """The standard output of a shell command, whatever its exit code."""

    default = str

    @override
    def command(self, command: str) -> str:
        return f"( {command} ) 2>/dev/null || true"

    @override
    def process(self, output: list[str]) -> str:
        return "\n".join(output)


@operation()
def converged(question: str, wanted: str, remedy: str) -> Commands:
    """Run ``remedy`` unless the shell command ``question`` answers ``wanted`` already."""
    if host.get_fact(ShellAnswer, command=question) == wanted:
        host.noop(f"{question} answers {wanted}")
        return
    yield shell(remedy)

"""What decides logins: written while a timer, and the next boot, hold what was there before; a new login alone confirms it."""

import shlex
from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from roles.confirming import Commands, armed, confirmation
from roles.hardening.paths import UNCONFIRMED
from roles.operations import ShellAnswer, files_owned, shell, still_so
from roles.rendering import OwnedFile

_UNIT = "bastide-logins-rollback"
_PLACE = "/var/lib/bastide"
_FORMER = f"{_PLACE}/former"
# What a boot runs while nobody has confirmed what is live.
_BOOT = "/etc/systemd/system/bastide-logins-back.service"
_WANTED = "/etc/systemd/system/sysinit.target.wants/bastide-logins-back.service"
_BOOT_UNIT = f"""[Unit]
Description=Bastide: what decides logins as it was, for nobody has confirmed what is there
DefaultDependencies=no
ConditionPathExists={UNCONFIRMED}
RequiresMountsFor={_PLACE} /etc /usr/share /var/lib
After=local-fs.target
Before=sysinit.target {{daemon}} {{socket}} systemd-user-sessions.service

[Service]
Type=oneshot
ExecStart=/bin/sh {UNCONFIRMED}
"""
_CONFIRMED = f"rm -f {UNCONFIRMED} {_WANTED} {_BOOT}"

# A question, the answer that is wanted, and what brings it about.
State = tuple[str, str, str]


@operation()
def logins_confirmed(  # noqa: PLR0917 - an operation's arguments are named where it is called
    files: Sequence[OwnedFile],
    check: str,
    daemon: str,
    guarding: Sequence[str],
    seconds: int,
    states: Sequence[State] = (),
) -> Commands:
    """Make some files what they should be as ``files_owned`` does, and have those of logins bring the former ones back by themselves.

    The paths ``guarding`` say who may log in, whoever writes them, and ``daemon`` is the unit that reads them anew when told.
    ``states`` are brought about behind the files, in the same time; one whose remedy does not help fails the run.
    """
    commands = list(files_owned._inner(files=files, check=check))  # noqa: SLF001 - pyinfra's name for an operation's generator
    asked = "\n".join(
        f"{differs(question, wanted)} || echo {number}" for number, (question, wanted, _) in enumerate(states)
    )
    answer = host.get_fact(ShellAnswer, command=asked).split() if states else []
    differing = [state for number, state in enumerate(states) if str(number) in answer]
    if not commands and not differing:
        return
    *staged, moved = commands or [shell("true")]
    yield from staged
    yield shell(armed(_UNIT, _kept(guarding, daemon), _brought_back(guarding, daemon), seconds))
    yield moved
    for remedy in dict.fromkeys(remedy for _, _, remedy in differing):
        yield shell(remedy)
    yield from (shell(still_so(question, wanted)) for question, wanted, _ in differing)
    yield shell(f"! systemctl is-active --quiet {daemon} || systemctl reload {daemon}")
    yield confirmation(_UNIT, seconds, "configuration of logins", _CONFIRMED)


def differs(question: str, wanted: str) -> str:
    """Return the test of a shell that fails where a question is not answered as wanted."""
    return f'[ "$( ( {question}\n) 2>/dev/null)" = {shlex.quote(wanted)} ]'


def _kept(paths: Sequence[str], daemon: str) -> str:
    """Return the script that keeps some files, and has the next boot bring them back."""
    names = " ".join(paths)
    boot = _BOOT_UNIT.format(daemon=daemon, socket=daemon.replace(".service", ".socket"))
    return (
        f"rm -rf {_FORMER}; install -d -m 700 {_FORMER}\n"
        f"for p in {names}; do [ ! -e $p ] || {{ mkdir -p {_FORMER}${{p%/*}}; cp -p $p {_FORMER}$p; }}; done; touch {_FORMER}/whole\n"
        f"mkdir -p {_WANTED.rpartition('/')[0]}\n"
        f"cat >{_BOOT} <<'END'\n{boot}END\nln -sf {_BOOT} {_WANTED}\n"
        # Last, for the unit goes by it: what it brings back is whole by now, and live is nothing yet.
        f"sync\ncat >{UNCONFIRMED}.new <<'END'\n{_returned(paths)}\n{_CONFIRMED}\nEND\nmv {UNCONFIRMED}.new {UNCONFIRMED}"
    )


def _returned(paths: Sequence[str]) -> str:
    # By a copy that is not whole nothing is taken away.
    names = " ".join(paths)
    return (
        f"[ ! -e {_FORMER}/whole ] || for p in {names}; do "
        f"if [ -e {_FORMER}$p ]; then cp -p {_FORMER}$p $p; else rm -f $p; fi; done"
    )


def _brought_back(paths: Sequence[str], daemon: str) -> str:
    return f"{_returned(paths)}; systemctl reload {daemon}; {_CONFIRMED}"

"""Put the operating system's defences on a host."""

import base64
from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import FactBase, FileUploadCommand, StringCommand, operation
from typing_extensions import override

from roles.hardening import paths
from roles.hardening.beginning import states_of_pam
from roles.hardening.defences import DEFENCES
from roles.hardening.defences.passwords import UPDATE
from roles.hardening.files import CHECKS, files, sysctl_file
from roles.kinds import IN_CONTAINER, HostState
from roles.logins import logins_confirmed
from roles.operations import (
    ShellAnswer,
    converged,
    layer,
    packages_installed,
    shell,
    still_so,
    unit_current,
)
from roles.parameters import parameters_set
from roles.platforms import Platform
from roles.settings import Gateway

# What is enabled at every level, as Debian's packages do it.
_OF_MACHINES = ("chrony.service", "auditd.service", "acct.service")


@layer("Hardening")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Set kernel parameters, accounts, PAM, modes, logs and sshd's options; none of it ends a session that is open."""
    packages_installed(
        name="Install what hardening configures",
        packages=_packages(gateway, platform),
        manager=platform.manager,
    )
    parameters_set(gateway, DEFENCES, [sysctl_file(gateway)], paths.SYSCTL)
    own = list(files(gateway, platform))
    logins_confirmed(
        name="Write the system's configuration",
        files=own,
        check=platform.here("; ".join(CHECKS)),
        daemon=platform.unit("ssh.service"),
        guarding=[
            *(file.path for file in own if file.path.startswith(paths.OF_LOGINS)),
            *(paths.PAM_WRITTEN if platform.pam == "pam-auth-update" else ()),
        ],
        seconds=gateway.firewall_confirm_seconds,
        states=[
            (state.question(gateway), state.wanted(gateway), state.remedy_of(gateway))
            for _, state in states_of_pam(gateway)
        ],
    )
    states_converged(
        name="Bring about what no file says",
        states=[
            (state.question(gateway), state.wanted(gateway), state.remedy_of(gateway), bool(state.needs))
            for defence in DEFENCES
            if defence.stands(gateway)
            for state in defence.sets
            if isinstance(state, HostState) and state.remedy != UPDATE
        ],
    )
    written = {file.path for file in own}
    _units_run(written, platform)
    unit_current(
        name="Run sshd with its options",
        unit=platform.unit("ssh.service"),
        files=(paths.SSHD,),
        on_change="reload",
    )


def _packages(gateway: Gateway, platform: Platform) -> list[str]:
    remote = platform.parts["remote-log"] if gateway.hardening.remote_log.host else ()
    return [*platform.packages["hardening"], *remote]


def _units_run(written: set[str], platform: Platform) -> None:
    """Have the units run that record, keep the time and mount; what takes a machine is only enabled in a container."""
    contained = host.get_fact(ShellAnswer, command=f"{IN_CONTAINER} && echo yes") == "yes"
    unit_current(
        name="Keep the journal as configured",
        unit="systemd-journald.service",
        files=(paths.JOURNALD,),
        on_change="restart",
    )
    if paths.MOUNTS_UNIT in written:
        unit_current(
            name="Mount what everybody may write",
            unit="bastide-mounts.service",
            files=(paths.MOUNTS_UNIT,),
            on_change="restart",
        )
    unit_current(name="Run the rotation of logs", unit="logrotate.timer", files=(), on_change="start")
    if paths.RSYSLOG in written:
        unit_current(
            name="Send the log to its server",
            unit="rsyslog.service",
            files=(paths.RSYSLOG,),
            on_change="restart",
        )
    if contained:
        if not platform.enables:
            units = " ".join(platform.unit(unit) for unit in _OF_MACHINES)
            disabled = f"for u in {units}; do systemctl is-enabled --quiet $u || echo $u; done"
            converged(
                name="Enable what a container does not run",
                question=disabled,
                wanted="",
                remedy=f"systemctl --quiet enable {units}",
            )
        return
    unit_current(
        name="Keep the time",
        unit=platform.unit("chrony.service"),
        files=(platform.here(paths.CHRONY),),
        on_change="restart",
    )
    if paths.AUDIT_RULES in written:
        unit_current(name="Record what the kernel sees", unit="auditd.service", files=(), on_change="start")
        converged(
            name="Load the audit's rules",
            question="augenrules --check 2>&1 | grep -c 'No change'",
            wanted="1",
            remedy="augenrules --load >/dev/null",
        )
        unit_current(
            name="Account for processes", unit=platform.unit("acct.service"), files=(), on_change="start"
        )


class HostStates(FactBase[dict[int, str]]):
    """What a host answers to some questions, by their numbers; those that were not asked, for want of a machine, are left out.

    ``machine``: the numbers of the questions that only a machine with a kernel of its own can answer.
    """

    default = dict

    @override
    def command(self, questions: Sequence[str], machine: Sequence[int]) -> str:
        parts = [f"{IN_CONTAINER} && c=1 || c="]
        for number, question in enumerate(questions):
            asked = f"echo state {number} $( ( {question}\n) 2>/dev/null | base64 -w 0)"
            parts.append(f'[ "$c" ] && echo state {number} - || {asked}' if number in machine else asked)
        return "\n".join(parts)

    @override
    def process(self, output: list[str]) -> dict[int, str]:
        answers = {}
        for words in (line.split() for line in output):
            if words[:1] == ["state"] and words[2:] != ["-"]:
                answer = base64.b64decode("".join(words[2:])).decode("utf-8", "replace")
                answers[int(words[1])] = answer.strip()
        return answers


@operation()
def states_converged(
    states: Sequence[tuple[str, str, str, bool]],
) -> Generator[StringCommand | FileUploadCommand, None, None]:
    """Bring about some states, each a question, the answer that is wanted, a remedy, and whether it takes a machine.

    All are asked in one round trip. After a remedy its question is asked again: one that did not help fails the run.
    """
    machine = [number for number, (_, _, _, needs) in enumerate(states) if needs]
    answers = host.get_fact(HostStates, questions=[question for question, *_ in states], machine=machine)
    differing = [number for number, answer in answers.items() if answer != states[number][1]]
    if not differing:
        host.noop("all of it is so")
        return
    for remedy in dict.fromkeys(states[number][2] for number in differing):
        yield shell(remedy)
    yield shell("\n".join(still_so(states[number][0], states[number][1]) for number in differing))

"""The nightly updates' defences."""

from collections.abc import Mapping
from typing import Final

from roles.defence import Defence
from roles.kinds import FileMode, HostAnswer, UnitOption, Value
from roles.platforms import row

HOME: Final = "/var/lib/bastide-updates"
PROGRAMS: Final = "/usr/local/sbin"
UNITS: Final = "/etc/systemd/system"
SERVICE: Final = "bastide-update.service"
TIMER: Final = "bastide-update.timer"
RESUME_SERVICE: Final = "bastide-resume.service"
RESUME_TIMER: Final = "bastide-resume.timer"
REBOOT_SERVICE: Final = "bastide-reboot.service"
REBOOT_TIMER: Final = "bastide-reboot.timer"
WATCH_SERVICE: Final = "bastide-watch.service"
WATCH_TIMER: Final = "bastide-watch.timer"
DOOR_SERVICE: Final = "bastide-door.service"
# What else may update on a host with dnf.
OTHERS: Final = (
    "'dnf-automatic*.timer' dnf5-automatic.timer yum-cron.service packagekit-offline-update.service"
)
# What a host is asked, by its package manager, and how it answers.
_ALONE: Final = {
    "apt": ("apt-config dump APT::Periodic::Enable", r'APT::Periodic::Enable "0";'),
    "dnf": (
        f"systemctl list-unit-files --state=enabled --no-legend {OTHERS} | grep -c . || true",
        "0",
    ),
}
_KEEPS: Final = {
    "apt": ("apt-config dump APT::Keep-Downloaded-Packages", r'APT::Keep-Downloaded-Packages "true";'),
    "dnf": ("dnf -q download --help >/dev/null 2>&1 && echo fetches", "fetches"),
}
_BARS: Final = {
    "apt": ("readlink /etc/apt/preferences.d/bastide-updates.pref", f"{HOME}/preferences"),
    "dnf": (
        "sed -n 's/^locklist *= *//p' /etc/dnf/plugins/versionlock.conf",
        "/etc/dnf/plugins/versionlock.list",
    ),
}


def _asked(by: Mapping[str, tuple[str, str]]) -> tuple[Value, Value]:
    """Return a question and the pattern of its answer, each by the gateway's package manager."""
    return (
        lambda gateway: by[row(gateway).manager.name][0],
        lambda gateway: by[row(gateway).manager.name][1],
    )


def _answer(subject: str, by: Mapping[str, tuple[str, str]], refuted_by: str) -> HostAnswer:
    command, matches = _asked(by)
    return HostAnswer(subject=subject, command=command, matches=matches, refuted_by=refuted_by)


DEFENCES = (
    Defence(
        id="updates.nightly",
        title="Updates are installed each night, by one program",
        why="Most break-ins come by holes for which there was an update; two programs that update are in each other's way.",
        rows=("H14",),
        sets=(
            UnitOption(unit=TIMER, option="ActiveState", value="active"),
            UnitOption(unit=TIMER, option="UnitFileState", value="enabled"),
            # Of the last night's; one that has not run yet has not failed.
            UnitOption(unit=SERVICE, option="Result", value="success"),
            _answer("the distribution's own timers have nothing to do", _ALONE, 'APT::Periodic::Enable "1";'),
        ),
        unseen="Which versions run no stranger is told; the acceptance tests give the gateway a newer package.",
        weight=9,
    ),
    Defence(
        id="updates.security-source",
        title="A repository is asked that gives out what is to be installed",
        why="Without the line that names it nothing is ever newer, and each night succeeds.",
        rows=("H14",),
        sets=(
            HostAnswer(
                subject="repositories of the declared kind",
                command=f"{PROGRAMS}/bastide-update sources | grep -c '=' || true",
                matches=r"[1-9]\d*",
                refuted_by="0",
            ),
        ),
        unseen="It is a line of a file on the host.",
        weight=8,
    ),
    Defence(
        id="updates.gate",
        title="After an update mail flows only once it is seen that it is filtered",
        why="An update may leave a filter that answers and finds nothing; everybody would learn of it by what came through.",
        rows=("H14", "H15", "P04"),
        sets=(
            FileMode(path=f"{PROGRAMS}/bastide-gate", mode="755"),
            FileMode(path=f"{PROGRAMS}/bastide-update", mode="755"),
            FileMode(path=HOME, mode="755"),
            UnitOption(unit=RESUME_TIMER, option="ActiveState", value="active"),
            UnitOption(unit=RESUME_TIMER, option="UnitFileState", value="enabled"),
            UnitOption(unit=RESUME_SERVICE, option="Result", value="success"),
            HostAnswer(
                subject="mail is on hold",
                command=f"test -d {HOME} && {{ test -e {HOME}/hold && echo yes || echo no; }}",
                matches="no",
                refuted_by="yes",
            ),
        ),
        unseen="It is asked when packages change; the acceptance tests install packages that break the filter, under traffic.",
        weight=8,
    ),
    Defence(
        id="updates.hold-told",
        title="A hold that lasts is said, whatever hangs or is full",
        why="A program that waits for ever says nothing, and mail would be put off for days before somebody asks where it is.",
        rows=("H14", "P04"),
        sets=(
            UnitOption(unit=WATCH_TIMER, option="ActiveState", value="active"),
            UnitOption(unit=WATCH_TIMER, option="UnitFileState", value="enabled"),
            UnitOption(unit=WATCH_SERVICE, option="Result", value="success"),
            HostAnswer(
                subject="an alert of which no mail could be sent for an hour",
                command=f"test -d {HOME} && {{ find {HOME}/untold -name '*.json' -mmin +60 2>/dev/null | grep -q . "
                "&& echo yes || echo no; }",
                matches="no",
                refuted_by="yes",
            ),
        ),
        unseen="It says something only when something hangs; the acceptance tests have a package's script hang.",
        weight=6,
    ),
    Defence(
        id="updates.door",
        title="While packages change nobody reaches the MTA",
        why="An update may leave an MTA that asks no filter: the filter's own hold would not be asked, and mail pass unseen.",
        rows=("H15", "P04"),
        sets=(
            HostAnswer(
                subject="a hold that outlives a boot keeps mail away from the MTA",
                command=f"systemctl is-enabled {DOOR_SERVICE} 2>/dev/null || true",
                matches="enabled",
                refuted_by="disabled",
            ),
            HostAnswer(
                subject="who may take the lock that an update waits for",
                command="test -x /usr/local/sbin/bastide-update && "
                "{ find /run/bastide-update.lock -perm /077 2>/dev/null | grep -q . && echo anybody || echo root; }",
                matches="root",
                refuted_by="anybody",
            ),
        ),
        unseen="It is shut only while packages change; the acceptance tests give the gateway an MTA that asks no filter.",
        weight=8,
    ),
    Defence(
        id="updates.way-back",
        title="What is updated can be taken back",
        why="The distribution's servers have the newest version alone: what was there before is gone unless it was kept.",
        rows=("H15",),
        sets=(
            _answer("what is installed can be kept", _KEEPS, 'APT::Keep-Downloaded-Packages "false";'),
            _answer("what the package manager reads of versions that were taken back", _BARS, "/dev/null"),
        ),
        unseen="Which packages are kept is seen from the host alone; the acceptance tests have some taken back.",
    ),
    Defence(
        id="updates.reboot",
        title="A reboot that an update waits for is done, or said",
        why="A kernel or a library that nobody has started is not in force, however new the file is.",
        rows=("H14",),
        sets=(
            UnitOption(unit=REBOOT_TIMER, option="ActiveState", value="active"),
            UnitOption(unit=REBOOT_TIMER, option="UnitFileState", value="enabled"),
            HostAnswer(
                subject="a reboot that is waited for, and not said in the daily report",
                command="test -x /usr/local/sbin/bastide-update && { ! test -e /run/reboot-required || "
                "grep -qs reboot /run/bastide-notes/updates; } && echo none || echo unsaid",
                matches="none",
                refuted_by="unsaid",
            ),
        ),
        unseen="When a host was started no stranger is told.",
        weight=4,
    ),
)

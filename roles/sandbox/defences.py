"""The daemons' sandboxes."""

from collections.abc import Callable, Iterable

from roles.defence import Defence
from roles.filterd.ledger import UNIT
from roles.kinds import HostAnswer, Need, Sandbox, UnitOption, Value
from roles.platforms import row
from roles.sandbox import units
from roles.settings import Gateway

_INSIDE = "The sandbox is around the daemon; an outsider meets it only after having broken in."
# systemd-analyze(1): 0 is as good as it gets and 10 no sandbox at all.
LIMIT = "3.0"


def _confined(unit: str, needs: Need | None) -> HostAnswer:
    """Return the question whether each process of a unit can gain no privilege and has its system calls filtered."""

    def asked(gateway: Gateway) -> str:
        name = row(gateway).unit(unit)
        return (
            f"for p in $(cat /sys/fs/cgroup/systemd$(systemctl show -p ControlGroup --value {name})/cgroup.procs "
            f"/sys/fs/cgroup$(systemctl show -p ControlGroup --value {name})/cgroup.procs 2>/dev/null); "
            "do sed -n 's/^NoNewPrivs:\\t//p; s/^Seccomp:\\t//p' /proc/$p/status | xargs; done | sort -u"
        )

    return HostAnswer(
        subject=f"state of {unit}'s processes",
        command=asked,
        matches="1 2",
        refuted_by="0 0",
        needs=needs,
    )


def _sandbox(
    name: str,
    title: str,
    why: str,
    *,
    unit: str,
    directives: tuple[Value, ...],
    network: bool,
    weight: int,
    when: Callable[[Gateway], bool] | None = None,
    needs: Need | None = None,
    exposure: Value = LIMIT,
) -> Defence:
    """Return the record of one daemon's sandbox; ``needs``: what of a machine it takes for the daemon to run at all."""
    return Defence(
        id=f"sandbox.{name}",
        title=title,
        why=why,
        rows=("P28", "H07"),
        sets=(
            Sandbox(unit=unit, directives=directives, exposure=exposure),
            UnitOption(unit=unit, option="NoNewPrivileges", value="yes"),
            UnitOption(unit=unit, option="ProtectSystem", value="strict"),
            UnitOption(unit=unit, option="PrivateNetwork", value="no" if network else "yes"),
            _confined(unit, needs),
        ),
        unseen=_INSIDE,
        when=when,
        level="moderate",
        cost="A plugin or path of your own that the daemon is to use needs a drop-in that opens it.",
        weight=weight,
    )


_PROFILED = {**units.PACKAGED, **units.OWN}


def unconfined(names: Iterable[str], gateway: Gateway, *, states: str) -> str:
    """Return the question which of some units have a process in one of these states (a pattern of sh), a unit a line."""
    return (
        f"for u in {' '.join(row(gateway).unit(name) for name in names)}; do "
        "g=$(systemctl show -p ControlGroup --value $u); "
        '[ -z "$g" ] || for p in $(cat /sys/fs/cgroup$g/cgroup.procs 2>/dev/null); do '
        f"case $(cat /proc/$p/attr/current 2>/dev/null) in {states}) echo $u ;; esac; done | sort -u; done"
    )


DEFENCES = (
    Defence(
        id="sandbox.apparmor",
        title="AppArmor holds the MTA, filterd, the engines, their updater, the resolver and the time daemon to their profiles",
        why="It names each file that a daemon may open, whatever user it runs as; a profile that only complains holds nobody. "
        "The sandboxes do that by directories, and not for what root's own part of a daemon starts.",
        rows=("H07",),
        sets=(
            UnitOption(unit="apparmor.service", option="UnitFileState", value="enabled"),
            *(
                HostAnswer(
                    subject=f"mode of the profile {profile}",
                    command=f"sed -n 's#^{profile} (\\(.*\\))$#\\1#p' /sys/kernel/security/apparmor/profiles",
                    matches="enforce",
                    refuted_by="complain",
                    needs="apparmor",
                )
                for profile in _PROFILED
            ),
            HostAnswer(
                subject="daemons that run without their profile",
                command=lambda gateway: unconfined(
                    (each for _, named in _PROFILED.values() for each in named),
                    gateway,
                    states="unconfined|*' (complain)'",
                ),
                matches="",
                refuted_by="chrony.service",
                needs="apparmor",
            ),
        ),
        unseen=_INSIDE,
        weight=7,
    ),
    Defence(
        id="sandbox.selinux",
        title="SELinux holds the daemons to the distribution's policy",
        why="It names what each domain may open and connect to, whatever user it runs as; permissive it only writes that down.",
        rows=("H07",),
        sets=(
            HostAnswer(
                subject="SELinux's mode",
                command="getenforce",
                matches="Enforcing",
                refuted_by="Permissive",
                needs="selinux",
            ),
        ),
        unseen=_INSIDE,
        when=lambda gateway: row(gateway).mac == "selinux",
        weight=7,
    ),
    _sandbox(
        "clamd",
        "clamd has no network, no right of root's, and a file system that it can only read",
        "It takes apart every format that attackers like, in C.",
        unit="clamav-daemon.service",
        directives=units.CLAMD,
        network=False,
        weight=8,
    ),
    _sandbox(
        "freshclam",
        "freshclam writes signatures and nothing else",
        "It reads what a server of strangers' sends it.",
        unit="clamav-freshclam.service",
        directives=units.FRESHCLAM,
        network=True,
        weight=6,
    ),
    _sandbox(
        "spamd",
        "spamd writes its statistics and nothing else, and talks to this host alone",
        "It runs thousands of patterns over what strangers wrote.",
        unit="spamd.service",
        directives=units.SPAMD,
        network=True,
        weight=8,
    ),
    _sandbox(
        "unbound",
        "The resolver writes its state and nothing else",
        "It reads answers that anybody may have forged.",
        unit="unbound.service",
        directives=units.UNBOUND,
        network=True,
        weight=7,
    ),
    _sandbox(
        "postfix",
        "Postfix writes its queue and nothing else, and gains no rights",
        "Its first process is root's and its children read every stranger's SMTP.",
        unit="postfix@-.service",
        directives=units.POSTFIX,
        network=True,
        weight=8,
        when=lambda gateway: gateway.mta == "postfix",
    ),
    _sandbox(
        "chrony",
        "The time daemon sets the clock and writes its drift, and nothing else",
        "It starts as root's and reads packets that anybody may have forged.",
        unit="chrony.service",
        directives=units.CHRONY,
        network=True,
        weight=5,
        needs="kernel",
        exposure=lambda gateway: row(gateway).clock_exposure,
    ),
    _sandbox(
        "remote-log",
        "What sends the log away reads the journal and writes its queue, and nothing else",
        "It runs as root and talks to another host all the time.",
        unit="rsyslog.service",
        directives=units.RSYSLOG,
        network=True,
        weight=5,
        when=lambda gateway: bool(gateway.hardening.remote_log.host),
    ),
    _sandbox(
        "postgresql",
        "The ledger's PostgreSQL has no network, no right of root's, and writes its own files alone",
        "Who gets into it by filterd's user finds a program that reads and writes files and runs what it is told to.",
        unit=UNIT,
        directives=units.POSTGRESQL,
        network=False,
        weight=6,
        when=lambda gateway: gateway.ledger.here,
    ),
)

"""Put ClamAV on a host."""

from pyinfra import host

from roles.clamav.defences import DEFENCES
from roles.kinds import ClamdOption, FreshclamOption
from roles.operations import ShellAnswer, converged, files_owned, layer, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, lines, rendered
from roles.settings import CLAMD_SOCKET, Gateway

CLAMD_FILE = "/etc/clamav/clamd.conf"
FRESHCLAM_FILE = "/etc/clamav/freshclam.conf"
DAEMON_DROP_IN = "/etc/systemd/system/clamav-daemon.service.d/bastide.conf"
SOCKET_DROP_IN = "/etc/systemd/system/clamav-daemon.socket.d/bastide.conf"
# Two copies of ClamAV's own databases take 2.7 GB (1.4, early 2026), and the rest of a gateway is to have room beside them.
ROOM_FOR_TWO_KIB = 3_900_000
_MEMORY = "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"
_ANY_DATABASE = "find /var/lib/clamav -name '*.c[vl]d' -o -name '*.[nhlmfi]d[bus]' | head -n 1 | wc -l"


@layer("ClamAV")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have clamd scan for filterd, and freshclam keep its signatures new."""
    packages_installed(name="Install ClamAV", packages=platform.packages["clamav"], manager=platform.manager)
    files_owned(
        name="Write ClamAV's configuration",
        files=_files(gateway, platform, concurrent=_room_for_two(gateway)),
        check=_check(platform),
    )
    # clamd does not start without a database, and freshclam's first run takes its time.
    converged(
        name="Fetch the first signatures",
        question=_ANY_DATABASE,
        wanted="1",
        remedy=f"systemctl stop clamav-freshclam.service; freshclam --quiet --stdout; test $({_ANY_DATABASE}) = 1",
    )
    unit_current(
        name="Run clamd with its configuration",
        unit=platform.unit("clamav-daemon.service"),
        files=[
            platform.here(each)
            for each in (CLAMD_FILE, DAEMON_DROP_IN, *((SOCKET_DROP_IN,) if platform.clamd_socket else ()))
        ],
        on_change="restart",
        along=("clamav-daemon.socket",) if platform.clamd_socket else (),
    )
    unit_current(
        name="Run freshclam with its configuration",
        unit="clamav-freshclam.service",
        files=(platform.here(FRESHCLAM_FILE),),
        on_change="restart",
    )


def _room_for_two(gateway: Gateway) -> bool:
    """Whether the host has the memory for new signatures beside the old ones; those of others are small."""
    if not gateway.clamav_official_databases:
        return True
    memory = host.get_fact(ShellAnswer, command=_MEMORY).strip()
    return not memory.isdigit() or int(memory) >= ROOM_FOR_TWO_KIB


def _check(platform: Platform) -> str:
    """Return what sees to the staged files: clamconf reads both as their daemons do, and names an option that it does not know."""
    clamd, freshclam = platform.here(CLAMD_FILE), platform.here(FRESHCLAM_FILE)
    directory = f"$stage{clamd.rpartition('/')[0]}"
    made = ""
    if (clamd, freshclam) != (CLAMD_FILE, FRESHCLAM_FILE):
        # It knows them by Debian's names alone.
        directory = "$d"
        made = f"d=$(mktemp -d); trap 'rm -rf $d' EXIT; cp $stage{clamd} $d/clamd.conf; cp $stage{freshclam} $d/freshclam.conf; "
    return (
        f"{made}said=$(clamconf --config-dir={directory} 2>&1 >/dev/null | grep -v '^$' || true); "
        'if [ -n "$said" ]; then echo "$said" >&2; exit 1; fi'
    )


def _files(gateway: Gateway, platform: Platform, *, concurrent: bool) -> list[OwnedFile]:
    clamd, freshclam = (list(lines(DEFENCES, kind, gateway)) for kind in (ClamdOption, FreshclamOption))
    database = rendered("clamav", "database.conf.j2", gateway)
    return [
        OwnedFile(
            path=platform.here(CLAMD_FILE),
            content=rendered(
                "clamav",
                "clamd.conf.j2",
                gateway,
                socket=platform.here(CLAMD_SOCKET),
                options=clamd,
                concurrent=concurrent,
            ),
        ),
        OwnedFile(
            path=platform.here(FRESHCLAM_FILE),
            content=rendered("clamav", "freshclam.conf.j2", gateway, options=freshclam),
            mode="640",
            group=platform.group("freshclam"),
        ),
        OwnedFile(path=platform.here(DAEMON_DROP_IN), content=database),
        *(
            [OwnedFile(path=SOCKET_DROP_IN, content=database + rendered("clamav", "socket.conf.j2", gateway))]
            if platform.clamd_socket
            else []
        ),
    ]

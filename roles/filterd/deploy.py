"""Put filterd on a host."""

from roles.filterd import ledger
from roles.filterd.defences import DEFENCES
from roles.filterd.postgresql import REACHED, ledger_moved, server_here
from roles.filterd.release import DIRECTORY, release_installed
from roles.filterd.settings import authorities_of, password_of
from roles.filterd.wheelhouse import files, release, wheelhouse
from roles.mta.agents import agent
from roles.operations import converged, files_owned, layer, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, filterd_options, rendered
from roles.settings import CLAMD_SOCKET, SPAMD_SOCKET, STORE_KEY, Gateway

CONFIG_FILE = "/etc/filterd/filterd.toml"
UNIT_FILE = "/etc/systemd/system/filterd.service"
COMMAND = "/usr/local/bin/filterd"
METRICS_UNIT = "filterd-metrics.socket"
METRICS_FILE = f"/etc/systemd/system/{METRICS_UNIT}"
# Never over one that is there: it is the only way to what was kept. The key itself is on no command line.
_NEW_KEY = f"""umask 377
mkdir -p -m 755 $(dirname {STORE_KEY})
if ! [ -s {STORE_KEY} ]; then
  head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' >{STORE_KEY}.new
  [ $(wc -c <{STORE_KEY}.new) -eq 64 ]
  sync {STORE_KEY}.new
  mv -fT {STORE_KEY}.new {STORE_KEY}
fi
chown filterd:filterd {STORE_KEY}
chmod 400 {STORE_KEY}"""
_GROUPS = "id -nG filterd 2>/dev/null | tr ' ' '\\n' | sort | xargs"


@layer("filterd")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have filterd decide on each message while the MTA's client waits."""
    groups = sorted({*map(platform.group, ("clamav", "debian-spamd")), *agent(gateway).groups})
    packages_installed(
        name="Install what filterd runs on", packages=platform.packages["filterd"], manager=platform.manager
    )
    converged(
        name="Make filterd's user",
        question=_GROUPS,
        # Its groups let it reach the engines' sockets, and the MTA's (roles/mta/agents.py).
        wanted=" ".join(sorted({*groups, "filterd"})),
        remedy="id filterd >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir /nonexistent "
        f"--shell /usr/sbin/nologin filterd; usermod -G {','.join(groups)} filterd",
    )
    wheels = wheelhouse(platform.python)
    release_installed(
        name="Install filterd's release",
        release=release(wheels),
        wheels=files(wheels),
        python=platform.here("python3"),
    )
    _places_made(gateway)
    server_here(gateway, platform)
    reached_by = _reached_by(gateway)
    if reached_by:
        # Before the configuration, whose check reads them.
        files_owned(name="Write what the ledger's server is reached with", files=reached_by)
    files_owned(
        name="Write filterd's configuration",
        files=_files(gateway, platform),
        check=f"/opt/filterd/current/bin/filterd check --config $stage{CONFIG_FILE}; "
        f"systemd-analyze verify $stage{UNIT_FILE}"
        + (platform.here(f"\n{REACHED}") if gateway.ledger.elsewhere else ""),
    )
    ledger_moved(gateway, platform)
    metered = bool(gateway.filterd_metrics_port)
    if not metered:
        converged(
            name="Have no metrics on the network",
            question=f"test -e {METRICS_FILE} || echo none",
            wanted="none",
            # Before the restart: filterd has the socket for as long as it runs.
            remedy=f"systemctl stop {METRICS_UNIT}; rm {METRICS_FILE}",
        )
    unit_current(
        name="Run filterd with its release and unit",
        unit="filterd.service",
        files=(
            "/opt/filterd/current",
            UNIT_FILE,
            *((METRICS_FILE,) if metered else ()),
            *((ledger.PASSWORD_FILE,) if gateway.ledger.elsewhere else ()),
        ),
        on_change="restart",
        along=(METRICS_UNIT,) if metered else (),
    )
    # A reload loses no connection: new workers take over while the old ones finish.
    unit_current(
        name="Run filterd with its configuration",
        unit="filterd.service",
        files=(CONFIG_FILE,),
        on_change="reload",
        stamp="filterd.toml",
    )


def _places_made(gateway: Gateway) -> None:
    """Make what stands outside of the release and is no file of ours: a directory, the command's name, a key."""
    mta = agent(gateway)
    converged(
        name="Make the directory of filterd's socket",
        question=f"stat -c '%a %U %G' {mta.milter_directory}",
        wanted=f"2750 filterd {mta.milter_group}",
        remedy=f"install -d -m 2750 -o filterd -g {mta.milter_group} {mta.milter_directory}",
    )
    converged(
        name="Have the command filterd in the path",
        question=f"readlink {COMMAND}",
        wanted=f"{DIRECTORY}/current/bin/filterd",
        remedy=f"ln -sfn {DIRECTORY}/current/bin/filterd {COMMAND}",
    )
    if gateway.filterd_store_encrypted:
        converged(
            name="Make the key of kept messages",
            question=f"test -s {STORE_KEY} && stat -c '%a %U %G' {STORE_KEY}",
            wanted="400 filterd filterd",
            remedy=_NEW_KEY,
        )


def _reached_by(gateway: Gateway) -> list[OwnedFile]:
    """Return what a ledger on a server elsewhere is reached with."""
    if not gateway.ledger.elsewhere:
        return []
    server = gateway.ledger.server
    return [
        OwnedFile(
            path=ledger.PASSWORD_FILE,
            content=f"{password_of(server)}\n",
            mode="600",
            owner="filterd",
            group="filterd",
        ),
        OwnedFile(path=ledger.AUTHORITIES_FILE, content=authorities_of(server)),
    ]


def _files(gateway: Gateway, platform: Platform) -> list[OwnedFile]:
    values = {
        "clamd_socket": platform.here(CLAMD_SOCKET),
        "spamd_socket": platform.here(SPAMD_SOCKET),
        "mta": agent(gateway),
        "store_key": STORE_KEY,
        "ledger_url": ledger.url(gateway.ledger),
        "ledger_unit": platform.here(ledger.UNIT),
        "ledger_password": ledger.PASSWORD_FILE,
        "options": filterd_options(DEFENCES),
    }
    metrics = OwnedFile(
        path=METRICS_FILE, content=rendered("filterd", "filterd-metrics.socket.j2", gateway, **values)
    )
    return [
        OwnedFile(
            path=CONFIG_FILE,
            content=rendered("filterd", "filterd.toml.j2", gateway, **values),
            mode="640",
            group="filterd",
        ),
        # Before the service, whose unit names it.
        *([metrics] if gateway.filterd_metrics_port else []),
        OwnedFile(path=UNIT_FILE, content=rendered("filterd", "filterd.service.j2", gateway, **values)),
    ]

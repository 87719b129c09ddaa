"""A PostgreSQL of the gateway's own for filterd's ledger: a cluster beside any other, on a unix socket alone, with one user."""

from collections.abc import Mapping
from typing import Final

from pyinfra import host
from pyinfra.api import DeployError

from roles.filterd.ledger import (
    ASK,
    AUTHORITIES_FILE,
    CLUSTER,
    CONFIGURATION,
    DATA,
    HERE_URL,
    PASSWORD_FILE,
    PORT,
    SOCKETS,
    SQLITE,
    SQLITE_DIRECTORY,
    SQLITE_URL,
    UNIT,
    VERSION,
)
from roles.operations import ShellAnswer, converged, files_owned, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, rendered
from roles.settings import Gateway

_SANDBOX: Final = f"/etc/systemd/system/{UNIT}.d"
_PROGRAMS: Final = f"/usr/lib/postgresql/{VERSION}/bin"
_NAMED: Final = f"$(basename $(dirname {DATA})) {CLUSTER}"  # as PostgreSQL's own tools take it
# Read by pg_createcluster(1): the package makes no cluster of its own, which would listen on loopback.
_NO_OTHER: Final = "/etc/postgresql-common/createcluster.d/bastide.conf"
# While a cluster is being made; what a run that died has left goes before the next try.
_MAKING: Final = f"/var/lib/postgresql/.{CLUSTER}.making"
_FILES: Final = {
    f"{CONFIGURATION}/conf.d/bastide.conf": "postgresql.conf.j2",
    f"{CONFIGURATION}/pg_hba.conf": "pg_hba.conf.j2",
}
_MADE: Final = (
    f"[ ! -e {_MAKING} ] && [ -s {DATA}/PG_VERSION ] && [ -e {CONFIGURATION}/postgresql.conf ] && echo made"
)
_MAKE: Final = f"""if [ -e {_MAKING} ]; then rm -rf {DATA} {CONFIGURATION}; fi
touch {_MAKING}
LC_ALL=C.UTF-8 pg_createcluster --port {PORT} --socketdir {SOCKETS} --start-conf auto --encoding UTF8 --locale C.UTF-8 \\
  {_NAMED} -- --data-checksums >/dev/null
rm {_MAKING}"""
# postgres(1), -C: it reads the file as the server does, and may be asked by root.
_CHECK: Final = (
    f'said=$({_PROGRAMS}/postgres -C listen_addresses -D {DATA} -c config_file="$stage{CONFIGURATION}/conf.d/bastide.conf"); '
    '[ -z "$said" ]'
)
_STATE: Final = """SELECT datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datacl,
(SELECT concat(rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls) FROM pg_roles WHERE rolname = 'filterd')
FROM pg_database WHERE datname = 'filterd'"""
_WANTED: Final = "filterd|filterd|UTF8|{filterd=CTc/filterd}|tfffff"
_STATEMENTS: Final = """SELECT 'CREATE ROLE filterd' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'filterd') \\gexec
ALTER ROLE filterd LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
SELECT 'CREATE DATABASE filterd OWNER filterd TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C.UTF-8'' '
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'filterd') \\gexec
ALTER DATABASE filterd OWNER TO filterd;
REVOKE ALL ON DATABASE filterd FROM PUBLIC;"""
# Where the ledger was before, and is no longer to be. Mail waits at its sender (451) meanwhile. If it fails filterd is started
# all the same: it records what comes from now on, removes no content of the other ledger's, and the next deploy goes on.
_MOVE: Final = """systemctl daemon-reload
{first}systemctl stop filterd.service
/opt/filterd/current/bin/filterd ledger move '{url}' >/dev/null || {{ systemctl start filterd.service; exit 1; }}
{last}"""
_DROP: Final = f"""systemctl disable --quiet --now {UNIT}
pg_dropcluster {_NAMED}
rm -rf {CONFIGURATION} {_SANDBOX} {_NO_OTHER}"""
# By the kind of a ledger: what says that there is one, and what has it hold nothing and be gone.
LEFT: Final[Mapping[str, tuple[str, str]]] = {
    "sqlite": (SQLITE, _MOVE.format(first="", url=SQLITE_URL, last=f"rm -rf {SQLITE_DIRECTORY}")),
    "here": (CONFIGURATION, _MOVE.format(first=f"systemctl start {UNIT}\n", url=HERE_URL, last=_DROP)),
    "elsewhere": (PASSWORD_FILE, f"rm -f {PASSWORD_FILE} {AUTHORITIES_FILE}"),
}
_FILTERD: Final = "/opt/filterd/current/bin/filterd"
_CONFIG: Final = "/etc/filterd/filterd.toml"
_URL: Final = """python3 -c 'import sys, tomllib; print(tomllib.load(sys.stdin.buffer)["ledger"]["url"])'"""
# Before another server is written into the configuration: by it filterd's own user gets in, and its certificate is good.
REACHED: Final = f"""[ "$({_URL} <$stage{_CONFIG})" = "$({_URL} <{_CONFIG} 2>/dev/null)" ] ||
  {_FILTERD} ledger status --config $stage{_CONFIG} >/dev/null"""
# A ledger on a server may be a fleet's, so nothing is moved out of it; what it alone knows of must not be left behind. Where
# the one before it is still here, and nothing is kept on the server, the move there has failed: the way back is free. Answers how
# many contents would be left behind, or nothing.
NOT_LEFT: Final = f"""grep -qs hostaddr= {_CONFIG} || exit 0
kept=$(find /var/lib/filterd/store -type f -path "*/[0-9a-f][0-9a-f]/*" 2>/dev/null | wc -l)
[ $kept -gt 0 ] || exit 0
there=$({_FILTERD} ledger status --json 2>/dev/null |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"].get("kept", 0))' 2>/dev/null || echo 0)
if [ $there -gt 0 ] || {{ [ ! -e {SQLITE} ] && [ ! -e {CONFIGURATION} ]; }}; then echo $kept; fi"""


def may_begin(gateway: Gateway, platform: Platform) -> None:
    """Raise DeployError where another ledger would leave kept mail behind: before the way to the one that knows it is closed."""
    if gateway.ledger.elsewhere:
        return
    if kept := host.get_fact(ShellAnswer, command=platform.here(NOT_LEFT)):
        raise DeployError(
            f"{host.name}: the setting `ledger` would leave {kept} kept contents in /var/lib/filterd/store that only the ledger on "
            "its server elsewhere knows: release or delete them (filterd quarantine), wait an hour for them to go, and deploy again"
        )


def server_here(gateway: Gateway, platform: Platform) -> None:
    """Have a PostgreSQL run here with filterd's database, where the ledger is to be in it."""
    if not gateway.ledger.here:
        return
    files_owned(
        name="Have PostgreSQL's package make no cluster",
        files=[
            OwnedFile(
                path=_NO_OTHER,
                content="# Written by Bastide; changes are undone by the next deploy.\ncreate_main_cluster = false\n",
            )
        ],
    )
    packages_installed(
        name="Install PostgreSQL", packages=platform.parts["postgresql"], manager=platform.manager
    )
    converged(
        # hardening.system-accounts would take it at the next deploy: it looks at accounts before this package brings its own.
        name="Give PostgreSQL's user no shell",
        question="getent passwd postgres | cut -d: -f7",
        wanted="/usr/sbin/nologin",
        remedy="usermod --shell /usr/sbin/nologin postgres",
    )
    converged(
        name="Make the ledger's cluster",
        question=platform.here(_MADE),
        wanted="made",
        remedy=platform.here(_MAKE),
    )
    configuration = [
        OwnedFile(
            path=platform.here(path),
            content=rendered("filterd", template, gateway, sockets=SOCKETS, port=PORT),
            mode="640",
            owner="postgres",
            group="postgres",
        )
        for path, template in _FILES.items()
    ]
    files_owned(
        name="Write the configuration of the ledger's cluster",
        files=configuration,
        check=platform.here(_CHECK),
    )
    unit_current(
        name="Run the ledger's cluster",
        unit=platform.here(UNIT),
        files=tuple(file.path for file in configuration),
        on_change="restart",
    )
    converged(
        name="Make filterd's database",
        question=f'{ASK} -c "{_STATE}"',
        wanted=_WANTED,
        remedy=f"{ASK} <<'SQL'\n{_STATEMENTS}\nSQL",
    )


def ledger_moved(gateway: Gateway, platform: Platform) -> None:
    """Bring what another ledger of this gateway's holds into the declared one, and take that other one away."""
    others = {sign: deed for kind, (sign, deed) in LEFT.items() if kind != gateway.ledger.kind}
    converged(
        name="Have no other ledger, and what it held in this one",
        question=platform.here("; ".join(f"[ ! -e {sign} ] || echo {sign}" for sign in others)),
        wanted="",
        remedy=platform.here(
            "\n".join(f"if [ -e {sign} ]; then\n{deed}\nfi" for sign, deed in others.items())
        ),
    )

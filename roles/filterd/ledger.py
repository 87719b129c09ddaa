"""The ledger that the settings declare, in filterd's own words: its URL, and where on the gateway what it takes stands."""

from typing import Final

from roles.filterd.settings import Ledger

PASSWORD_FILE: Final = "/etc/filterd/ledger.password"  # noqa: S105 - where it stands
AUTHORITIES_FILE: Final = "/etc/filterd/ledger-authorities.pem"
SQLITE_DIRECTORY: Final = "/var/lib/filterd/ledger"
SQLITE: Final = f"{SQLITE_DIRECTORY}/ledger.db"
SQLITE_URL: Final = f"sqlite:///{SQLITE}"
# Our own cluster beside any that the host may have: the port is a part of the name of its socket, and no more.
CLUSTER: Final = "bastide"
SOCKETS: Final = "/run/postgresql"
PORT: Final = 5499
# Debian 12's names; Platform.here knows the others.
VERSION: Final = "15"
CONFIGURATION: Final = f"/etc/postgresql/{VERSION}/{CLUSTER}"
DATA: Final = f"/var/lib/postgresql/{VERSION}/{CLUSTER}"
UNIT: Final = f"postgresql@{VERSION}-{CLUSTER}.service"
ASK: Final = (
    f"cd / && runuser -u postgres -- psql -h {SOCKETS} -p {PORT} -d postgres -AXtq -v ON_ERROR_STOP=1"
)
HERE_URL: Final = f"postgresql+psycopg://filterd@/filterd?host={SOCKETS}&port={PORT}"


def url(ledger: Ledger) -> str:
    """Return ``[ledger] url``. It holds no secret."""
    if ledger.here:
        return HERE_URL
    if not ledger.elsewhere:
        return SQLITE_URL
    server = ledger.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    # libpq, SSL Support: verify-full also holds the certificate against the name. Nothing else than TLS is tried.
    return (
        f"postgresql+psycopg://{server.user}@{host}:{server.port}/{server.database}?hostaddr={server.reached}"
        f"&sslmode=verify-full&sslrootcert={AUTHORITIES_FILE}&gssencmode=disable"
    )

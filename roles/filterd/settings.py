"""Settings of filterd's ledger, plain values of the inventory, and what can be wrong with them."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from roles.forms import is_address, is_fqdn

# PostgreSQL takes more; these need no quotes anywhere.
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_ONE_LINE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----(\n|\Z)"
)


class LedgerServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A PostgreSQL on another host. It is reached by TLS alone, and its certificate must be good."""

    host: Annotated[
        str,
        Meta(
            description="Its name, or address, which its certificate must bear; empty: it is on this gateway."
        ),
    ] = ""
    address: Annotated[
        str,
        Meta(
            description="Its IP address, the only one that filterd then reaches; no name server is asked. Empty where `host` is one."
        ),
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="Its TCP port.")] = 5432
    database: Annotated[str, Meta(description="The database, which the user owns.")] = "filterd"
    user: Annotated[str, Meta(description="Who logs in there.")] = "filterd"
    password_file: Annotated[
        str,
        Meta(
            description="A file on the control host with that user's password, one line; on the gateway filterd's user alone can "
            "read what is made of it. The inventory holds no secret."
        ),
    ] = ""
    authorities: Annotated[
        str,
        Meta(
            description="A file on the control host with the authorities (PEM) that may sign its certificate."
        ),
    ] = ""

    @property
    def reached(self) -> str:
        """The address that connections go to; empty where there is no such server."""
        return self.address or self.host


class Ledger(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where filterd keeps the record of each message: docs/ledger.md."""

    database: Annotated[
        Literal["sqlite", "postgresql"],
        Meta(
            description="`sqlite`: a file of the gateway's own. `postgresql`: a PostgreSQL, on this gateway, where the role installs "
            "it and it listens on no network, or the one that `ledger.server` names. What was recorded moves along, "
            "but for what a server elsewhere holds."
        ),
    ] = "sqlite"
    server: Annotated[LedgerServer, Meta(description="A PostgreSQL elsewhere.")] = LedgerServer()

    @property
    def here(self) -> bool:
        """Whether it is in a PostgreSQL of this gateway's."""
        return self.database == "postgresql" and not self.server.host

    @property
    def elsewhere(self) -> bool:
        """Whether it is in a PostgreSQL of another host's."""
        return self.database == "postgresql" and bool(self.server.host)

    @property
    def kind(self) -> Literal["sqlite", "here", "elsewhere"]:
        """Which of the three it is."""
        return "here" if self.here else "elsewhere" if self.elsewhere else "sqlite"

    @property
    def family(self) -> Literal["AF_INET", "AF_INET6"]:
        """The address family by which a server elsewhere is reached."""
        return "AF_INET" if ip_address(self.server.reached).version == 4 else "AF_INET6"  # noqa: PLR2004 - the version


def password_of(server: LedgerServer) -> str:
    """Return the password. Raises OSError, UnicodeDecodeError."""
    return Path(server.password_file).expanduser().read_text(encoding="ascii").strip()


def authorities_of(server: LedgerServer) -> str:
    """Return the authorities' certificates. Raises OSError, UnicodeDecodeError."""
    return Path(server.authorities).expanduser().read_text(encoding="utf-8")


def ledger_problems(ledger: Ledger, platform: str) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what cannot be used, or not on a platform."""
    server = ledger.server
    if ledger.here and platform == "el9":
        yield (
            "ledger.database",
            "a PostgreSQL on the gateway itself is not possible on el9 yet; name one elsewhere in `ledger.server`, or write sqlite",
        )
    if server == LedgerServer():
        return
    if ledger.database != "postgresql":
        yield "ledger.server", "it is described, but `ledger.database` is sqlite; set that to postgresql"
    for name, problem in _server_problems(server):
        yield f"ledger.server.{name}", problem


def _server_problems(server: LedgerServer) -> Iterator[tuple[str, str]]:
    if not (is_fqdn(server.host) or is_address(server.host)):
        yield (
            "host",
            f"{server.host!r} is neither a fully qualified name nor an address; write it like db.internal.example",
        )
    elif is_address(server.host) and server.address not in ("", server.host):
        yield "address", f"`host` is an address, {server.host}, and this another; leave one of them out"
    elif not is_address(server.reached):
        yield (
            "address",
            f"{server.address!r} is no IP address; write the one of {server.host}, like 192.0.2.7: filterd asks no name server",
        )
    for name in ("database", "user"):
        if not _NAME.fullmatch(value := getattr(server, name)):
            yield name, f"{value!r} is not a plain name; write it in lower case, digits and underscores"
    yield from _file_problems(server)


def _file_problems(server: LedgerServer) -> Iterator[tuple[str, str]]:
    for name, read, form, what in (
        ("password_file", password_of, _ONE_LINE.fullmatch, "one line of plain text, the password alone"),
        ("authorities", authorities_of, _CERTIFICATE.search, "a certificate in PEM"),
    ):
        path = getattr(server, name)
        if not path:
            yield name, "it is empty; name the file on the control host"
            continue
        try:
            if not form(read(server)):
                yield name, f"the file {path!r} does not hold {what}; write that into it"
        except (OSError, UnicodeDecodeError) as error:
            yield name, f"the file {path!r} cannot be read: {error}"

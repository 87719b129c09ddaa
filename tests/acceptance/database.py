"""A PostgreSQL of the house: on this machine's address on lan, by TLS, with a certificate for one name."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.plan import VANTAGE, LabState
from tests.unit.filterd.databases import PROGRAMS, lacks, programs

NAME: Final = "db.bastide.example"
ADDRESS: Final = f"198.18.0.{VANTAGE}"
_SECONDS: Final = 60
_RULES: Final = "local all all trust\nhostssl filterd filterd 0.0.0.0/0 scram-sha-256\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A server that runs. ``settings`` are those of the gateway that uses it; ``asked`` asks its database."""

    home: Path
    password: str
    authorities: Path

    def settings(self, name: str = NAME) -> dict[str, object]:
        """Return the setting ``ledger`` of a gateway to whom the server is called so."""
        return {
            "database": "postgresql",
            "server": {
                "host": name, "address": ADDRESS, "password_file": str(self.home / "password"),
                "authorities": str(self.authorities),
            },
        }  # fmt: skip

    def asked(self, statement: str) -> str:
        """Return what a statement gives."""
        at = programs()
        assert at is not None
        return subprocess.run(
            [str(at / "psql"), "-h", str(self.home), "-U", "postgres", "-AXtqc", statement, "filterd"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        ).stdout.strip()


@contextmanager
def serving(lab: LabState) -> Iterator[Database]:
    """Run one for the length of a block; it ends with this process, however that ends."""
    at = programs()
    if at is None:
        lacks(f"{PROGRAMS} has no PostgreSQL: apt-get install postgresql-15")
    assert at is not None
    # Where nobody, as whom it runs, may go; and the path of a unix socket is short (unix(7)).
    home = Path(tempfile.mkdtemp(prefix="bastide-db-", dir="/tmp"))
    try:
        password = home.name[-8:] * 3
        (home / "password").write_text(f"{password}\n")
        _certified(home)
        for path in (home, *home.iterdir()):
            shutil.chown(path, "nobody", "nogroup")
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig=QUIT"]
        data = str(home / "data")
        made = [
            *as_nobody,
            str(at / "initdb"),
            "-D",
            data,
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
        ]
        subprocess.run(made, check=True, cwd=home, stdout=subprocess.DEVNULL, timeout=_SECONDS)
        (home / "data" / "pg_hba.conf").write_text(_RULES)
        options = {
            "listen_addresses": ADDRESS, "unix_socket_directories": str(home), "fsync": "off", "ssl": "on",
            "ssl_cert_file": str(home / "server.pem"), "ssl_key_file": str(home / "server.key"),
        }  # fmt: skip
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        enter = ["ip", "netns", "exec", lab.netns["lan"]]
        with (
            (home / "log").open("wb") as log,
            subprocess.Popen(
                [*enter, *as_nobody, str(at / "postgres"), "-D", data, *given], cwd=home, stderr=log
            ) as server,
        ):
            try:
                found = Database(home=home, password=password, authorities=home / "authority.pem")
                _prepared(found, server, at)
                yield found
            finally:
                # At once: told to end politely it waits for its clients.
                server.send_signal(signal.SIGQUIT)
                server.wait(_SECONDS)
    finally:
        shutil.rmtree(home)


def _prepared(server: Database, process: "subprocess.Popen[bytes]", at: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while subprocess.run([str(at / "pg_isready"), "-q", "-h", str(server.home)], check=False).returncode:
        assert process.poll() is None, (server.home / "log").read_text()
        assert time.monotonic() < deadline, (server.home / "log").read_text()
        time.sleep(0.1)
    for statement in (
        f"CREATE ROLE filterd LOGIN PASSWORD '{server.password}'",
        "CREATE DATABASE filterd OWNER filterd",
    ):
        subprocess.run(
            [str(at / "psql"), "-h", str(server.home), "-U", "postgres", "-Xqc", statement, "postgres"],
            check=True,
            timeout=_SECONDS,
        )


def _certified(home: Path) -> None:
    """Write an authority, and the server's key and certificate."""
    now, day = datetime.now(UTC), timedelta(days=1)
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the house")])
    for file, name, public, alone in (
        ("authority.pem", issuer, authority.public_key(), True),
        ("server.pem", x509.Name([]), key.public_key(), False),
    ):
        one = (
            x509.CertificateBuilder(issuer, name, public, x509.random_serial_number(), now - day, now + day)
            .add_extension(x509.BasicConstraints(ca=alone, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=not alone)
        )
        (home / file).write_bytes(
            one.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
    (home / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (home / "server.key").chmod(0o600)

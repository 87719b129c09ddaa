"""The ledger on PostgreSQL, by the role: on the gateway and elsewhere, there and back, with what is kept."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from lab.plan import LabState
from roles.filterd.ledger import HERE_URL, PASSWORD_FILE, PORT, SQLITE_DIRECTORY, SQLITE_URL, UNIT
from tests.acceptance import database, labs
from tests.acceptance.desk import STORE, content, entries, good
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged
from tests.acceptance.letters import PLAIN, attachment, delivered, letter, mark, send
from tests.acceptance.outside import Outside
from tests.acceptance.test_deploy import varied

KEEPS = {"policy": {"chains": {"banned": ["move"]}}}
HERE = {"database": "postgresql"}
_PSQL = f"cd /; runuser -u postgres -- psql -h /run/postgresql -p {PORT} -Xqd postgres -c"
_OPENED = f"/run/systemd/system/{UNIT}.d"

Deploy = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def deployed(lab: LabState, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Deploy with a ledger somewhere, and what is banned kept; at the end the gateway is the lab's again."""
    home = tmp_path_factory.mktemp("inventories")

    def run(ledger: dict[str, Any], what: str = "apply") -> subprocess.CompletedProcess[str]:
        return deploy(
            what, varied(home, f"data.update(ledger={ledger!r}, filterd_policy={KEEPS!r})"), lab=lab.name
        )

    yield run
    done = deploy("apply", INVENTORY, lab=lab.name)
    assert done.returncode == 0, done.stderr


def kept(wan: Outside, gateway: GatewayHost) -> tuple[str, bytes]:
    """Send a letter that is to be kept; return its mark and itself."""
    unique = mark()
    sent = letter(unique, PLAIN, attachment(b"MZ"))
    assert send(wan, sent).startswith("250 ")
    (entry,) = entries(gateway, "quarantine", unique)
    assert content(gateway, entry["id"]) == sent
    return unique, sent


def found(gateway: GatewayHost, unique: str, sent: bytes) -> str:
    """Return the id of the kept entry of a letter, which is whole."""
    (entry,) = entries(gateway, "quarantine", unique)
    assert content(gateway, entry["id"]) == sent
    return str(entry["id"])


def passes(wan: Outside, gateway: GatewayHost) -> None:
    """Assert that a letter is delivered, and its record is there."""
    unique = mark()
    assert send(wan, letter(unique, PLAIN)).startswith("250 ")
    delivered(gateway, unique)
    assert len(good(gateway, "messages", "--message-id", f"<{unique}@sender.example>")["messages"]) == 1


def audited(lab: LabState, inventory: Path, *only: str) -> subprocess.CompletedProcess[str]:
    return labs.audited("--strict", "--fast", str(inventory), "--only", *only, lab=lab.name)


def test_to_postgresql_on_the_gateway_and_back_with_what_is_kept(
    lab: LabState, wan: Outside, gateway: GatewayHost, deployed: Deploy, tmp_path: Path
) -> None:
    # P12, W01
    done = deployed({})
    assert done.returncode == 0, done.stderr
    before = kept(wan, gateway)
    done = deployed(HERE)
    assert done.returncode == 0, done.stderr
    status = good(gateway, "ledger", "status")
    assert (status["store"], status["revision"]) == ("own", status["newest"])
    assert unquote(status["url"]) == HERE_URL
    assert gateway.run(f"ls -d {SQLITE_DIRECTORY} 2>/dev/null || echo gone").strip() == "gone"
    unchanged(deployed(HERE))
    passes(wan, gateway)
    meanwhile = kept(wan, gateway)
    assert good(gateway, "quarantine", "release", found(gateway, *before))["status"] == "released"
    delivered(gateway, before[0])
    _audited(lab, gateway, tmp_path)
    back = deployed({})
    assert back.returncode == 0, back.stderr
    status = good(gateway, "ledger", "status")
    assert (status["url"], status["store"]) == (SQLITE_URL, "own")
    assert good(gateway, "quarantine", "release", found(gateway, *meanwhile))["status"] == "released"
    delivered(gateway, meanwhile[0])
    assert gateway.run("pgrep -x postgres || echo none").strip() == "none"
    assert gateway.run(f"pg_lsclusters -h; systemctl is-enabled {UNIT} 2>/dev/null; true").strip() in (
        "",
        "disabled",
    )
    unchanged(deployed({}))


def _audited(lab: LabState, gateway: GatewayHost, tmp_path: Path) -> None:
    """The records hold; and of a server that would listen, or let others in, they say so."""
    inventory = Path(varied(tmp_path, f"data.update(ledger={HERE!r}, filterd_policy={KEEPS!r})"))
    only = ("filterd.ledger", "filterd.ledger-here", "filterd.sandbox", "sandbox.postgresql")
    seen = audited(lab, inventory, *only)
    assert seen.returncode == 0, seen.stdout
    assert all(f"held      {one}:" in seen.stdout for one in only), seen.stdout
    hba = "/etc/postgresql/15/bastide/pg_hba.conf"
    # In its sandbox it would not even start: there are no sockets of a network.
    opened = "[Service]\\nPrivateNetwork=no\\nRestrictAddressFamilies=AF_INET AF_INET6\\n"
    with gateway.altered(
        f"{_PSQL} \"ALTER SYSTEM SET listen_addresses = 'localhost'\"; echo 'host all all 127.0.0.1/32 trust' >>{hba}; "
        f"mkdir -p {_OPENED}; printf '{opened}' >{_OPENED}/zz.conf; systemctl daemon-reload; systemctl restart {UNIT}",
        f"{_PSQL} 'ALTER SYSTEM RESET ALL'; sed -i '$d' {hba}; rm -r {_OPENED}; systemctl daemon-reload; systemctl restart {UNIT}",
    ):
        broken = audited(lab, inventory, "filterd.ledger-here", "sandbox.postgresql")
    assert broken.returncode == 2, broken.stdout
    for subject in (
        "filterd.ledger-here:addresses that the ledger's PostgreSQL listens on",
        "filterd.ledger-here:sockets on which a PostgreSQL listens",
        "filterd.ledger-here:who may log in",
        f"sandbox.postgresql:{UNIT} PrivateNetwork",
    ):
        assert f"broken    {subject}" in broken.stdout, broken.stdout


def test_a_server_elsewhere_by_its_name_alone_and_by_one_way(
    lab: LabState, wan: Outside, gateway: GatewayHost, deployed: Deploy
) -> None:
    # H03, P12
    with database.serving(lab) as server:
        done = deployed(server.settings())
        assert done.returncode == 0, done.stderr
        told = done.stdout + done.stderr
        unchanged(deployed(server.settings()))
        passes(wan, gateway)
        unique, sent = kept(wan, gateway)
        assert server.asked("SELECT count(*) FROM kept") != "0"
        assert (
            server.asked(
                "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'filterd'"
            )
            == "t"
        )
        assert server.password not in told
        assert gateway.run(f"grep -rlF {server.password} /etc /run 2>/dev/null; true").split() == [
            PASSWORD_FILE
        ]
        assert (
            gateway.run(f"journalctl -o cat --no-pager | grep -cF {server.password} || true").strip() == "0"
        )
        # The way is filterd's user's, to that port of that host.
        assert _reaches(gateway, "filterd", database.ADDRESS, 5432)
        assert not _reaches(gateway, "nobody", database.ADDRESS, 5432)
        assert not _reaches(gateway, "filterd", database.ADDRESS, 5433)
        # What only that server knows is not left behind.
        refused = deployed({})
        assert refused.returncode == 1
        assert "release or delete them (filterd quarantine)" in refused.stdout + refused.stderr
        assert good(gateway, "ledger", "status")["store"] == "own"
        # Another name for the same server: its certificate does not bear it, and nothing is changed.
        other = deployed(server.settings("other.bastide.example"))
        assert other.returncode == 1
        assert "does not match host name" in other.stdout + other.stderr
        passes(wan, gateway)
        assert good(gateway, "quarantine", "delete", found(gateway, unique, sent))["done"] == "deleted"
        gateway.run(f"systemctl stop filterd; rm -rf {STORE}/[0-9a-f][0-9a-f] {STORE}/ledger")
        back = deployed({})
        assert back.returncode == 0, back.stderr
        assert gateway.run("ls /etc/filterd/ledger* 2>/dev/null; true").strip() == ""
    passes(wan, gateway)
    assert good(gateway, "ledger", "status")["url"] == SQLITE_URL


def _reaches(gateway: GatewayHost, user: str, address: str, port: int) -> bool:
    """Whether a user's connection is let out; one that is refused by who is there was."""
    script = f"import socket; s = socket.socket(); s.settimeout(3); print(s.connect_ex(('{address}', {port})) in (0, 111))"
    return gateway.run(f'cd /; runuser -u {user} -- python3 -c "{script}"').strip() == "True"

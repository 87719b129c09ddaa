"""The ledger as a part of the deployed service: its process, reload and stop, encryption at rest, metrics by HTTP."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from audit.samples import EICAR
from lab.plan import LabState
from tests.acceptance.desk import FILTERD, LEDGER, STORE, content, entries, good, said
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged
from tests.acceptance.letters import PLAIN, attachment, delivered, letter, mark, send
from tests.acceptance.outside import Outside, seen_from
from tests.acceptance.test_deploy import varied

pytestmark = pytest.mark.usefixtures("accepted")

KEY = "/etc/filterd/store.key"
METRICS = 9464


def processes(gateway: GatewayHost) -> dict[str, list[int]]:
    """Return the process ids of filterd's children by their names."""
    found: dict[str, list[int]] = {}
    rows = gateway.run("ps -o pid=,comm= --ppid $(systemctl show -p MainPID --value filterd)")
    for row in rows.splitlines():
        pid, name = row.split(maxsplit=1)
        found.setdefault(name, []).append(int(pid))
    return found


def test_only_the_ledger_s_process_carries_the_database(gateway: GatewayHost) -> None:
    found = processes(gateway)
    (ledger,) = found["filterd-ledger"]
    carries = gateway.run("for pid in $(pgrep -u filterd); do grep -l sqlalchemy /proc/$pid/maps; done; true")
    assert carries.split() == [f"/proc/{ledger}/maps"]
    assert gateway.run(f"grep -E '^(Seccomp|NoNewPrivs):' /proc/{ledger}/status").split() == [
        "NoNewPrivs:",
        "1",
        "Seccomp:",
        "2",
    ]


def test_the_ledger_is_killed_and_mail_waits_for_the_next_one(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    (before,) = processes(gateway)["filterd-ledger"]
    gateway.run(f"kill -9 {before}")
    assert send(wan, letter(unique, PLAIN)).startswith("250 ")
    delivered(gateway, unique)
    assert processes(gateway)["filterd-ledger"] != [before]
    assert len(good(gateway, "messages", "--message-id", f"<{unique}@sender.example>")["messages"]) == 1


def test_reload_restart_and_stop_are_clean(wan: Outside, gateway: GatewayHost) -> None:
    before = processes(gateway)
    gateway.run("systemctl reload filterd")
    assert processes(gateway)["filterd-ledger"] == before["filterd-ledger"]
    gateway.run("systemctl restart filterd; systemctl stop filterd")
    result = gateway.run("systemctl show -p Result,ExecMainStatus filterd; ls /run/filterd 2>&1; true")
    # SQLite's journal goes when the last one closes the database in order.
    left = gateway.run(f"ls {LEDGER}*").split()
    gateway.run("systemctl start filterd")
    assert result.splitlines()[:2] == ["Result=success", "ExecMainStatus=0"]
    assert left == [LEDGER]
    said = gateway.run(
        "timeout 20 sh -c 'until systemctl show -p StatusText filterd | grep -F ready,; do sleep 0.2; done'"
    )
    assert re.search(r"=(\d) of \1 workers ready, ledger ready$", said.strip()), said
    status = good(gateway, "status")
    assert [one for one in status["parts"] if one["problem"]] == []
    assert (status["health"]["ready"], status["health"]["alerts"]) == (True, [])
    unique = mark()
    assert send(wan, letter(unique, PLAIN)).startswith("250 ")
    delivered(gateway, unique)


def test_encrypted_store_and_metrics_are_settings_of_the_role(
    lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    # M05
    policy = {"policy": {"chains": {"infected": ["move"]}}}
    change = (
        f"data.update(filterd_store_encrypted=True, filterd_metrics_port={METRICS}, filterd_policy={policy})"
    )
    # And what a run before this one has sealed with that key.
    gateway.run(f"rm -f {KEY}; LC_ALL=C grep -rlaP '^FB1\\x01' {STORE} | xargs -r rm")
    try:
        done = deploy("apply", varied(tmp_path, change), lab=lab.name)
        assert done.returncode == 0, done.stderr
        _encrypted(wan, gateway, done.stdout + done.stderr)
        _rotated(wan, gateway)
        again = deploy("apply", varied(tmp_path, change), lab=lab.name)
        _metrics(gateway)
        _metrics_from_outside(lab, gateway)
    finally:
        back = deploy("apply", INVENTORY, lab=lab.name)
    unchanged(again)
    assert back.returncode == 0, back.stderr
    assert gateway.run(f"ss -H -l -t -n sport = :{METRICS}") == ""
    # What was encrypted is not in the way of what is not; the key is left for it.
    assert gateway.run(f"stat -c '%a %U %G' {KEY}").strip() == "400 filterd filterd"
    unchanged(deploy("apply", INVENTORY, lab=lab.name))


def _encrypted(wan: Outside, gateway: GatewayHost, told: str) -> None:
    unique = mark()
    sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com"))
    assert send(wan, sent).startswith("250 ")
    (entry,) = entries(gateway, "quarantine", unique)
    assert content(gateway, entry["id"]) == sent
    key = gateway.run(f"cat {KEY}").strip()
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert gateway.run(f"stat -c '%a %U %G' {KEY}").strip() == "400 filterd filterd"
    assert key not in told
    assert gateway.run(f"journalctl -o cat --no-pager | grep -cF {key} || true").strip() == "0"
    blob = f"{STORE}/{entry['digest'][:2]}/{entry['digest']}"
    # Its chunks are no deflated stream, and without the key there is no other way in.
    opened = (
        f"import zlib; b = open('{blob}', 'rb').read(); print(b[3]);\ntry: zlib.decompress(b[16:])\n"
        "except zlib.error: print('closed')"
    )
    assert gateway.run(f'python3 -c "{opened}"').split() == ["1", "closed"]
    away = (
        f"mv {KEY} {KEY}.away; install -m 400 -o filterd -g filterd /dev/null {KEY}; echo {'0' * 64} >{KEY}"
    )
    with gateway.altered(away, f"mv -f {KEY}.away {KEY}"):
        said = gateway.run(f"{FILTERD} quarantine export {entry['id']} 2>&1 | cat; true")
    assert "damaged, or [store] key_file holds another key" in said


def _rotated(wan: Outside, gateway: GatewayHost) -> None:
    """The key is changed while mail comes; what was kept before and behind it stays readable, and the old one goes."""
    before = gateway.run(f"cat {KEY}").split()
    old, new = mark(), mark()
    for unique in (old, new):
        assert send(wan, letter(unique, PLAIN, attachment(EICAR, "eicar.com"))).startswith("250 ")
        if unique == old:
            assert good(gateway, "store", "new-key") == {"keys": 2}
    held = gateway.run(f"cat {KEY}").split()
    assert held[1:] == before
    seen = good(gateway, "store", "status")
    assert (seen["newest"], seen["older"] >= 1, seen["needed"], seen["lost"]) == (1, True, [2], 0)
    assert "contents still need key 2 of 2" in gateway.run(f"{FILTERD} check 2>&1")
    resealed = good(gateway, "store", "reseal")
    assert (resealed["newest"], resealed["older"], resealed["plain"]) == (resealed["contents"], 0, 0)
    assert said(gateway, "store", "drop-keys").code == 1
    gateway.run(f"touch -d '2 hours ago' {KEY}")
    assert good(gateway, "store", "drop-keys") == {"keys": 1}
    assert gateway.run(f"cat {KEY}").split() == held[:1]
    assert gateway.run(f"stat -c '%a %U %G' {KEY}").strip() == "400 filterd filterd"
    for unique in (old, new):
        (entry,) = entries(gateway, "quarantine", unique)
        assert content(gateway, entry["id"]) == letter(unique, PLAIN, attachment(EICAR, "eicar.com"))


def _metrics(gateway: GatewayHost) -> None:
    def fetched(page: str) -> str:
        script = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{METRICS}{page}', timeout=10).read().decode())"
        return gateway.run(f'python3 -c "{script}"')

    assert json.loads(fetched("/health"))["ready"] is True
    assert "filterd_messages_total{" in fetched("/metrics")
    listens = gateway.run(f"ss -H -l -t -n sport = :{METRICS}").split()
    assert listens[3] == f"127.0.0.1:{METRICS}"
    # With the socket as without it the service itself has no network.
    assert gateway.run("systemctl show -p PrivateNetwork --value filterd").strip() == "yes"
    # systemd's own firewall takes BPF of cgroups, which a container here does not get: the setting is all there is to see.
    bars = gateway.run(
        "systemctl show -p IPAddressDeny -p IPAddressAllow filterd-metrics.socket"
    ).splitlines()
    told = {name: set(value.split()) for name, _, value in (bar.partition("=") for bar in bars)}
    assert told == {"IPAddressDeny": {"0.0.0.0/0", "::/0"}, "IPAddressAllow": {"127.0.0.0/8", "::1/128"}}


def _metrics_from_outside(lab: LabState, gateway: GatewayHost) -> None:
    """Nobody reaches the port from a network, whoever listens on it; on the host, the unix socket is for its group."""
    for side in ("wan", "lan"):
        vantage = seen_from(lab, side)
        assert not _reached(vantage), side
        # The packet filter alone: somebody else listens on the address that is seen from there.
        listening = f"systemd-run -q --unit=loud python3 -m http.server --bind {vantage.address} {METRICS}"
        there = f"ss -H -l -t -n sport = :{METRICS} | grep -qF {vantage.address}:"
        with gateway.altered(
            f"{listening} && timeout 20 sh -c 'until {there}; do sleep 0.1; done'", "systemctl stop loud"
        ):
            # That it is there is seen from where no filter is.
            gateway.run(
                f"python3 -c \"import socket; socket.create_connection(('{vantage.address}', {METRICS}), 5)\""
            )
            assert not _reached(vantage), side
    script = "import socket; socket.socket(socket.AF_UNIX).connect('/run/filterd/metrics.sock')"
    assert "PermissionError" in gateway.run(f'runuser -u nobody -- python3 -c "{script}" 2>&1', check=False)


def _reached(vantage: Outside) -> bool:
    script = f"import socket; socket.create_connection(('{vantage.address}', {METRICS}), 4)"
    command = ["ip", "netns", "exec", vantage.netns, sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

"""What cannot be kept or handed on, and what becomes of mail then."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pytest

from audit.samples import EICAR
from tests.acceptance.desk import LEDGER, STORE, stored
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.letters import (
    BOB,
    CAROL,
    DAVE,
    GROUPS,
    PLAIN,
    attachment,
    delivered,
    letter,
    mark,
    nothing_arrived,
    send,
)
from tests.acceptance.mta import HANDS
from tests.acceptance.outside import Outside
from tests.acceptance.policy import policy

# Whoever holds the write lock keeps all others out, as a full or dead disk would.
LOCK = (
    f"import sqlite3, time; c = sqlite3.connect('{LEDGER}', isolation_level=None); c.execute('BEGIN IMMEDIATE'); "
    "open('/run/filterd/locked', 'w').close(); time.sleep(600)"
)
LOCKED = "timeout 20 sh -c 'until [ -e /run/filterd/locked ]; do sleep 0.1; done'"
BROKEN = {
    "injection-service-is-away": HANDS[SETTINGS.mta].away,
    "store-cannot-be-written": (
        "mv /var/lib/filterd/store /var/lib/filterd/away; touch /var/lib/filterd/store",
        "rm /var/lib/filterd/store; mv /var/lib/filterd/away /var/lib/filterd/store",
    ),
    "ledger-cannot-be-written": (
        f'systemd-run --quiet --unit=ledger-lock --uid=filterd python3 -c "{LOCK}"; {LOCKED}',
        "systemctl stop ledger-lock; rm -f /run/filterd/locked",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_cannot_be_carried_out_comes_again(broken: str, wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com"))
    recipients = (BOB, CAROL, DAVE)
    with policy(gateway, {"infected": ("clean", "reject")}, *GROUPS):
        gateway.run("install -d -m 700 -o filterd -g filterd /var/lib/filterd/store")
        with gateway.altered(*BROKEN[broken]):
            assert send(wan, sent, *recipients).startswith("451 4.3.0 ")
        assert nothing_arrived(wan, gateway, unique)
        assert stored(gateway, "quarantine", unique) == []
        # The sender tries again: now everybody has it once.
        assert send(wan, sent, *recipients).startswith("250 ")
        assert len(delivered(gateway, unique, count=2)) == 2
        assert len(stored(gateway, "quarantine", unique)) == 1


def test_disk_of_the_store_is_full(wan: Outside, gateway: GatewayHost) -> None:
    unique, small = mark(), mark()
    sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com"), attachment(os.urandom(300_000), "data.bin"))
    contents = f"find {STORE} -mindepth 2 -type f | sort"
    mount = f"mount -t tmpfs -o size=128k,mode=700,uid=$(id -u filterd),gid=$(id -g filterd) tmpfs {STORE}"
    with policy(gateway, {"infected": ("archive", "clean", "reject")}, *GROUPS):
        gateway.run(f"install -d -m 700 -o filterd -g filterd {STORE}")
        kept = gateway.run(contents)
        # What is mounted later is not seen inside of a service.
        restart = "systemctl restart filterd"
        with gateway.altered(f"{mount}; {restart}", f"umount -l {STORE}; {restart}"):
            assert send(wan, sent, BOB, CAROL, DAVE).startswith("451 4.3.0 ")
            assert gateway.run(f"{contents}; ls -A {STORE} | grep -vx ledger || true") == ""
            # There is room for a small one, so it goes its way.
            assert send(wan, letter(small, PLAIN, attachment(EICAR, "e.com")), DAVE).startswith("250 ")
        assert nothing_arrived(wan, gateway, unique)
        assert gateway.run(contents) == kept
        # The sender tries again: now everybody has it once.
        assert send(wan, sent, BOB, CAROL, DAVE).startswith("250 ")
        assert len(delivered(gateway, unique, count=2)) == 2
        assert len(stored(gateway, "quarantine", unique)) == 1
        assert len(stored(gateway, "archive", unique)) == 1


SILENT = f"{PurePosixPath(HANDS[SETTINGS.mta].agent.injection).parent}/silent"
# An MTA that takes a connection and never says a word: filterd waits for it behind the store, before its reply.
LISTEN = (
    "import os, socket, time; s = socket.socket(socket.AF_UNIX); "
    f"s.bind('{SILENT}'); os.chmod('{SILENT}', 0o666); s.listen(); time.sleep(600)"
)


def test_worker_that_is_killed_between_store_and_reply_loses_nothing(
    wan: Outside, gateway: GatewayHost
) -> None:
    unique = mark()
    sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com"))
    chains = {"infected": ("clean", "reject")}
    start = f'systemd-run --unit=silent-mta python3 -c "{LISTEN}"; timeout 20 sh -c "until [ -S {SILENT} ]; do sleep 0.1; done"'
    with (
        gateway.altered(start, f"systemctl stop silent-mta; rm -f {SILENT}"),
        policy(gateway, chains, *GROUPS, tables={"inject": {"socket": SILENT, "timeout_s": 60.0}}),
        ThreadPoolExecutor(1) as pool,
    ):
        sending = pool.submit(send, wan, sent, BOB, CAROL, DAVE)
        deadline = time.monotonic() + 30
        while not (before := stored(gateway, "quarantine", unique)):
            assert time.monotonic() < deadline, "nothing was stored"
        gateway.run("kill -9 $(pgrep -P $(systemctl show -p MainPID --value filterd))")
        reply = sending.result(60)
    # The sender has not been told that it was taken, and nobody has got anything.
    assert reply.startswith(("451 4.7.1 ", "451 4.3.2 "))
    assert nothing_arrived(wan, gateway, unique)
    ((entry, message),) = before
    assert (entry["recipients"], message) == ([DAVE], sent)
    with policy(gateway, chains, *GROUPS):
        assert send(wan, sent, BOB, CAROL, DAVE).startswith("250 ")
        records = delivered(gateway, unique, count=2)
        kept = stored(gateway, "quarantine", unique)
    assert {record.recipients for record in records} == {(BOB,), (CAROL,)}
    # One more than needed is the price of losing none: the entry of the first try is there, and whole.
    assert [message for _, message in kept] == [sent, sent]

"""A deployed host gets the other MTA and then its own again: one is enabled, and no mail is lost (issue 5, H10)."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inventory.lab_rules import LATE_AT_ONE_PORT
from lab.plan import LabState
from roles.mta.agents import AGENTS
from roles.mta.handover.switching import WRITTEN_DOWN
from roles.settings import Mta
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged
from tests.acceptance.lacking import wants
from tests.acceptance.letters import BOB, CAROL, DAVE, PICTURE, PLAIN, attachment, letter, mark, own, send
from tests.acceptance.mta import HANDS
from tests.acceptance.outside import Outside, line
from tests.acceptance.test_deploy import varied
from tests.acceptance.test_failure import READY, STOPPED

pytestmark = wants("mta")

COUNT = 20
PROBE_SECONDS = 20.0
ARRIVAL_SECONDS = 120.0
QUOTED = '"two words"@bastide.example'
# What the seventh and the fourteenth say beside: another sender, and of their content. Reports nobody outside may ask for
# (mta.no-receipts).
BESIDE = {"sender": DAVE, "parameters": "BODY=8BITMIME"}


@contextmanager
def next_hop_down(lab: LabState) -> Iterator[None]:
    """Stop the protected mail server for the length of a block."""
    server = GatewayHost(lab=lab, host=lab.hosts["mailhost"])
    with server.altered("systemctl stop sink", "systemctl start sink"):
        yield


def waiting(wan: Outside) -> dict[str, tuple[str, ...]]:
    """Send twenty messages of several kinds; return who must get which, by mark."""
    wanted: dict[str, tuple[str, ...]] = {}
    for number in range(COUNT):
        unique = mark()
        who = (BOB, CAROL) if number % 5 == 0 else (QUOTED,) if number % 5 == 1 else (BOB,)
        part = attachment(b"PK" + bytes(range(256)) * 40, "data.bin") if number % 3 == 0 else PICTURE
        beside = BESIDE if number % 7 == 6 else {}
        assert send(wan, letter(unique, PLAIN, part), *who, **beside).startswith("250 "), number
        wanted[unique] = who
    return wanted


def known(wan: Outside) -> None:
    """Have the recipients verified before the next hop goes: each is asked for once."""
    for who in (BOB, CAROL, QUOTED):
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not (said := send(wan, letter(mark(), PLAIN), who)).startswith("250 "):
            assert time.monotonic() < deadline, said
            time.sleep(2)


def enabled(gateway: GatewayHost) -> set[Mta]:
    """Return the MTAs of which a unit is enabled or runs."""
    return {
        mta
        for mta, agent in AGENTS.items()
        for unit in agent.units
        if {"enabled", "active"}
        & set(gateway.run(f"systemctl is-enabled {unit}; systemctl is-active {unit}", check=False).split())
    }


def as_mta(mta: Mta) -> str:
    """Return the change of the inventory: that MTA, what both can be told, and a sender of the house from outside."""
    rules = "{name: own for name, own in data['mta_rules'].items() if name != 'content'}"
    hops = f"{{**data['relay_domains'], 'late.bastide.example': {LATE_AT_ONE_PORT!r}}}"
    return f"data.update(mta={mta!r}, own_domains_proven=False, mta_rules={rules}, relay_domains={hops})"


def switched(mta: Mta, lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path) -> None:
    """Deploy ``mta`` while twenty messages wait in the other one's queue, and see what becomes of them."""
    old, new = (
        GatewayHost(lab=lab, host=gateway.host, mta=HANDS[each]) for each in (*({*AGENTS} - {mta}), mta)
    )
    old.sent_on()
    known(wan)
    old.sent_on()
    with next_hop_down(lab):
        wanted = waiting(wan)
        old.run(old.mta.flush, check=False)
        # What verify(8) asks the next hop may be in the queue for a moment too.
        deadline = time.monotonic() + PROBE_SECONDS
        while len(queue := old.queue()) != COUNT:
            assert time.monotonic() < deadline, queue
            time.sleep(1)
        done = deploy("apply", varied(tmp_path, as_mta(mta)), lab=lab.name)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert enabled(gateway) == {mta}
        # Passwords and keys of the one that went are not left behind; a server's own files from before Bastide are.
        assert gateway.run(
            "grep -rls 'Written by Bastide' /etc/postfix /etc/mail | cut -d/ -f3 | sort -u"
        ).split() == [{"postfix": "postfix", "sendmail": "mail"}[mta]]
        assert len(new.queue()) == COUNT
        assert gateway.run(f"ls {WRITTEN_DOWN}") == ""
        assert not gateway.received(next(iter(wanted)))
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while new.queue():
        assert time.monotonic() < deadline, new.queue()
        new.run(new.mta.flush, check=False)
        time.sleep(2)
    arrived_once(gateway, wanted)
    again = deploy("apply", varied(tmp_path, as_mta(mta)), lab=lab.name)
    unchanged(again)
    assert send(wan, letter(mark(), PLAIN)).startswith("250 ")


def arrived_once(gateway: GatewayHost, wanted: dict[str, tuple[str, ...]]) -> None:
    """Assert that each recipient has each message once, as it was sent."""
    for number, (unique, who) in enumerate(wanted.items()):
        mail = gateway.received(unique)
        got = Counter(recipient for record in mail for recipient in record.recipients)
        assert got == Counter(who), unique
        part = attachment(b"PK" + bytes(range(256)) * 40, "data.bin") if number % 3 == 0 else PICTURE
        assert {own(record) for record in mail} == {letter(unique, PLAIN, part)}, unique
        assert {record.sender for record in mail} == {DAVE if number % 7 == 6 else "alice@sender.example"}


def test_switch_and_back_with_mail_in_the_queue(
    lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    other: Mta = "sendmail" if SETTINGS.mta == "postfix" else "postfix"
    assert deploy("apply", varied(tmp_path, as_mta(SETTINGS.mta)), lab=lab.name).returncode == 0
    try:
        switched(other, lab, wan, gateway, tmp_path)
        switched(SETTINGS.mta, lab, wan, gateway, tmp_path)
    finally:
        assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0


def test_what_is_held_stops_the_switch_before_anything_is_stopped(
    lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    other: Mta = "sendmail" if SETTINGS.mta == "postfix" else "postfix"
    unique = mark()
    known(wan)
    gateway.sent_on()
    with next_hop_down(lab):
        assert send(wan, letter(unique, PLAIN)).startswith("250 ")
        gateway.run(gateway.mta.hold)
        try:
            done = deploy("apply", varied(tmp_path, as_mta(other)), lab=lab.name)
            assert done.returncode == 1
            assert "1 messages are " in done.stdout + done.stderr
            assert enabled(gateway) == {SETTINGS.mta}
            assert wan.dialogue(line("NOOP"))[0].startswith("220 ")
        finally:
            gateway.run(gateway.mta.unhold)
    gateway.sent_on()
    assert len(gateway.awaited(unique)) == 1


def test_what_the_host_wrote_and_nobody_filtered_stops_the_switch(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    other: Mta = "sendmail" if SETTINGS.mta == "postfix" else "postfix"
    unique = mark()
    stop, start = STOPPED["filterd"]
    with gateway.altered(stop, f"{start}; {READY['filterd']}"):
        gateway.run(f"printf 'Subject: {unique}\\n\\ntext\\n' | /usr/sbin/sendmail -i bob@bastide.example")
        done = deploy("apply", varied(tmp_path, as_mta(other)), lab=lab.name)
    assert done.returncode == 1
    assert "1 messages that this host wrote itself are not filtered yet" in done.stdout + done.stderr
    assert enabled(gateway) == {SETTINGS.mta}
    gateway.run(gateway.mta.submitted)
    assert len(gateway.awaited(unique)) == 1


@pytest.mark.parametrize("mta", AGENTS)
def test_only_one_mta_is_there(mta: Mta, gateway: GatewayHost) -> None:
    assert (mta in enabled(gateway)) is (mta == SETTINGS.mta)

"""Nightly updates: what is harmless is installed, what breaks the filter is taken back, and no mail is lost or passes unscanned."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from audit.errors import NoSightError
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.newer import offered, version
from tests.acceptance.outside import Outside
from tests.acceptance.test_failure import sample
from tests.acceptance.wares import WARES

HOLD = "/var/lib/bastide-updates/hold"
DECLARED = "/etc/bastide/updates.json"
# Seconds that the services get in these tests after an update that breaks them.
PATIENCE = 12
# Where sessions wait for a clamd that never answers, filterd is given 30 to end them; Sendmail's outlive its restart.
DRAIN_PATIENCE = 45
SENDERS = 4
# A run that stands in the middle of a package whose script says so and waits.
SAYS = "touch /run/test-begun"
BEGUN = (
    "rm -f /run/test-begun; systemctl start --no-block bastide-update.service; "
    "timeout 60 sh -c 'until [ -e /run/test-begun ]; do sleep 0.1; done'"
)
# A Sendmail that does not start holds its own package up for minutes.
NIGHT_SECONDS = 420.0
pytestmark = pytest.mark.skipif(SETTINGS.updates.which == "none", reason="this lab installs no updates")

# What an update may do to an MTA's configuration, so that it asks no filter any more, and what puts it right.
UNASKED = {
    "postfix": ("postconf -e smtpd_milters= && postfix reload || true", "/etc/postfix/main.cf"),
    "sendmail": (
        "sed -i '/^O InputMailFilters=/d' /etc/mail/sendmail.cf; systemctl restart sendmail || true",
        "/etc/mail/sendmail.cf",
    ),
}


class Traffic:
    """Clean mail and viruses, one after the other, for the length of a block; what became of them is asked at the end."""

    def __init__(self, wan: Outside, gateway: GatewayHost) -> None:
        self._wan, self._gateway = wan, gateway
        self._ended = threading.Event()
        self.taken: list[str] = []
        self.put_off: list[str] = []
        self.waited: list[str] = []
        self.strange: list[str] = []

    def run(self, after: float) -> None:
        self._ended.wait(after)
        while not self._ended.is_set():
            unique = uuid.uuid4().hex
            self._one(unique, "clean")
            self._one(uuid.uuid4().hex, "eicar")
            self._ended.wait(0.3)

    def _one(self, unique: str, name: str) -> None:
        try:
            reply = self._wan.sent(sample(name, unique))
        except Exception as error:  # noqa: BLE001 - the MTA may be away altogether, then nothing was taken
            self.waited.append(str(error)[-80:])
            return
        if name == "clean" and reply.startswith("250 "):
            self.taken.append(unique)
        elif reply.startswith("4"):
            self.put_off.append(reply)
        elif reply == "closed":
            self.waited.append(reply)
        elif name == "clean" or not reply.startswith("550 5.7.1 "):
            self.strange.append(f"{name}: {reply}")

    def end(self) -> None:
        self._ended.set()

    def judged(self) -> None:
        """Nothing that was taken is lost or comes twice; nothing else was taken."""
        assert not self.strange
        for unique in self.taken:
            assert len(self._gateway.awaited(unique)) == 1


@contextmanager
def traffic(wan: Outside, gateway: GatewayHost) -> Iterator[Traffic]:
    made = Traffic(wan, gateway)
    # Staggered: before the door is shut a hold is there for the two seconds of one look of the gate, and Sendmail's greeting takes one.
    threads = [threading.Thread(target=made.run, args=(number * 0.7,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.end()
        for thread in threads:
            thread.join()


@pytest.fixture(autouse=True, scope="module")
def _impatient(gateway: GatewayHost) -> Iterator[None]:
    change = f'cp -p {DECLARED} /root/updates.kept; sed -i \'s/"gate_seconds": [0-9]*/"gate_seconds": {PATIENCE}/\' {DECLARED}'
    with gateway.altered(
        change, f"cat /root/updates.kept >{DECLARED}; systemctl reset-failed bastide-update.service || true"
    ):
        yield


def postinst(script: str) -> str:
    """Return the change of a package that has it run a script once it is unpacked; as a new version, not as an old one."""
    return f"mkdir -p $tree/DEBIAN; cat >$tree/DEBIAN/postinst <<'END'\n#!/bin/sh\n{script}\nEND\nchmod 755 $tree/DEBIAN/postinst"


@contextmanager
def set_to(gateway: GatewayHost, **values: int) -> Iterator[None]:
    """Have bastide-update know other figures for the block."""
    changes = "; ".join(f's/"{name}": [0-9]*/"{name}": {value}/' for name, value in values.items())
    kept = f"{DECLARED}.kept"
    with gateway.altered(f"cp -p {DECLARED} {kept}; sed -i '{changes}' {DECLARED}", f"mv {kept} {DECLARED}"):
        yield


def night(gateway: GatewayHost) -> str:
    """Have the timer's service do a night's work; return its result."""
    gateway.run("systemctl start --no-block bastide-update.service")
    deadline = time.monotonic() + NIGHT_SECONDS
    while gateway.run("systemctl is-active bastide-update.service", check=False).strip() == "activating":
        assert time.monotonic() < deadline, gateway.run("journalctl -u bastide-update -n 30 --no-pager")
        time.sleep(0.5)
    return gateway.run("systemctl show -p Result --value bastide-update.service").strip()


def alerts(gateway: GatewayHost, since: str) -> str:
    return gateway.run(
        f"journalctl --quiet --no-pager -o cat --priority=alert --since=@{since} | grep updates: || true"
    )


def clock(gateway: GatewayHost) -> str:
    return gateway.run("date +%s").strip()


def held(gateway: GatewayHost) -> bool:
    return gateway.run(f"test -e {HOLD} && echo yes || echo no").strip() == "yes"


def test_the_gate_passes_by_hand_and_lets_go_of_mail(gateway: GatewayHost) -> None:
    """H12, P03: all that it asks is well, no mailbox gets anything, and mail flows."""
    arrived = len(gateway.received("Bastide's gate"))
    found = json.loads(gateway.run("bastide-gate --json"))
    assert {one["name"] for one in found} == {
        *(
            "services",
            "failed-units",
            "stopped-units",
            "ehlo",
            "clean",
            "eicar",
            "gtube",
            "databases",
            "database-age",
            "listening",
        ),
    }
    assert [one for one in found if not one["well"]] == []
    assert not held(gateway)
    assert len(gateway.received("Bastide's gate")) == arrived


def test_while_there_is_a_hold_nothing_is_taken(wan: Outside, gateway: GatewayHost) -> None:
    """P04: what would pass comes again, what is refused stays refused; also after filterd has been started anew."""
    with gateway.altered("bastide-update hold", f"rm -f {HOLD}"):
        for change in ("true", f"systemctl restart filterd; {gateway.mta.ready}"):
            gateway.run(change)
            assert "[hold.clean]" in wan.sent(sample("clean", uuid.uuid4().hex))
            assert wan.sent(sample("eicar", uuid.uuid4().hex)).startswith("550 5.7.1 ")
    assert wan.sent(sample("clean", uuid.uuid4().hex)).startswith("250 ")


def test_a_harmless_update_is_installed_at_night(wan: Outside, gateway: GatewayHost) -> None:
    """H14; nobody else can have it wait, and where there is too little room it does not begin, and says so."""
    taken = "runuser -u nobody -- flock -sn /run/bastide-update.lock true 2>/dev/null"
    since = clock(gateway)
    with offered(gateway, {WARES.harmless: "true"}), traffic(wan, gateway) as mail:
        with set_to(gateway, free_mb=999_999_999):
            assert night(gateway) == "exit-code"
        assert "too little room" in alerts(gateway, since)
        assert not held(gateway)
        assert gateway.run(f"{taken} && echo taken || echo refused").strip() == "refused"
        assert night(gateway) == "success"
        assert version(gateway, WARES.harmless).endswith("+bastide1")
        assert not held(gateway)
        # There is a way back, by hand as well.
        kept = gateway.run("ls /var/lib/bastide-updates/kept").split()
        assert len([one for one in kept if one.startswith(WARES.kept)]) == 2
        assert WARES.harmless in gateway.run(WARES.books)
        # Mail flows again.
        count, until = len(mail.taken), time.monotonic() + 60
        while len(mail.taken) == count:
            assert time.monotonic() < until
            time.sleep(0.5)
    mail.judged()


def test_a_filter_that_lets_spam_by_is_taken_back(wan: Outside, gateway: GatewayHost) -> None:
    """P04, H15: the daemon answers and finds nothing; a harmless package that came with it stays."""
    before, since = version(gateway, "spamassassin"), clock(gateway)
    changes = {**WARES.deaf, WARES.harmless: "true"}
    with offered(gateway, changes), traffic(wan, gateway) as mail:
        night(gateway)
        assert version(gateway, "spamassassin") == before
        assert version(gateway, WARES.harmless).endswith("+bastide1")
        assert not held(gateway)
        # Its package stops it and leaves it so.
        assert gateway.run("systemctl is-active spamassassin-maintenance.timer").strip() == "active"
        said = alerts(gateway, since)
        assert "gtube" in said
        assert f"spamassassin {before}+bastide1" in said
        assert "was taken back" in gateway.run("cat /run/bastide-notes/updates")
        # It is barred: the package manager itself would not take it, and the next night does not.
        assert f"{before}+bastide1" not in gateway.run(WARES.offer.format("spamassassin"))
        assert night(gateway) == "success"
        assert version(gateway, "spamassassin") == before
    assert any("[hold." in one for one in mail.put_off)
    mail.judged()
    assert len(gateway.awaited("an update was taken back")) >= 1


def test_an_mta_that_does_not_start_is_taken_back(wan: Outside, gateway: GatewayHost) -> None:
    """H15: no reply at all, then the old version; all of its source goes back."""
    name, changes = next(iter(WARES.mtas[SETTINGS.mta])), WARES.mtas[SETTINGS.mta]
    before, since = {each: version(gateway, each) for each in changes}, clock(gateway)
    with offered(gateway, changes), traffic(wan, gateway) as mail:
        night(gateway)
        assert {each: version(gateway, each) for each in changes} == before
        assert not held(gateway)
        assert f"{name} {before[name]}+bastide1" in alerts(gateway, since)
        assert mail.waited
    mail.judged()
    assert wan.sent(sample("clean", uuid.uuid4().hex)).startswith("250 ")


@pytest.mark.parametrize("fault", WARES.faults)
def test_a_broken_part_of_the_filter_is_taken_back(wan: Outside, gateway: GatewayHost, fault: str) -> None:
    """P04, H15: put off meanwhile, the old version behind it, an alert, nothing lost or taken unseen."""
    changes, check = WARES.faults[fault]
    before, since = {each: version(gateway, each) for each in changes}, clock(gateway)
    slow = {"gate_seconds": DRAIN_PATIENCE} if check == "databases: " else {}
    with set_to(gateway, **slow), offered(gateway, changes), traffic(wan, gateway) as mail:
        night(gateway)
        assert {each: version(gateway, each) for each in changes} == before
        said = alerts(gateway, since)
        assert not held(gateway), said
        assert check in said
        assert all(f"{name} {was}+bastide1" in said for name, was in before.items())
    assert any("[hold." in one for one in mail.put_off)
    mail.judged()
    assert wan.sent(sample("clean", uuid.uuid4().hex)).startswith("250 ")


def test_a_run_that_was_killed_is_finished(wan: Outside, gateway: GatewayHost) -> None:
    """H14: kill -9 of all that is at work in the middle; mail stays on hold until the gate has passed, as it would after a boot."""
    slow = postinst(f"{SAYS}; [ ! -e /run/test-slow ] || sleep 60")
    killed = (
        f"{BEGUN}; "
        "systemctl kill --signal=KILL bastide-update.service; rm /run/test-slow; "
        "timeout 30 sh -c 'while systemctl is-active -q bastide-update; do sleep 0.2; done'"
    )
    with offered(gateway, {WARES.harmless: slow}), traffic(wan, gateway) as mail:
        gateway.run(f"touch /run/test-slow; {killed}", check=False)
        assert held(gateway)
        assert not version(gateway, WARES.harmless)
        # Nobody has asked yet what the MTA would do with it.
        with pytest.raises((NoSightError, OSError), match=r"refused|reset"):
            wan.sent(sample("clean", uuid.uuid4().hex))
        # As it is behind a boot, whose rulesets know nothing of it.
        gateway.run(
            "iptables -D INPUT 1; systemctl start bastide-door.service; iptables -S INPUT 1 | grep -q REJECT"
        )
        gateway.run("systemctl start bastide-resume.service")
        assert version(gateway, WARES.harmless).endswith("+bastide1")
        assert not held(gateway)
    mail.judged()
    assert gateway.run(WARES.audit).strip() == ""


def test_an_administrator_who_lets_mail_flow_meanwhile_is_heard(wan: Outside, gateway: GatewayHost) -> None:
    """P04: the run goes on and is judged by its gate, whose own messages are on hold; port 25 is open behind it."""
    slow = postinst(f"{SAYS}; while [ -e /run/test-slow ]; do sleep 0.2; done")
    arrived = len(gateway.received("Bastide's gate"))
    with offered(gateway, {WARES.harmless: slow}), traffic(wan, gateway) as mail:
        gateway.run("touch /run/test-slow")
        gateway.run(BEGUN)
        assert held(gateway)
        gateway.run("bastide-update release; rm /run/test-slow")
        assert night(gateway) == "success"
        assert version(gateway, WARES.harmless).endswith("+bastide1")
        assert not held(gateway)
    mail.judged()
    assert len(gateway.received("Bastide's gate")) == arrived
    assert wan.sent(sample("clean", uuid.uuid4().hex)).startswith("250 ")


def test_an_mta_that_asks_no_filter_any_more_takes_no_mail(wan: Outside, gateway: GatewayHost) -> None:
    """P04: not even while packages are taken back, nor behind that where it does not help; mended by hand it flows."""
    script, file = UNASKED[SETTINGS.mta]
    back = f"cat /root/asked.kept >{file}; systemctl restart {' '.join(gateway.mta.agent.units)}"
    before, since = version(gateway, WARES.harmless), clock(gateway)
    with (
        offered(gateway, {WARES.harmless: postinst(script)}),
        gateway.altered(
            f"cp -p {file} /root/asked.kept", f"{back}; bastide-update release; {gateway.mta.ready}"
        ),
        traffic(wan, gateway) as mail,
    ):
        night(gateway)
        # The package is gone, its deed is not: nobody reaches the MTA.
        assert version(gateway, WARES.harmless) == before
        assert held(gateway)
        said = alerts(gateway, since)
        assert "Port 25 is closed" in said
        assert "still fails: clean: a clean message passes: 250" in said
        count = len(mail.taken)
        with pytest.raises((NoSightError, OSError), match=r"refused|reset"):
            wan.sent(sample("eicar", uuid.uuid4().hex))
        assert len(mail.taken) == count
        # Which it does not by itself, and does once somebody has mended it.
        gateway.run("bastide-update retry", check=False)
        assert held(gateway)
        gateway.run(f"{back}; bastide-update resume")
        assert not held(gateway)
        assert wan.sent(sample("clean", uuid.uuid4().hex)).startswith("250 ")
    mail.judged()
    assert "-j REJECT" not in gateway.run("iptables -S INPUT 1; iptables -S OUTPUT 1")


def test_a_package_whose_script_hangs_is_taken_back(wan: Outside, gateway: GatewayHost) -> None:
    """H14, H15: it is ended with all that it started, and meanwhile somebody says that mail is on hold for long."""
    before, since = version(gateway, WARES.harmless), clock(gateway)
    hangs = postinst("echo hangs >/run/test-hangs; sleep infinity")
    with (
        offered(gateway, {WARES.harmless: hangs}),
        set_to(gateway, install_seconds=25, hold_alert_seconds=1),
        traffic(wan, gateway) as mail,
    ):
        gateway.run("rm -f /run/test-hangs; systemctl start --no-block bastide-update.service")
        gateway.run("timeout 60 sh -c 'until [ -e /run/test-hangs ]; do sleep 0.2; done'")
        gateway.run("systemctl start bastide-watch.service")
        assert "mail is on hold for long" in alerts(gateway, since)
        night(gateway)
        assert version(gateway, WARES.harmless) == before
        assert not held(gateway)
        assert "did not end within 25 seconds" in alerts(gateway, since)
        assert "+bastide1" not in gateway.run(WARES.offer.format(WARES.harmless))
        assert not gateway.run("pgrep -fx 'sleep infinity'", check=False)
    mail.judged()
    assert gateway.run(WARES.audit).strip() == ""

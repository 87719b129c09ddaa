"""A switch of the MTA that cannot be: refused before anything is stopped, or else the old one is at work again (issue 5, H10)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.plan import LabState
from roles.mta.handover.switching import WRITTEN_DOWN
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy
from tests.acceptance.lacking import wants
from tests.acceptance.letters import BOB, PICTURE, PLAIN, attachment, letter, mark, send
from tests.acceptance.outside import Outside, line
from tests.acceptance.test_deploy import varied
from tests.acceptance.test_switch import as_mta, enabled, known, next_hop_down

if TYPE_CHECKING:
    from roles.settings import Mta

pytestmark = wants("mta")

OTHER: "Mta" = "sendmail" if SETTINGS.mta == "postfix" else "postfix"
COUNT: Final = 6
# A queue file that ends too soon, as a crashed file system leaves one, or as somebody copies it there.
_CUT: Final = {
    "postfix": (
        "f=$(find /var/spool/postfix/deferred -type f | head -n 1); cp -p $f /root/cut.kept; truncate -s -2 $f; echo $f",
        "postfix reload 2>/dev/null; cp -p /root/cut.kept {path}; rm -f /root/cut.kept",
    ),
    "sendmail": (
        "f=$(ls /var/spool/mqueue/qf* | head -n 1); cp -p $f /root/cut.kept; sed -i '/^\\.$/d' $f; echo $f",
        "cp -p /root/cut.kept {path}; rm -f /root/cut.kept",
    ),
}
_DEFERRED: Final = """timeout 30 sh -c 'until find /var/spool/postfix/deferred /var/spool/mqueue -type f 2>/dev/null | grep -q .
do sleep 1; done'"""
# Which services listen, and what systemd runs.
_LISTENS: Final = {
    "postfix": "postconf -M; sha256sum /etc/postfix/master.cf; systemctl is-enabled postfix",
    "sendmail": "systemctl is-active sendmail sendmail-inject sm-client; systemctl is-enabled sendmail sendmail-inject sm-client",
}


@contextmanager
def disk_full(gateway: GatewayHost) -> Iterator[None]:
    """Have the place where a queue is written down hold next to nothing for the length of a block."""
    with gateway.altered(
        f"mkdir -p {WRITTEN_DOWN}; mount -t tmpfs -o size=48k,mode=700 tmpfs {WRITTEN_DOWN}",
        f"umount {WRITTEN_DOWN}",
    ):
        yield


def test_a_queue_file_that_cannot_be_read_stops_the_switch_before_anything_is_stopped(
    lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    unique = mark()
    known(wan)
    gateway.sent_on()
    with next_hop_down(lab):
        assert send(wan, letter(unique, PLAIN)).startswith("250 ")
        gateway.run(gateway.mta.flush, check=False)
        cut, mended = _CUT[SETTINGS.mta]
        gateway.run(_DEFERRED)
        path = gateway.run(cut).strip()
        before = gateway.run(_LISTENS[SETTINGS.mta])
        try:
            done = deploy("apply", varied(tmp_path, as_mta(OTHER)), lab=lab.name)
            assert done.returncode == 1
            said = done.stdout + done.stderr
            assert (
                f"{path} cannot be read: it is not a whole queue file; look at it, mend it or move it out"
                in said
            )
            assert "has been started again" not in said
            assert gateway.run(_LISTENS[SETTINGS.mta]) == before
            assert wan.dialogue(line("NOOP"))[0].startswith("220 ")
        finally:
            gateway.run(mended.format(path=path))
    gateway.sent_on()
    assert len(gateway.awaited(unique)) == 1


def test_where_the_new_mtas_packages_are_not_to_be_had_the_old_one_goes_on(
    lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    before = gateway.run(_LISTENS[SETTINGS.mta])
    with gateway.altered("mount -t tmpfs tmpfs /srv/mirror", "umount /srv/mirror"):
        done = deploy("apply", varied(tmp_path, as_mta(OTHER)), lab=lab.name)
    assert done.returncode == 1
    assert "has been started again" not in done.stdout + done.stderr
    assert gateway.run(_LISTENS[SETTINGS.mta]) == before
    known(wan)
    assert send(wan, letter(mark(), PLAIN)).startswith("250 ")


def test_where_a_queue_cannot_be_written_down_the_old_mta_is_at_work_again(
    lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    known(wan)
    gateway.sent_on()
    before = gateway.run(_LISTENS[SETTINGS.mta])
    marks = [mark() for _ in range(COUNT)]
    try:
        with next_hop_down(lab):
            for unique in marks:
                big = letter(unique, PLAIN, PICTURE, attachment(bytes(range(256)) * 40, "data.bin"))
                assert send(wan, big, BOB).startswith("250 ")
            with disk_full(gateway):
                done = deploy("apply", varied(tmp_path, as_mta(OTHER)), lab=lab.name)
                assert done.returncode == 1
                said = done.stdout + done.stderr
                assert "the queue cannot be carried over: [Errno 28] No space left on device" in said
                assert f"{gateway.mta.agent.title} has been started again and takes mail as before" in said
                # What had been written down by then is in the queue again.
                assert len(gateway.queue()) == COUNT
                assert gateway.run(f"ls {WRITTEN_DOWN}") == ""
            assert enabled(gateway) == {SETTINGS.mta}
            assert gateway.run(_LISTENS[SETTINGS.mta]) == before
            assert gateway.run("ls -d /var/lib/bastide/switching", check=False) == ""
            marks.append(mark())
            assert send(wan, letter(marks[-1], PLAIN)).startswith("250 ")
        gateway.sent_on()  # by itself: no deploy has come between
        assert [len(gateway.awaited(unique)) for unique in marks] == [1] * len(marks)
    finally:
        assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0

"""What updates and judges on the host: its pure parts, and a gate that finds each thing that can be wrong."""

import fcntl
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from roles.updates.host import gate, judging, machine, mail, packages, update
from roles.updates.host.packages import Change, Package

DECLARED = {"recipient": "postmaster@example.org", "smtp_port": 25}
HELD = "451 4.7.1 Message not accepted for now: policy [hold.{}] id=4XyZ"
REPLIES = {
    "clean": HELD.format("clean"),
    "eicar": "550 5.7.1 Message refused: virus [virus.signature] id=4XyZ",
    "gtube": "550 5.7.1 Message refused: spam [spam.high] id=4XyZ",
}


@contextmanager
def mta(answer: Callable[[bytes], str]) -> Iterator[int]:
    """Serve SMTP on a port of loopback; ``answer`` gives the reply to a message."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(10)

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line, line.makefile("rwb") as stream:

                def say(text: str) -> None:
                    stream.write(f"{text}\r\n".encode())
                    stream.flush()

                say("220 mx ESMTP")
                while word := stream.readline():
                    if word.startswith(b"DATA"):
                        say("354 go on")
                        text = b""
                        while (part := stream.readline()) != b".\r\n":
                            text += part
                        say(answer(text))
                    else:
                        say("250-mx\r\n250 SIZE" if word.startswith(b"EHLO") else "250 Ok")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


def replies(wanted: Mapping[str, str]) -> Callable[[bytes], str]:
    def answer(text: bytes) -> str:
        return wanted["eicar" if gate.EICAR in text else "gtube" if gate.GTUBE in text else "clean"]

    return answer


@pytest.mark.parametrize("name", REPLIES)
def test_a_gateway_that_filters_passes(name: str) -> None:
    with mta(replies(REPLIES)) as port:
        check = gate.checked_message(name, {**DECLARED, "smtp_port": port}, 10)
    assert check.well, check
    assert REPLIES[name] in check.seen


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("clean", "250 2.0.0 Ok: queued as 4XyZ"),
        ("clean", "451 4.7.1 Message not inspected, please try again later [virus.clamd] id=4XyZ"),
        ("clean", HELD.format("spam")),
        ("clean", "451 4.7.1 Service unavailable - try again later"),
        ("eicar", "250 2.0.0 Ok: queued as 4XyZ"),
        ("eicar", HELD.format("clean")),
        ("eicar", "550 5.7.1 Relaying denied"),
        ("gtube", HELD.format("clean")),
        ("gtube", "550 5.7.1 Message refused: virus [virus.signature] id=4XyZ"),
    ],
)
def test_a_gateway_that_does_not_filter_fails(name: str, reply: str) -> None:
    with mta(replies({**REPLIES, name: reply})) as port:
        check = gate.checked_message(name, {**DECLARED, "smtp_port": port}, 10)
    assert not check.well
    assert gate.past_hope([check]) == (name != "clean" and (reply.startswith("250") or "hold.clean" in reply))


@pytest.mark.parametrize("name", ["eicar", "gtube"])
def test_a_chain_that_keeps_in_place_of_refusing_passes(name: str) -> None:
    kept = HELD.format("infected" if name == "eicar" else "spam")
    with mta(replies({**REPLIES, name: kept})) as port:
        assert gate.checked_message(name, {**DECLARED, "smtp_port": port}, 10).well


def test_an_mta_that_is_away_or_silent_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "no answer" in gate.checked_message("clean", {**DECLARED, "smtp_port": port}, 0.2).seen
    assert not gate.checked_message("clean", {**DECLARED, "smtp_port": port}, 1).well


def test_what_listens_is_named_by_protocol_address_and_program() -> None:
    seen = gate.listening(
        'tcp LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:(("master",pid=7,fd=13))\n'
        'udp UNCONN 0 0 127.0.0.1:53 0.0.0.0:* users:(("unbound",pid=8,fd=3))\n'
        'udp UNCONN 0 0 0.0.0.0:40123 0.0.0.0:* users:(("unbound",pid=8,fd=9))\n\n'
    )
    assert seen == ["tcp 0.0.0.0:25 master", "udp 127.0.0.1:53 unbound"]


def test_the_age_of_signatures_is_what_clamd_says() -> None:
    now = 1_700_000_000.0
    assert gate.database_hours("ClamAV 1.4.3/27000/Tue Nov 14 12:13:20 2023", now) == pytest.approx(
        10, abs=15
    )
    assert gate.database_hours("ClamAV 1.4.3", now) is None


def test_a_hold_of_its_own_goes_and_one_that_was_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "hold"
    with gate.holding(file, tmp_path / "lock"):
        assert file.exists()
        with gate.holding(file, tmp_path / "lock"):
            pass
        assert file.exists()
    assert not file.exists()


def here(version: str, *, whole: bool = True) -> Package:
    return Package(version, "amd64", "src", whole)


def test_changes_are_versions_that_differ_and_what_is_not_whole() -> None:
    now = {"a": here("2"), "b": here("1"), "c": here("1", whole=False), "new": here("1")}
    assert packages.changes({"a": "1", "b": "1", "c": "1", "gone": "1"}, now) == {
        "a": Change("1", "2"),
        "c": Change("1", "1"),
        "new": Change("", "1"),
        "gone": Change("1", ""),
    }


def test_what_apt_and_unattended_upgrades_say() -> None:
    said = (
        "Inst a [1:2-3] (1:2-4 Debian-Security:12/stable [amd64])\nInst new (1 x [all])\nConf a (1:2-4 x)\n"
    )
    assert packages.simulated(said) == {"a": ("1:2-3", "1:2-4")}
    assert packages.allowed("x\nPackages that will be upgraded: a b\ny") == ["a", "b"]
    assert packages.allowed("Packages that will be upgraded: \n") == []
    assert packages.allowed("No packages found that can be upgraded unattended") == []
    assert packages.allowed("Lock could not be acquired") is None


def test_a_package_is_kept_under_the_name_that_apt_gives_it() -> None:
    assert (
        packages.archive_name("libc6:i386", Package("1:2-3", "i386", "glibc", whole=True))
        == "libc6_1%3a2-3_i386.deb"
    )


def test_a_guilty_version_is_barred_until_a_newer_one_is_installed() -> None:
    def newer(one: str, other: str) -> bool:
        return int(one) > int(other)

    first = packages.barred("", {"postfix": "5"}, {"postfix": "4"}, newer)
    assert first.endswith("\nPackage: postfix\nPin: version 5\nPin-Priority: -1\n")
    both = packages.barred(first, {"spamd": "7"}, {"postfix": "4", "spamd": "6"}, newer)
    assert "Package: postfix\n" in both
    assert "Package: spamd\n" in both
    assert "postfix" not in packages.barred(both, {}, {"postfix": "6", "spamd": "6"}, newer)
    # Nothing of a package may write lines of its own into apt's preferences.
    assert "Pin-Priority: 1001" not in packages.barred("", {"x": "1\nPin-Priority: 1001"}, {}, newer)


def test_the_gate_is_no_gate_of_a_host_that_was_not_deployed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gate, "DECLARED", tmp_path / "missing.json")
    assert gate.main([]) == 2


def test_a_timer_that_an_update_left_stopped_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {
        "list-unit-files": "a.timer enabled enabled\nb.service enabled enabled\n",
        "list-units": "b.service loaded active running B\n",
    }
    monkeypatch.setattr(gate, "ran", lambda *words, **_more: lists.get(words[1], ""))
    assert gate.active_units() == ["b.service"]
    found = {
        one.name: one
        for one in gate.checks(
            {**DECLARED, "units": [], "smtp_port": 1, "clamd_socket": "/x", "database_hours": 0},
            {"active": ["a.timer", "b.service"]},
            0,
        )
    }
    assert found["stopped-units"].seen == "a.timer"
    assert not found["stopped-units"].well


def test_a_snapshot_is_what_is_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "ran", lambda *_words, **_more: "")
    assert gate.main(["--snapshot"]) == 0
    assert json.loads(capsys.readouterr().out) == {"failed": [], "active": [], "listening": []}


def test_units_with_replaced_libraries_are_found(tmp_path: Path) -> None:
    def process(number: str, mapped: str, group: str) -> None:
        (tmp_path / number).mkdir()
        (tmp_path / number / "maps").write_text(f"7f0-7f1 r-xp 00000000 08:01 12 {mapped}\n")
        (tmp_path / number / "cgroup").write_text(
            f"1:name=systemd:/system.slice/{group}\n0::/system.slice/{group}\n"
        )

    process("7", "/usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)", "spamd.service")
    process("8", "/usr/lib/x86_64-linux-gnu/libssl.so.3", "cron.service")
    process("9", "/memfd:x (deleted)", "filterd.service")
    process("1", "/usr/lib/systemd/systemd (deleted)", "")
    (tmp_path / "self").mkdir()
    assert machine.outdated(tmp_path) == {"spamd.service", "init.scope"}


SAID = {
    "apt-get": "Inst old [1] (2 x [amd64])\nInst good [1] (2 x [amd64])\nInst held [1] (2 x [amd64])\n",
    "unattended-upgrade": "Packages that will be upgraded: {}",
}


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """A host on which three packages may become newer, and one of them, old, has no way back."""

    def ran(*words: str, **_more: object) -> tuple[int, str]:
        barred = (tmp_path / "apt.conf").read_text() if (tmp_path / "apt.conf").exists() else ""
        names = " ".join(name for name in ("old", "good", "held") if f"^{name}$" not in barred)
        return 0, SAID.get(words[0], "").format(names)

    monkeypatch.setattr(update, "ran", ran)
    monkeypatch.setattr(update, "SEEN", tmp_path / "seen.json")
    monkeypatch.setattr(update, "LEFT_OUT", tmp_path / "apt.conf")
    monkeypatch.setattr(update, "kept", lambda name, _package: None if name == "old" else tmp_path)
    return {"which": "security", "held": ["held"], "delay_hours": 0}


NOW = {name: here("1") for name in ("old", "good", "held")}


def test_what_has_no_way_back_or_is_held_is_left_out_and_said(night: dict[str, object]) -> None:
    plan = update.planned(night, NOW)
    assert plan.names == ("good",)
    assert sorted(plan.left_out) == ["held", "old"]
    assert "no way back" in plan.left_out["old"]


def test_nothing_is_installed_where_the_setting_is_none(night: dict[str, object]) -> None:
    plan = update.planned({**night, "which": "none"}, NOW)
    assert plan.names == ()
    assert sorted(plan.left_out) == ["good", "held", "old"]


def test_a_version_waits_until_it_is_known_for_long_enough(
    night: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {**night, "delay_hours": 24}
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    assert update.planned(later, NOW).names == ()
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0 + 23 * 3600)
    assert update.planned(later, NOW).names == ()
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0 + 25 * 3600)
    assert update.planned(later, NOW).names == ("good",)


def test_a_message_that_is_gone_without_a_word_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    log = "4Xsent: to=<a@b.example>, status=sent\n4Xsent: removed\n4Xseen: from=<a@b.example>, size=1 (queue active)\n"
    answers = {"postqueue": '{"queue_id": "4Xwait"}', "journalctl": log}
    monkeypatch.setattr(mail, "ran", lambda *words, **_more: (0, answers[words[0]]))
    assert mail.lost(["4Xwait", "4Xsent", "4Xseen", "4Xgone"], "postfix", 0) == ["4Xgone", "4Xseen"]
    assert mail.lost(["4Xwait"], "postfix", 0) == []


def test_mail_stays_on_hold_where_taking_back_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "installed", lambda: {"postfix": here("2")})
    monkeypatch.setattr(judging, "judged", lambda _declared, _record: ["ehlo: no answer"])
    back: list[object] = []
    monkeypatch.setattr(judging, "taken_back", lambda what, *_: back.append(what))
    with pytest.raises(judging.StuckError, match="still fails: ehlo"):
        judging.settled({}, {"before": {"postfix": "1"}, "automatic": []})
    assert back == [{"postfix": Change("1", "2")}]


def test_who_opened_a_socket_is_named_and_not_the_child_that_holds_it_too() -> None:
    line = 'tcp LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:(("smtpd",pid=91,fd=6),("master",pid=7,fd=13))\n'
    forwarded = (
        'tcp LISTEN 0 128 127.0.0.1:6010 0.0.0.0:* users:(("sshd",pid=99,fd=9))\n'
        'tcp LISTEN 0 128 0.0.0.0:40000 0.0.0.0:* users:(("nc",pid=99,fd=9))\n'
        'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=3,fd=3))\n'
    )
    assert gate.listening(line + forwarded) == ["tcp 0.0.0.0:22 sshd", "tcp 0.0.0.0:25 master"]


def test_a_gate_by_hand_lays_no_hold_beside_a_run_that_has_none_yet(tmp_path: Path) -> None:
    file, lock = tmp_path / "hold", tmp_path / "lock"
    with lock.open("w") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        with pytest.raises(gate.BusyError), gate.holding(file, lock):
            pass
        assert not file.exists()
        # The run's own gate: by then it has mail on hold.
        file.write_text(f"{machine.OWN}updates\n")
        with gate.holding(file, lock):
            pass
        assert file.exists()


def test_a_gate_removes_no_hold_but_its_own(tmp_path: Path) -> None:
    file = tmp_path / "hold"
    with gate.holding(file, tmp_path / "lock"):
        file.write_text("by hand\n")
    assert file.read_text() == "by hand\n"


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where updates keep what outlives a crash."""
    for module in (update, mail, judging, machine):
        for name in ("HOLD", "RECORD", "SNAPSHOT", "LAST", "NOTE", "PINS", "REBOOT"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / name.lower())
    monkeypatch.setattr(update, "repaired", lambda: "")
    monkeypatch.setattr(update, "gate", lambda _declared: [])
    monkeypatch.setattr(update, "alert", lambda *_words: None)
    return tmp_path


def test_no_timer_lifts_a_hold_that_was_laid_by_hand(books: Path) -> None:
    assert update.hold(DECLARED) == 0
    assert update.retry(DECLARED) == 0
    assert (books / "hold").exists()
    # Nor a night without updates.
    assert update.ended(DECLARED, {}, "", update.Plan((), {})) == 0
    assert (books / "hold").exists()
    mail.on_hold("updates")
    assert not mail.own_hold()
    assert update.resume(DECLARED) == 0
    assert not (books / "hold").exists()


def test_a_plain_file_is_a_hold_by_hand_and_one_of_ours_is_lifted(books: Path) -> None:
    (books / "hold").touch()
    assert not mail.own_hold()
    (books / "hold").unlink()
    mail.on_hold("an update was interrupted")
    assert mail.own_hold()
    assert update.retry(DECLARED) == 0
    assert not (books / "hold").exists()


def test_what_lets_mail_flow_forgets_the_run_that_held_it(books: Path) -> None:
    mail.on_hold("updates")
    for name in ("record", "snapshot"):
        (books / name).write_text("{}")
    assert update.release(DECLARED) == 0
    assert update.retry(DECLARED) == 0
    assert list(books.iterdir()) == []


@pytest.mark.usefixtures("books")
def test_what_stays_the_matter_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(update, "alert", lambda _declared, subject, _text: said.append(subject))
    for number in range(3):
        update.stayed(DECLARED, f"gtube: 451 4.7.1 [hold.clean] id=4Xy{number}")
    update.stayed(DECLARED, "services: clamav-daemon.service is failed")
    assert said == ["mail is on hold", "mail is on hold"]


def test_a_tool_that_says_nothing_is_no_night_without_updates(
    night: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*words: str, **_more: object) -> tuple[int, str]:
        return (1, "Lock could not be acquired") if words[0] == "unattended-upgrade" else (0, SAID["apt-get"])

    monkeypatch.setattr(update, "ran", locked)
    with pytest.raises(update.NotBegunError, match="updates cannot be looked for"):
        update.planned(night, NOW)


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("failing", [["listening: new: tcp 0.0.0.0:99 x"], ["listening: x", "gtube: y"], []])
def test_what_is_only_not_as_before_holds_no_mail_up(
    failing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "judged", lambda *_words: failing)
    monkeypatch.setattr(judging, "installed", lambda: {"a": here("1")})
    record = {"before": {"a": "1"}, "automatic": [], "queue": [], "began": 0.0}
    if any(one.startswith("gtube") for one in failing):
        with pytest.raises(judging.StuckError):
            judging.settled(DECLARED, record)
    else:
        assert judging.settled(DECLARED, record) == ({}, "")


@pytest.mark.usefixtures("books")
def test_what_others_installed_after_a_run_is_not_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[set[str]] = []
    answers = iter([["gtube: taken"], [], [], []])
    monkeypatch.setattr(judging, "judged", lambda *_words: next(answers))
    monkeypatch.setattr(judging, "installed", lambda: {"a": here("2"), "strace": here("6")})
    monkeypatch.setattr(judging, "taken_back", lambda what, *_more: taken.append(set(what)))
    monkeypatch.setattr(judging, "newer_than", lambda *_words: False)
    record = {"before": {"a": "1"}, "automatic": [], "queue": [], "began": 0.0, "changed": ["a"]}
    judging.settled(DECLARED, record)
    assert taken == [{"a"}]

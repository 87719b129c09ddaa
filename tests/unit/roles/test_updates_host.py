"""What updates on the host: its pure parts, its books, and who may lift a hold."""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from roles.updates.host import apt, door, judging, machine, mail, packages, planning, update, watching
from roles.updates.host.packages import Change, Package

DECLARED = {
    "recipient": "postmaster@example.org",
    "smtp_port": 25,
    "mta": "postfix",
    "install_seconds": 9,
    "hold_alert_seconds": 3600,
}

EICAR = "eicar: the anti-virus test file is refused: "


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
    assert apt.simulated(said) == {"a": ("1:2-3", "1:2-4")}
    assert apt.allowed("x\nPackages that will be upgraded: a b\ny") == ["a", "b"]
    assert apt.allowed("Packages that will be upgraded: \n") == []
    assert apt.allowed("No packages found that can be upgraded unattended") == []
    assert apt.allowed("Lock could not be acquired") is None


def test_a_package_is_kept_under_the_name_that_apt_gives_it() -> None:
    assert (
        apt.archive_name("libc6:i386", Package("1:2-3", "i386", "glibc", whole=True))
        == "libc6_1%3a2-3_i386.deb"
    )


def test_a_guilty_version_is_barred_until_a_newer_one_is_installed() -> None:
    def newer(one: str, other: str) -> bool:
        return int(one) > int(other)

    first = apt.barred("", {"postfix": "5"}, {"postfix": "4"}, newer)
    assert first.endswith("\nPackage: postfix\nPin: version 5\nPin-Priority: -1\n")
    both = apt.barred(first, {"spamd": "7"}, {"postfix": "4", "spamd": "6"}, newer)
    assert "Package: postfix\n" in both
    assert "Package: spamd\n" in both
    assert "postfix" not in apt.barred(both, {}, {"postfix": "6", "spamd": "6"}, newer)
    # Nothing of a package may write lines of its own into apt's preferences.
    assert "Pin-Priority: 1001" not in apt.barred("", {"x": "1\nPin-Priority: 1001"}, {}, newer)


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

    monkeypatch.setattr(apt, "ran", ran)
    monkeypatch.setattr(planning, "SEEN", tmp_path / "seen.json")
    monkeypatch.setattr(apt, "LEFT_OUT", tmp_path / "apt.conf")
    monkeypatch.setattr(planning, "kept", lambda name, _package: None if name == "old" else tmp_path)
    return {"which": "security", "held": ["held"], "delay_hours": 0}


NOW = {name: here("1") for name in ("old", "good", "held")}


def test_what_has_no_way_back_or_is_held_is_left_out_and_said(night: dict[str, object]) -> None:
    plan = planning.planned(night, NOW)
    assert plan.names == ("good",)
    assert sorted(plan.left_out) == ["held", "old"]
    assert "no way back" in plan.left_out["old"]


def test_nothing_is_installed_where_the_setting_is_none(night: dict[str, object]) -> None:
    plan = planning.planned({**night, "which": "none"}, NOW)
    assert plan.names == ()
    assert sorted(plan.left_out) == ["good", "held", "old"]


def test_a_version_waits_until_it_is_known_for_long_enough(
    night: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {**night, "delay_hours": 24}
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    assert planning.planned(later, NOW).names == ()
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0 + 23 * 3600)
    assert planning.planned(later, NOW).names == ()
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0 + 25 * 3600)
    assert planning.planned(later, NOW).names == ("good",)


def test_a_message_that_is_gone_without_a_word_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    log = "4Xsent: to=<a@b.example>, status=sent\n4Xsent: removed\n4Xseen: from=<a@b.example>, size=1 (queue active)\n"
    answers = {"postqueue": '{"queue_id": "4Xwait"}', "journalctl": log}
    monkeypatch.setattr(mail, "ran", lambda *words, **_more: (0, answers[words[0]]))
    assert mail.lost(["4Xwait", "4Xsent", "4Xseen", "4Xgone"], "postfix", 0) == ["4Xgone", "4Xseen"]
    assert mail.lost(["4Xwait"], "postfix", 0) == []


@pytest.mark.usefixtures("books")
def test_mail_stays_on_hold_where_taking_back_does_not_help(
    monkeypatch: pytest.MonkeyPatch, books: Path
) -> None:
    monkeypatch.setattr(judging, "installed", lambda: {"postfix": here("2")})
    monkeypatch.setattr(judging, "judged", lambda *_words, **_more: ["ehlo: no answer"])
    back: list[object] = []

    def taken_back(what: object, *_more: object) -> list[str]:
        # If power is lost now, the version is barred.
        assert "Pin: version 2" in (books / "pins").read_text()
        back.append(what)
        return []

    monkeypatch.setattr(judging, "taken_back", taken_back)
    with pytest.raises(judging.StuckError, match="still fails: ehlo"):
        judging.settled(DECLARED, {"before": {"postfix": "1"}, "automatic": []})
    assert back == [{"postfix": Change("1", "2")}]


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where updates keep what outlives a crash."""
    for module in (update, mail, judging, machine, watching):
        for name in ("HOLD", "RECORD", "SNAPSHOT", "LAST", "NOTE", "PINS", "REBOOT", "TOLD", "UNTOLD"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / name.lower())
    monkeypatch.setattr(update, "unclean", lambda: False)
    monkeypatch.setattr(update, "complaint", lambda: "")
    monkeypatch.setattr(update, "repaired", lambda _seconds: "")
    monkeypatch.setattr(mail, "queue", lambda _mta: set())
    monkeypatch.setattr(judging, "gate", lambda _declared: [])
    monkeypatch.setattr(judging, "newer_than", lambda *_words: False)
    monkeypatch.setattr(update, "alert", lambda *_words: None)
    monkeypatch.setattr(update, "ran", lambda *_words, **_more: (0, ""))
    monkeypatch.setattr(door, "_asked", lambda verb, *_rest: verb != "-D")
    return tmp_path


def test_no_timer_lifts_a_hold_that_was_laid_by_hand(books: Path) -> None:
    assert update.hold(DECLARED) == 0
    assert update.retry(DECLARED) == 0
    assert (books / "hold").exists()
    # Nor a night without updates.
    assert update.ended(DECLARED, {}, "", planning.Plan((), {})) == 0
    assert (books / "hold").exists()
    mail.on_hold("updates")
    assert not mail.own_hold()
    assert update.resume(DECLARED) == 0
    assert not (books / "hold").exists()


def test_a_file_by_hand_is_an_administrators_hold_and_an_empty_one_was_cut_off(books: Path) -> None:
    (books / "hold").write_text("I work on it\n")
    assert not mail.own_hold()
    (books / "hold").unlink()
    (books / "hold").touch()
    assert mail.own_hold()
    assert update.retry(DECLARED) == 0
    assert not (books / "hold").exists()


def test_a_hold_of_ours_is_not_written_again(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A full disk, and the age of the hold.
    mail.on_hold("updates")

    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mail, "written", full)
    mail.on_hold("an update was interrupted")
    assert "updates" in (books / "hold").read_text()


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
    monkeypatch.setattr(mail, "alert", lambda _declared, subject, _text: said.append(subject))
    for number in range(3):
        update.stayed(DECLARED, f"gtube: 451 4.7.1 [hold.clean] id=4Xy{number}")
    update.stayed(DECLARED, "services: clamav-daemon.service is failed")
    assert said == ["mail is on hold", "mail is on hold"]


def test_an_alert_that_could_not_be_sent_is_sent_later(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def away(_declared: object, _subject: str, _text: str) -> None:
        raise OSError("the MTA is away")

    monkeypatch.setattr(mail, "mailed", away)
    mail.alert(DECLARED, "mail is on hold", "x")
    assert len(list((books / "untold").iterdir())) == 1
    monkeypatch.setattr(mail, "mailed", lambda _declared, subject, _text: sent.append(subject))
    monkeypatch.setattr(mail, "_SENDING_S", 0)
    watching.watch(DECLARED)
    watching.watch(DECLARED)
    assert sent == ["mail is on hold"]


def test_a_long_hold_of_ours_is_an_alarm(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(mail, "alert", lambda _declared, subject, _text: said.append(subject))
    mail.on_hold("updates")
    watching.watch(DECLARED)
    assert said == []
    began = time.time() - 3700
    os.utime(books / "hold", (began, began))
    watching.watch(DECLARED)
    watching.watch(DECLARED)
    assert said == ["mail is on hold for long"]
    (books / "hold").write_text("by hand\n")
    os.utime(books / "hold", (began, began))
    (books / "told").unlink()
    watching.watch(DECLARED)
    assert len(said) == 1


@pytest.mark.parametrize("passes", [True, False])
def test_an_update_that_mends_nothing_stays_and_is_not_blamed(
    books: Path, monkeypatch: pytest.MonkeyPatch, *, passes: bool
) -> None:
    failing = [f"{EICAR}250 2.0.0 Ok"] if passes else ["services: clamav-daemon.service is failed"]
    monkeypatch.setattr(judging, "judged", lambda *_words, **_more: failing)
    monkeypatch.setattr(judging, "installed", lambda: {"a": here("2")})
    record = {"before": {"a": "1"}, "automatic": [], "failing": failing}
    if passes:
        with pytest.raises(judging.StuckError, match="it was so before"):
            judging.settled(DECLARED, record)
    else:
        assert judging.settled(DECLARED, record) == ({"a": Change("1", "2")}, "")
    assert not (books / "pins").exists()


@pytest.mark.parametrize(("failing", "bars"), [("listening: new: x", False), ("gtube: taken", True)])
def test_what_merely_differs_bars_no_version(
    books: Path, monkeypatch: pytest.MonkeyPatch, *, failing: str, bars: bool
) -> None:
    answers = iter([[failing], []])
    versions = iter(["2", "1", "1"])
    monkeypatch.setattr(judging, "judged", lambda *_words, **_more: next(answers))
    monkeypatch.setattr(judging, "installed", lambda: {"aa": here(next(versions))})
    monkeypatch.setattr(judging, "taken_back", lambda *_words: [])
    stays, text = judging.settled(DECLARED, {"before": {"aa": "1"}, "automatic": []})
    assert stays == {}
    assert ("Pin: version 2" in (books / "pins").read_text()) == bars
    assert ("tried again the next night: aa 2" in text) != bars


def test_a_full_disk_is_said(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def full(_declared: object) -> int:
        raise OSError(28, "No space left on device")

    (books / "declared").write_text(json.dumps(DECLARED))
    for name, where in (("DECLARED", "declared"), ("LOCK", "lock"), ("KEPT", "kept")):
        monkeypatch.setattr(update, name, books / where)
    monkeypatch.setattr(update, "left_by_a_crash", lambda: None)
    monkeypatch.setitem(update._COMMANDS, "retry", full)
    monkeypatch.setattr(update, "alert_once", lambda _declared, subject, _text: said.append(subject))
    assert update.main(["retry"]) == 1
    assert said == ["updates cannot go on"]


def test_a_tool_that_says_nothing_is_no_night_without_updates(
    night: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*words: str, **_more: object) -> tuple[int, str]:
        return (1, "Lock could not be acquired") if words[0] == "unattended-upgrade" else (0, SAID["apt-get"])

    monkeypatch.setattr(apt, "ran", locked)
    with pytest.raises(planning.NotBegunError, match="updates cannot be looked for"):
        planning.planned(night, NOW)


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("failing", [["listening: new: tcp 0.0.0.0:99 x"], ["listening: x", "gtube: y"], []])
def test_what_is_only_not_as_before_holds_no_mail_up(
    failing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "judged", lambda *_words, **_more: failing)
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
    monkeypatch.setattr(judging, "judged", lambda *_words, **_more: next(answers))
    monkeypatch.setattr(judging, "installed", lambda: {"a": here("2"), "strace": here("6")})

    def taken_back(what: Iterable[str], *_more: object) -> list[str]:
        taken.append(set(what))
        return []

    monkeypatch.setattr(judging, "taken_back", taken_back)
    monkeypatch.setattr(judging, "newer_than", lambda *_words: False)
    record = {"before": {"a": "1"}, "automatic": [], "queue": [], "began": 0.0, "changed": ["a"]}
    judging.settled(DECLARED, record)
    assert taken == [{"a"}]

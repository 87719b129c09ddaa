"""What of updates keeps mail away and ends what hangs: the door, the limits, and what an update is blamed for."""

import time
from pathlib import Path

import pytest

from roles.updates.host import apt, door, judging, machine, planning


def test_what_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    # In a session of its own, as apt has dpkg; the sleeper would hold the pipe open.
    mark = tmp_path / "pid"
    began = time.monotonic()
    code, said = machine.ran(
        "sh", "-c", f"setsid sh -c 'echo $$ >{mark}; sleep 300 & sleep 300' & wait", seconds=1
    )
    assert code == machine.TOO_LONG
    assert "did not end within 1 seconds" in said
    assert time.monotonic() - began < 8
    state = Path(f"/proc/{mark.read_text().strip()}/stat")
    assert not state.exists() or ") Z " in state.read_text()


def test_a_family_is_children_and_sessions() -> None:
    stats = ["5 (a b) S 1 5 5 0", "6 (c) S) S 5 6 6 0", "7 (d) S 1 6 6 0", "8 (e) S 1 8 8 0"]
    assert machine.family(5, stats) == {5, 6, 7}


def test_none_but_root_may_take_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch(mode=0o644)
    with machine.locking(lock):
        assert lock.stat().st_mode & 0o777 == 0o600


def test_a_repair_removes_nothing_and_says_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def ran(*words: str, **_more: object) -> tuple[int, str]:
        asked.append(words)
        hangs = "--configure" in words
        return (machine.TOO_LONG, "dpkg did not end") if hangs else (0, "x" if "--audit" in words else "")

    monkeypatch.setattr(apt, "ran", ran)
    monkeypatch.setattr(apt, "POLICY", Path("/proc/version"))
    assert apt.repaired(9).startswith("dpkg did not end")
    assert not any("install" in one for one in asked)
    monkeypatch.setattr(machine, "TOO_LONG", 1)
    monkeypatch.setattr(apt, "TOO_LONG", -1)
    apt.repaired(9)
    assert all("--no-remove" in one for one in asked if "install" in one)


CLEAN = "clean: a clean message passes: "
EICAR = "eicar: the anti-virus test file is refused: "


@pytest.mark.parametrize(
    ("failing", "is_shut", "bad"),
    [
        ([f"{CLEAN}250 2.0.0 Ok: queued as 4Xy"], True, True),
        ([f"{EICAR}250 2.0.0 Ok: queued as 4Xy"], True, True),
        ([f"{CLEAN}no answer: Connection refused"], True, False),
        (["gate: it did not run: no Python"], True, False),
        ([f"{EICAR}451 4.7.1 Not accepted: policy [hold.clean] id=4Xy"], False, True),
        ([f"{CLEAN}451 4.7.1 Service unavailable - try again later"], False, False),
        ([f"{CLEAN}550 5.7.1 Relaying denied"], True, False),
        (["listening: new: tcp 0.0.0.0:99 x"], False, False),
    ],
)
def test_the_door_is_shut_where_the_mta_is_not_seen_to_ask(
    failing: list[str], monkeypatch: pytest.MonkeyPatch, *, is_shut: bool, bad: bool
) -> None:
    done: list[str] = []

    def shut() -> bool:
        done.append("shut")
        return True

    monkeypatch.setattr(door, "shut", shut)
    monkeypatch.setattr(door, "opened", lambda: done.append("open"))
    judging._kept_away({}, failing)
    assert done == ["shut" if is_shut else "open"]
    assert bool(judging.passed(failing)) == bad


def test_without_a_packet_filter_the_mta_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(door, "shut", lambda: False)

    def ran(*words: str, **_more: object) -> tuple[int, str]:
        asked.append(words)
        return 0, ""

    monkeypatch.setattr(judging, "ran", ran)
    judging._kept_away({"mta_units": ["postfix.service"]}, [f"{EICAR}250 2.0.0 Ok"])
    assert asked == [("systemctl", "stop", "postfix.service")]


def test_what_failed_before_is_no_updates_fault() -> None:
    before = [
        "services: clamav-daemon.service is failed; a.service is failed",
        "listening: gone: tcp 1.2.3.4:25 x",
    ]
    assert judging.worse(["services: a.service is failed"], before) == []
    assert judging.worse(["services: b.service is failed"], before) == ["services: b.service is failed"]
    assert (
        judging.worse([f"{EICAR}250 2.0.0 Ok: queued as 4Xy9"], [f"{EICAR}250 2.0.0 Ok: queued as 4Xy8"])
        == []
    )


def test_too_little_room_is_named() -> None:
    assert planning.cramped(0) == "" or "inodes" in planning.cramped(0)
    assert "/ has " in planning.cramped(10**9)

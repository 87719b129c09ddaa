"""A look ends whatever it finds, begins in no upgrade, keeps no rules that nobody explains, and changes nothing for an audit."""

import base64
import fcntl
import hashlib
import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roles.integrity.defences import DEFENCES
from roles.integrity.onhost import baseline, cli, look, special, who
from roles.integrity.onhost.baseline import Baseline
from roles.integrity.onhost.database import Change, Database, Entry

RULES = b"rules"


def entry(path: str, content: bytes) -> Entry:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    columns = {"name": path, "perm": "100644", "uid": "0", "gid": "0", "sha256": digest}
    return Entry(" ".join(columns.values()), columns)


class Host:
    """A host whose engine sees what a test says, by the rules that it is given."""

    def __init__(self, place: Path) -> None:
        self.home, self.config = place / "home", place / "aide.conf"
        self.home.mkdir(mode=0o700)
        self.config.write_bytes(RULES)
        self.files = {"/bin/tool": b"tool"}
        self.rules: list[bytes] = []
        self.explained: set[str] = set()
        self.asked: list[str] = []

    def seen(self, config: Path, *_: object) -> Database:
        self.rules.append(config.read_bytes())
        files = self.files | {str(self.config): self.config.read_bytes()}
        return Database(
            "@@begin_db\n@@db_spec name perm uid gid sha256",
            {path: entry(path, text) for path, text in files.items()},
        )

    def of(self, found: list[Change]) -> Iterator[tuple[Change, str, str]]:
        for each in found:
            by = "a package" if each.path in self.explained else ""
            yield each, by, by

    def several(self, paths: Any, since: float) -> dict[str, str]:
        self.asked = [*paths]
        return dict.fromkeys(self.asked[:1], f"login ops since {since}")

    def kept(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.home.iterdir() if path.name != "lock"}

    def findings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.home / "findings.json").read_text())["unexplained"]
        return found


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host with its first baseline."""
    host = Host(tmp_path)

    class Evidence:
        def __init__(self, *_: object) -> None:
            self.packages = type("Packages", (), {"listed": {}})
            self.of = host.of

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "umask", lambda _: None)  # tests after these have it too
    monkeypatch.setattr(baseline, "HOME", host.home)
    monkeypatch.setattr(cli, "HOME", host.home)
    monkeypatch.setattr(cli, "NOTE", tmp_path / "notes/integrity")
    monkeypatch.setattr(cli.syslog, "syslog", lambda *_: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(look, "UPDATES", tmp_path / "none")
    monkeypatch.setattr(look, "_seen", host.seen)
    monkeypatch.setattr(look, "Evidence", Evidence)
    monkeypatch.setattr(look, "Packages", lambda *_: type("Packages", (), {"listed": {}}))
    monkeypatch.setattr(special, "entries", lambda _: {})
    monkeypatch.setattr(who, "several", host.several, raising=False)
    again = look.again

    def by_config(old: Path, new: Path, by: str, config: Path = host.config) -> look.Look:
        return again(old, new, by, config)

    monkeypatch.setattr(look, "again", by_config)
    look.first(host.home, host.config)
    host.rules.clear()
    return host


def test_rules_that_nobody_explains_make_no_baseline(host: Host) -> None:
    host.config.write_bytes(b"rules\n!/usr/local")
    host.files["/bin/tool"] = b"evil"
    found = look.again(host.home, host.home, "night", host.config)
    assert {each.path for each in found.findings} == {str(host.config), "/bin/tool"}
    assert set(host.rules) == {RULES}
    assert (host.home / baseline.CONFIG).read_bytes() == RULES
    # Put back, all that was found is still what it was found to be.
    host.config.write_bytes(RULES)
    assert [each.path for each in look.again(host.home, host.home, "night", host.config).findings] == [
        "/bin/tool"
    ]


def test_rules_that_are_explained_make_the_next_baseline(host: Host) -> None:
    host.config.write_bytes(b"more rules")
    host.explained.add(str(host.config))
    assert not look.again(host.home, host.home, "night", host.config).findings
    assert host.rules == [RULES, b"more rules"]
    assert (host.home / baseline.CONFIG).read_bytes() == b"more rules"
    assert not baseline.wrong(host.home)


def test_rules_that_went_are_a_finding_and_no_end_of_the_look(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"/bin/tool": entry("/bin/tool", b"tool")}
    monkeypatch.setattr(
        look, "_seen", lambda *_: Database("@@begin_db\n@@db_spec name perm uid gid sha256", gone)
    )
    host.config.unlink()
    found = look.again(host.home, host.home, "night", host.config)
    assert [each.path for each in found.findings] == [str(host.config)]


def test_what_was_found_is_written_before_anybody_is_asked_who_did_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.files |= {"/bin/tool": b"evil", "/bin/more": b"evil"}

    def never(*_: object) -> dict[str, str]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(who, "several", never)
        with pytest.raises(KeyboardInterrupt):
            cli.main(["check"])
    assert [each["path"] for each in host.findings()] == ["/bin/more", "/bin/tool"]
    assert cli.NOTE.read_text().startswith("2 changes")
    assert cli.main(["check"]) == 2
    assert host.findings()[0]["who"].startswith("login ops since")
    # The next night asks no more of what it knows, and of what is new first.
    said, host.files["/bin/zz"] = host.findings()[0]["who"], b"evil"
    assert cli.main(["check"]) == 2
    assert host.asked == ["/bin/zz", "/bin/tool"]
    assert host.findings()[0]["who"] == said


def test_so_many_are_asked_after_as_the_time_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def of(_path: str, _since: float, seconds: float) -> str:
        asked.append(seconds)
        return "ops"

    monkeypatch.setattr(who, "of", of)
    assert len(who.several(map(str, range(100_000)), 0)) == 100
    assert max(asked) <= 20
    asked.clear()
    moments = iter(range(0, 100_000, 7))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(moments)))
    who.several(map(str, range(100_000)), 0)
    assert 30 < len(asked) < 45
    assert asked[-1] < 20


def test_of_an_endless_answer_the_end_is_kept_and_a_late_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(who, "_LONGEST", 10)
    said = [sys.executable, "-c", "import sys; sys.stdout.write('x' * 3_000_000 + 'the end')"]
    assert who._end(said, 30) == b"xxxthe end"
    begun = time.monotonic()
    assert who._end([sys.executable, "-c", "import time; print('x', flush=True); time.sleep(60)"], 0.5) == b""
    assert time.monotonic() - begun < 20
    assert who._end(["/none"], 1) == b""


def test_a_copy_that_is_not_what_was_kept_is_not_compared_with(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(host.home, tmp_path / "copy")
    with (copy / "owners").open("ab") as file:
        file.write(b"x")
    before = host.kept()
    assert cli.main(["check", "--deploy", "--copy", str(copy)]) == 3
    said = capsys.readouterr().err
    assert "the copy is not what was kept" in said
    assert str(copy / "owners") in said
    assert "remove it on the control host" in said
    assert host.kept() == before
    assert cli.main(["check", "--deploy", "--copy", str(shutil.copytree(host.home, tmp_path / "good"))]) == 0


def test_an_audit_is_answered_and_nothing_is_written(host: Host) -> None:
    asked = [each.command for defence in DEFENCES for each in defence.sets if hasattr(each, "command")]
    assert [each for each in asked if " check" in each and "config-check" not in each]
    assert all("check --dry" in each for each in asked if " check" in each and "config-check" not in each)
    before = host.kept()
    assert cli.main(["check", "--dry"]) == 0
    host.files["/bin/tool"] = b"evil"
    assert cli.main(["check", "--dry"]) == 2
    host.explained.add("/bin/tool")
    assert cli.main(["check", "--dry"]) == 0
    (host.home / "owners").write_bytes(b"x")
    assert cli.main(["check", "--dry"]) == 2
    assert host.kept() == before | {"owners": b"x"}
    (host.home / "chain").write_text("none")
    assert cli.main(["check", "--dry"]) == 2
    assert not cli.NOTE.parent.exists()


def test_a_look_finishes_what_an_interrupted_one_wrote(host: Host) -> None:
    kept = Baseline(9.0, Database("@@begin_db\n@@db_spec name perm", {}), {}, {})
    other = shutil.copytree(host.home, host.home.with_name("other"))
    baseline.keep(other, kept, RULES, {"by": "night"})
    for name in (baseline.CHAIN, *baseline.KEPT):
        shutil.copy2(other / name, host.home / f"{name}.next")
    with look.alone(host.home):
        assert baseline.load(host.home).at == 9.0


def test_a_look_waits_for_an_update_and_not_for_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock"
    monkeypatch.setattr(look, "UPDATES", lock)
    with look.unhurried(0):
        assert not lock.exists()
    with lock.open("w") as update:
        fcntl.flock(update, fcntl.LOCK_EX)
        with look.unhurried(0):
            assert "did not end in time" in capsys.readouterr().err
        fcntl.flock(update, fcntl.LOCK_UN)
        # Looks do not wait for each other, and no update begins meanwhile.
        with look.unhurried(0), look.unhurried(0), pytest.raises(BlockingIOError):
            fcntl.flock(update, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not capsys.readouterr().err
        fcntl.flock(update, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_each_look_waits_for_an_update(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    held = []

    def seen(*words: Any) -> Database:
        with lock.open("w") as update, pytest.raises(BlockingIOError):
            fcntl.flock(update, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(1)
        return host.seen(*words)

    monkeypatch.setattr(look, "_seen", seen)
    monkeypatch.setattr(look, "UPDATES", lock)
    copy, to = shutil.copytree(host.home, tmp_path / "copy"), tmp_path / "to"
    to.mkdir()
    words = (["check"], ["check", "--dry"], ["check", "--deploy"], ["replay", str(copy), str(to)])
    for each in words:
        assert cli.main(each) == 0
    assert len(held) == len(words)


def test_a_name_that_went_hides_none_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).touch(0o4755)
        (tmp_path / name).chmod(0o4755)
    real = os.scandir

    class Gone:
        path = str(tmp_path / "gone")

        def stat(self, **_: object) -> os.stat_result:
            raise FileNotFoundError

    class Churned:
        def __init__(self, place: str) -> None:
            self.found = [Gone(), *real(place), Gone()]

        def __enter__(self) -> Iterator[Any]:
            return iter([each for one in self.found for each in (Gone(), one)])

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Churned)
    found = dict(special.programs([str(tmp_path)]))
    assert {Path(path).name for path in found} == {"a", "b", "c", "d"}
    assert all(info.st_mode & stat.S_ISUID for info in found.values())

"""The baseline is a chain: what anything but a look changed of it is told; a look that is interrupted leaves one or the other."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from roles.integrity.onhost import baseline
from roles.integrity.onhost.baseline import Baseline
from roles.integrity.onhost.database import Database, DatabaseError, Entry

NEW = Database(
    "@@begin_db\n@@db_spec name perm", {"/a": Entry("/a 100644", {"name": "/a", "perm": "100644"})}
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a baseline that has been looked at twice."""
    home = tmp_path / "home"
    home.mkdir()
    for at in (1.0, 2.0):
        special = {"/s": Entry("", {"perm": "104755"})}
        baseline.keep(home, Baseline(at, NEW, special, {"/a": "tool"}), b"config", {"by": "night"})
    return home


def test_what_a_look_left_is_whole_and_read_again(place: Path) -> None:
    assert not baseline.wrong(place)
    found = baseline.load(place)
    assert found.at == 2.0
    assert found.database.entries["/a"].mode == "644"
    assert found.special["/s"].mode == "4755"
    assert found.owners == {"/a": "tool"}
    assert len(baseline.links(place)) == 2
    assert {path.name for path in place.iterdir()} == {*baseline.KEPT, "chain", "aide.db.old.gz"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.iterdir())


@pytest.mark.parametrize("name", baseline.KEPT)
def test_each_file_of_it_that_was_changed_is_named(place: Path, name: str) -> None:
    with (place / name).open("ab") as file:
        file.write(b"x")
    assert baseline.wrong(place) == f"{place / name}: not what the last look left"
    (place / name).unlink()
    assert baseline.wrong(place) == f"{place / name}: not what the last look left"


def test_a_chain_with_a_line_less_or_another_one_is_told(place: Path) -> None:
    first, second = (place / "chain").read_text().splitlines()
    (place / "chain").write_text(f"{second}\n")
    assert "does not name the one before" in baseline.wrong(place)
    (place / "chain").write_text(f"{first.replace('night', 'other')}\n{second}\n")
    assert "does not name the one before" in baseline.wrong(place)
    (place / "chain").write_text("none\n")
    assert "is no chain" in baseline.wrong(place)
    (place / "chain").unlink()
    assert "is gone" in baseline.wrong(place)


def test_where_there_is_no_baseline_none_is_read_and_nothing_is_wrong(tmp_path: Path) -> None:
    assert not baseline.wrong(tmp_path)
    with pytest.raises(DatabaseError, match="has no baseline"):
        baseline.load(tmp_path)


def test_a_chain_that_was_changed_ends_with_the_next_look(place: Path) -> None:
    (place / "chain").write_text((place / "chain").read_text().splitlines()[1] + "\n")
    baseline.keep(place, baseline.load(place), b"config", {"by": "accept"})
    assert not baseline.wrong(place)
    assert len(baseline.links(place)) == 1


class Crash(BaseException):
    """The host goes down."""


def test_a_look_that_is_interrupted_anywhere_leaves_the_former_baseline_or_the_new_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: dict[str, Any] = {"replace": Path.replace, "unlink": Path.unlink}
    left = 0

    def counted(name: str) -> Any:
        def step(*words: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash
            return real[name](*words, **more)

        return step

    steps, seen, kept = 0, set(), shutil.copytree(place, place.with_name("kept"))
    while True:
        shutil.rmtree(place)
        shutil.copytree(kept, place)
        left = steps
        with monkeypatch.context() as patch:
            for name in real:
                patch.setattr(Path, name, counted(name))
            try:
                found = Baseline(3.0, NEW, {"/t": Entry("", {"perm": "104755"})}, {"/a": "other"})
                baseline.keep(place, found, b"new", {"by": "night"})
                break
            except Crash:
                pass
        # An audit asks before the next look.
        assert not baseline.wrong(place), steps
        # And the host goes down again when it is settled.
        left = steps % 7
        with monkeypatch.context() as patch, contextlib.suppress(Crash):
            for name in real:
                patch.setattr(Path, name, counted(name))
            baseline.settle(place)
        baseline.settle(place)
        assert not baseline.wrong(place), steps
        again = baseline.load(place)
        assert again.owners == {"/a": "other" if again.at == 3.0 else "tool"}
        assert not [*place.glob("*.next")]
        seen.add(again.at)
        steps += 1
    assert seen == {2.0, 3.0}
    assert baseline.load(place).at == 3.0


def test_what_was_written_half_by_anybody_is_not_finished(place: Path) -> None:
    shutil.copy2(place / "chain", place / "chain.next")
    (place / "aide.db.gz").write_bytes(b"x")
    assert "not what the last look left" in baseline.wrong(place)
    (place / "aide.conf.next").write_bytes(b"x")
    baseline.settle(place)
    assert (place / "aide.conf").read_bytes() == b"config"
    assert not [*place.glob("*.next")]

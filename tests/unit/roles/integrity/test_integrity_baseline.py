"""The baseline is a chain: what anything but a look changed of it is told."""

from pathlib import Path

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
    config = tmp_path / "config"
    config.write_text("config")
    home = tmp_path / "home"
    home.mkdir()
    for at in (1.0, 2.0):
        special = {"/s": Entry("", {"perm": "104755"})}
        baseline.keep(home, Baseline(at, NEW, special, {"/a": "tool"}), config, {"by": "night"})
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
    baseline.keep(place, baseline.load(place), place / "aide.conf", {"by": "accept"})
    assert not baseline.wrong(place)
    assert len(baseline.links(place)) == 1

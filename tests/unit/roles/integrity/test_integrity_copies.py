"""Copies are signed by this host's key, and one that was changed is refused."""

from pathlib import Path

import pytest

from roles.integrity import copies
from roles.integrity.copies import CopyError
from roles.integrity.paths import FILES
from roles.integrity.replaying import told

KEPT = {name: f"{name} one".encode() for name in FILES}


def test_a_copy_is_read_as_it_was_kept_and_the_one_before_stays(tmp_path: Path) -> None:
    place = copies.place(str(tmp_path / "copies"), "@fake/mx1")
    assert copies.held(place) is None
    copies.keep(place, KEPT)
    assert copies.held(place) == KEPT
    copies.keep(place, KEPT | {"chain": b"two"})
    found = copies.held(place)
    assert found is not None
    assert found["chain"] == b"two"
    assert (place.with_name(f"{place.name}.before") / "chain").read_bytes() == b"chain one"
    assert (place.parent / "key").stat().st_mode & 0o777 == 0o600
    assert place.stat().st_mode & 0o777 == 0o700


def test_what_nobody_explained_is_told_of_a_copy_and_a_host_that_was_taken_back_has_none(
    tmp_path: Path,
) -> None:
    place = copies.place(str(tmp_path), "mx1")
    assert copies.unexplained(place) == 0
    copies.forget(place)
    copies.keep(place, KEPT | {"chain": b'{"by": "first"}\n'})
    assert copies.unexplained(place) == 0
    copies.keep(place, KEPT | {"chain": b'{"by": "first"}\n{"unexplained": 3}\n'})
    assert copies.unexplained(place) == 3
    copies.forget(place)
    assert copies.held(place) is None
    assert copies.unexplained(place) == 0


def test_a_copy_that_was_changed_is_refused(tmp_path: Path) -> None:
    place = copies.place(str(tmp_path), "mx1")
    copies.keep(place, KEPT)
    (place / "chain").write_bytes(b"forged")
    with pytest.raises(CopyError, match="not what was signed"):
        copies.held(place)
    (place / "chain").unlink()
    with pytest.raises(CopyError, match="cannot be read"):
        copies.held(place)


def test_a_copy_signed_by_another_key_is_refused(tmp_path: Path) -> None:
    mine, theirs = (copies.place(str(tmp_path / name), "mx1") for name in ("a", "b"))
    copies.keep(mine, KEPT)
    copies.keep(theirs, KEPT | {"chain": b"forged"})
    for name in ("chain", "chain.sig"):
        (mine / name).write_bytes((theirs / name).read_bytes())
    with pytest.raises(CopyError, match="not what was signed"):
        copies.held(mine)


def test_what_a_host_says_is_told_without_what_a_terminal_obeys() -> None:
    finding = {"what": "added", "path": "/etc/\x1b[2J", "now": {"mode": "644"}, "who": "", "note": "a\nb"}
    found = {"unexplained": [finding], "explained": [{"what": "changed", "path": "/x", "by": "package\x07"}]}
    lines = list(told("mx1", found))
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith("mx1: added /etc/?[2J: mode 644; a?b")

"""Baselines: what is different since, and by whom."""

import json
from pathlib import Path

import pytest

from roles.history.baseline import BaselineError, Difference, differences, loaded, read, saved

SHOWN = """taken\t{taken}
files\t/etc/a\tf 644 0 0 {a}
files\t/etc/b\tf 644 0 0 22
packages\tpostfix\tii 3.7
active\tsome.timer\tactive
"""
RUN = """run\t20261101T000000Z\tbegun\t{begun}
run\t20261101T000000Z\tended\t{ended}
run\t20261101T000000Z\trevision\tabc123
run\t20261101T000000Z\tfiles\t/etc/a\tf 644 0 0 11\t{left}
"""
BASE = read(SHOWN.format(taken=1000, a="11"))


def later(a: str, left: str = "f 644 0 0 12", ended: int = 1500) -> list[Difference]:
    shown = SHOWN.format(taken=2000, a=a) + RUN.format(begun=ended - 100, ended=ended, left=left)
    return list(differences(BASE, read(shown)))


def test_what_is_the_same_is_no_difference() -> None:
    assert later("11") == []


def test_a_deploy_explains_what_it_left_behind() -> None:
    (found,) = later("12")
    assert (found.section, found.key, found.was, found.now) == (
        "files",
        "/etc/a",
        "f 644 0 0 11",
        "f 644 0 0 12",
    )
    assert found.by == "the deploy of abc123 at 1970-01-01 00:25:00 UTC"


@pytest.mark.parametrize(
    ("a", "left", "ended"),
    [("13", "f 644 0 0 12", 1500), ("12", "f 644 0 0 12", 900), ("12", "-", 1500)],
    ids=["changed again since", "an earlier deploy", "it left something else"],
)
def test_what_no_deploy_left_like_that_is_unexplained(a: str, left: str, ended: int) -> None:
    (found,) = later(a, left, ended)
    assert found.by == ""


def test_what_came_and_what_went_are_told() -> None:
    now = read("taken\t2000\nfiles\t/etc/a\tf 644 0 0 11\nfiles\t/etc/new\td 755 0 0\n")
    assert [(each.key, each.was, each.now) for each in differences(BASE, now)] == [
        ("/etc/b", "f 644 0 0 22", "-"),
        ("/etc/new", "-", "d 755 0 0"),
        ("postfix", "ii 3.7", "-"),
    ]


def test_a_baseline_is_its_owners_alone_and_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    saved(path, {"mx1": BASE})
    assert path.stat().st_mode & 0o777 == 0o600
    assert loaded(path) == {"mx1": BASE}
    saved(path, {"mx2": BASE})
    assert list(loaded(path)) == ["mx2"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "hosts": {"a": []}}'])
def test_a_file_that_is_no_baseline_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "base.json"
    path.write_text(text)
    with pytest.raises(BaselineError, match=r"base\.json is no baseline"):
        loaded(path)


def test_a_baseline_of_another_version_and_one_that_is_not_there_are_named(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    with pytest.raises(BaselineError, match=r"cannot be read: No such file"):
        loaded(path)
    path.write_text(json.dumps({"version": 2, "hosts": {}}))
    with pytest.raises(BaselineError, match="is of version 2"):
        loaded(path)
    with pytest.raises(BaselineError, match="cannot be written"):
        saved(tmp_path / "no/base.json", {})


@pytest.mark.parametrize(
    "text", ["", "sh: 0: cannot open", "taken\t1\n", "taken\t1\nfiles\t/etc/a\tb\tc\td\te\tf\n"]
)
def test_what_is_no_picture_is_refused(text: str) -> None:
    with pytest.raises(BaselineError):
        read(text)

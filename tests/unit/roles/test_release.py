"""Releases on a host: installed from hashes alone, switched by one rename, old ones kept to go back to."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from roles.filterd.release import DIRECTORY, KEPT, _packed
from tests.unit.roles.hosts import FakeHost
from tests.unit.roles.plans import Case, Plan, plans

# python3 -m venv NAME: an environment whose pip says what it was asked for.
VENV = """mkdir -p "$3/bin"
printf '#!/bin/sh\\necho "pip $*" >>%s\\n' "$LOG" >"$3/bin/pip"
chmod 755 "$3/bin/pip"
"""
RELEASES = ("0.1.0+aaaaaaaa", "0.1.0+bbbbbbbb", "0.1.1+cccccccc", "0.2.0+dddddddd", "0.2.0+eeeeeeee")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("wheelhouse")
    files = [
        directory / "requirements.lock",
        directory / "b-1-py3-none-any.whl",
        directory / "a-1-py3-none-any.whl",
    ]
    for path in files:
        path.write_text(path.name)
    return files


@pytest.fixture(scope="module")
def planned(wheels: list[Path]) -> dict[str, Plan]:
    def case(release: str, current: str) -> Case:
        arguments = {"release": release, "wheels": [str(path) for path in wheels]}
        answers = {f"readlink {DIRECTORY}/current": [current] if current else []}
        return Case(target="roles.filterd.release:release_installed", arguments=arguments, responses=answers)

    cases = {release: case(release, "") for release in RELEASES}
    return plans({**cases, "current": case(RELEASES[0], RELEASES[0]), "next": case(RELEASES[1], RELEASES[0])})


def install(plan: Plan, fake_host: FakeHost, place: Path, *, fails: bool = False) -> None:
    """Do what a plan says with the releases' directory moved."""
    last = len(plan.commands) - 1
    for index, (kind, text, *content) in enumerate(plan.commands):
        moved = text.replace(DIRECTORY, str(place))
        if kind == "upload":
            Path(moved).write_bytes(content[0].encode("latin-1"))
        else:
            fake_host.run(f"LOG={fake_host.log}; export LOG; {moved}", fails=fails and index == last)


def installed(place: Path) -> set[str]:
    return {path.name for path in place.iterdir() if path.is_dir() and not path.is_symlink()}


def test_the_current_release_is_left_alone(planned: dict[str, Plan]) -> None:
    assert planned["current"].commands == []


def test_another_release_is_uploaded_before_it_is_installed(planned: dict[str, Plan]) -> None:
    assert planned["next"].commands == planned[RELEASES[1]].commands
    assert [command[0] for command in planned["next"].commands] == ["run", "upload", "run"]
    assert list(planned["next"].uploads()) == [f"{DIRECTORY}/wheels.tar"]


def test_a_release_is_installed_by_hash_from_its_own_wheels_and_made_current(
    planned: dict[str, Plan], fake_host: FakeHost, tmp_path: Path
) -> None:
    fake_host.program("python3", VENV)
    place = tmp_path / "opt"
    install(planned[RELEASES[0]], fake_host, place)
    assert (place / "current").readlink() == Path(RELEASES[0])
    assert sorted(path.name for path in place.iterdir()) == sorted(["current", RELEASES[0]])
    venv, pip = fake_host.called()
    assert venv == f"python3 -m venv {RELEASES[0]}"
    for option in (
        "--no-index",
        "--no-deps",
        "--require-hashes",
        "--find-links wheels",
        "-r wheels/requirements.lock",
    ):
        assert option in pip


def test_an_installation_that_fails_switches_nothing(
    planned: dict[str, Plan], fake_host: FakeHost, tmp_path: Path
) -> None:
    fake_host.program("python3", VENV)
    install(planned[RELEASES[0]], fake_host, tmp_path / "opt")
    fake_host.program("python3", VENV.replace("echo", "exit 1; echo"))
    install(planned[RELEASES[1]], fake_host, tmp_path / "opt", fails=True)
    assert (tmp_path / "opt/current").readlink() == Path(RELEASES[0])


def test_what_an_installation_that_died_left_behind_is_not_taken_for_a_release(
    planned: dict[str, Plan], fake_host: FakeHost, tmp_path: Path
) -> None:
    place = tmp_path / "opt"
    (place / RELEASES[0] / "bin").mkdir(parents=True)
    (place / RELEASES[0] / "half").touch()
    (place / "wheels").mkdir()
    (place / "wheels/old-1-py3-none-any.whl").touch()
    fake_host.program("python3", VENV + 'ls wheels >"$3/seen"')
    install(planned[RELEASES[0]], fake_host, place)
    assert not (place / RELEASES[0] / "half").exists()
    assert "old-1" not in (place / RELEASES[0] / "seen").read_text()
    assert (place / "current").readlink() == Path(RELEASES[0])


def test_going_back_to_a_kept_release_installs_nothing(
    planned: dict[str, Plan], fake_host: FakeHost, tmp_path: Path
) -> None:
    fake_host.program("python3", VENV)
    for release in (RELEASES[0], RELEASES[1], RELEASES[0]):
        install(planned[release], fake_host, tmp_path / "opt")
    assert (tmp_path / "opt/current").readlink() == Path(RELEASES[0])
    assert [call for call in fake_host.called() if "venv" in call] == [
        f"python3 -m venv {release}" for release in RELEASES[:2]
    ]


def age(place: Path, seconds: int) -> None:
    """Make all that is installed older, as if the next deploy came later."""
    for mark in place.glob("*/complete"):
        if not mark.parent.is_symlink():
            then = mark.stat().st_mtime - seconds
            os.utime(mark, (then, then))


def test_as_many_releases_as_declared_are_kept_the_newest_ones(
    planned: dict[str, Plan], fake_host: FakeHost, tmp_path: Path
) -> None:
    fake_host.program("python3", VENV)
    place = tmp_path / "opt"
    for release in RELEASES:
        install(planned[release], fake_host, place)
        age(place, 10)
    assert installed(place) == set(RELEASES[-KEPT:])


def test_the_release_that_was_current_before_is_kept_however_old_it_is(
    planned: dict[str, Plan], fake_host: FakeHost, tmp_path: Path
) -> None:
    fake_host.program("python3", VENV)
    place = tmp_path / "opt"
    back = (*RELEASES[:KEPT], RELEASES[0], RELEASES[KEPT])
    for release in back:
        install(planned[release], fake_host, place)
        age(place, 10)
    assert {RELEASES[0], RELEASES[KEPT]} <= installed(place)
    assert len(installed(place)) == KEPT


def test_the_archive_holds_the_files_without_owner_and_time(wheels: list[Path]) -> None:
    packed = _packed(wheels)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(path.name for path in wheels)
    assert {(entry.uid, entry.gid, entry.uname, entry.mtime, entry.mode) for entry in entries} == {
        (0, 0, "", 0, 0o644)
    }
    assert _packed(list(reversed(wheels))) == packed

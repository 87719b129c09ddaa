"""The record of a lab: whole or absent, and a sentence with a remedy when it is absent."""

import json
from pathlib import Path

import msgspec
import pytest

from lab import state
from lab.errors import LabError
from lab.plan import LabState, plan_lab


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASTIDE_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BASTIDE_LAB_CACHE", str(tmp_path / "cache"))


def planned(name: str = "u1") -> LabState:
    return plan_lab(name=name, index=0, gateways=2, directory=state.directory_of(name))


def test_what_is_written_is_read_back() -> None:
    lab = planned()
    state.write(lab)
    assert state.read("u1") == lab
    assert state.names() == ("u1",)
    assert [path.name for path in lab.directory.iterdir()] == ["lab.json"]


def test_load_of_no_lab_says_how_to_make_one() -> None:
    with pytest.raises(LabError, match="python -m lab up --name u1"):
        state.load("u1")


def test_load_of_a_half_made_lab_is_refused() -> None:
    state.write(planned())
    with pytest.raises(LabError, match="is not up"):
        state.load("u1")


def test_load_after_a_reboot_is_refused() -> None:
    state.write(msgspec.structs.replace(planned("nosuchlab"), phase="up"))
    with pytest.raises(LabError, match="reboot"):
        state.load("nosuchlab")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "u1"}'])
def test_a_record_that_cannot_be_read_is_no_record(text: str) -> None:
    state.write(planned())
    (state.directory_of("u1") / state.FILE).write_text(text)
    assert state.read("u1") is None


def test_erase_leaves_nothing_and_can_be_repeated() -> None:
    state.write(planned())
    state.erase("u1")
    state.erase("u1")
    assert not state.state_root().exists()


def test_erase_of_one_lab_keeps_another() -> None:
    state.write(planned("u1"))
    state.write(planned("u2"))
    state.erase("u1")
    assert state.names() == ("u2",)


def test_as_json_holds_plain_values_alone() -> None:
    text = json.dumps(state.as_json(planned()))
    assert json.loads(text)["hosts"]["gw2"]["wan4"] == "198.51.100.22"


def test_lock_is_exclusive_and_says_who_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LONGEST_WAIT_SECONDS", 0.0)
    with state.locked("x"), pytest.raises(LabError, match="fuser"), state.locked("x"):
        pass
    with state.locked("x"):
        pass

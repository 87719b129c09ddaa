"""The wheelhouse: what it is made from, when it is current, and what is said when it cannot be built."""

import hashlib
import sys
from pathlib import Path

import pytest

from roles.errors import SettingError
from roles.filterd import wheelhouse

LOCKED = "msgspec==0.22.0 --hash=sha256:00\n"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dist/wheelhouse"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the tools that need a network; return the log of what was asked of them."""
    log: list[str] = []

    def own_wheel(target: Path) -> None:
        log.append("own")
        (target / "bastide_filterd-0.1.0-py3-none-any.whl").write_bytes(b"own")

    def dependencies(target: Path, locked: str, abi: str) -> None:
        log.append(f"dependencies {locked.strip()} {abi}")
        (target / "msgspec-0.22.0-cp311-cp311-manylinux2014_x86_64.whl").write_bytes(b"dependency")

    monkeypatch.setattr(wheelhouse, "_locked", lambda: LOCKED)
    monkeypatch.setattr(wheelhouse, "_own_wheel", own_wheel)
    monkeypatch.setattr(wheelhouse, "_dependencies", dependencies)
    return log


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_a_build_makes_wheels_lock_release_and_stamp(out: Path, builds: list[str]) -> None:
    assert wheelhouse.build(out) is True
    assert builds == ["own", f"dependencies {LOCKED.strip()} cp311"]
    own, dependency = hashlib.sha256(b"own").hexdigest(), hashlib.sha256(b"dependency").hexdigest()
    lock = f"bastide-filterd==0.1.0 --hash=sha256:{own}\nmsgspec==0.22.0 --hash=sha256:{dependency}\n"
    assert (out / "requirements.lock").read_text() == lock
    assert wheelhouse.release(out) == f"0.1.0+{hashlib.sha256(lock.encode()).hexdigest()[:8]}"
    assert [path.name for path in wheelhouse.files(out)] == [
        "bastide_filterd-0.1.0-py3-none-any.whl",
        "msgspec-0.22.0-cp311-cp311-manylinux2014_x86_64.whl",
        "requirements.lock",
    ]


def test_unchanged_inputs_give_no_work(out: Path, builds: list[str]) -> None:
    wheelhouse.build(out)
    before = content(out)
    assert wheelhouse.build(out) is False
    assert len(builds) == 2
    assert content(out) == before


def test_the_same_inputs_give_the_same_bytes_and_leave_no_scratch(
    tmp_path: Path, out: Path, builds: list[str]
) -> None:
    wheelhouse.build(out)
    wheelhouse.build(tmp_path / "other")
    assert content(out) == content(tmp_path / "other")
    assert [path.name for path in out.parent.iterdir()] == ["wheelhouse"]
    assert len(builds) == 4


@pytest.mark.parametrize(
    "name", ["requirements.lock", "inputs", "msgspec-0.22.0-cp311-cp311-manylinux2014_x86_64.whl"]
)
@pytest.mark.parametrize("change", ["gone", "other"])
def test_a_wheelhouse_that_is_not_as_it_was_built_is_built_anew(
    out: Path, builds: list[str], name: str, change: str
) -> None:
    wheelhouse.build(out)
    before = content(out)
    if change == "gone":
        (out / name).unlink()
    else:
        (out / name).write_bytes(b"other")
    assert wheelhouse.build(out) is True
    assert content(out) == before
    assert len(builds) == 4


def test_a_build_for_another_python_is_another_build(out: Path, builds: list[str]) -> None:
    wheelhouse.build(out)
    assert wheelhouse.build(out, "cp312") is True
    assert builds[-1].endswith(" cp312")


def test_a_build_that_fails_keeps_the_old_wheelhouse(
    out: Path, builds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheelhouse.build(out)
    before = content(out)

    def fails(*_arguments: object) -> None:
        raise SettingError("fetching filterd's dependencies failed")

    monkeypatch.setattr(wheelhouse, "_dependencies", fails)
    monkeypatch.setattr(wheelhouse, "_locked", lambda: "other")
    with pytest.raises(SettingError, match="fetching"):
        wheelhouse.build(out)
    assert content(out) == before
    assert [path.name for path in out.parent.iterdir()] == ["wheelhouse"]
    assert builds[-1] == "own"


@pytest.mark.parametrize("ask", [wheelhouse.release, wheelhouse.files])
def test_a_wheelhouse_that_was_not_built_is_told_with_the_remedy(ask: object, tmp_path: Path) -> None:
    assert callable(ask)
    with pytest.raises(SettingError, match=r"cp313 holds no .*: build it with `make wheel ABI=cp313`"):
        ask(tmp_path / "cp313")
    with pytest.raises(SettingError, match=r"holds no release of filterd: build it with `make wheel`"):
        ask(tmp_path)


@pytest.mark.parametrize("abi", ["", "cp27", "cp3", "py311", "cp311 --index-url x", "cp3111", "abi3"])
def test_what_is_no_abi_is_refused_before_anything_is_fetched(
    tmp_path: Path, abi: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheelhouse, "_run", lambda *_arguments: pytest.fail("a tool was run"))
    with pytest.raises(SettingError, match="is not a CPython ABI; write it like cp311"):
        wheelhouse._dependencies(tmp_path, LOCKED, abi)


def test_dependencies_are_fetched_as_wheels_by_hash_for_the_gateways_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(_what: str, command: list[str | Path]) -> str:
        commands.append([str(word) for word in command])
        assert (tmp_path / "requirements.txt").read_text() == LOCKED
        return ""

    monkeypatch.setattr(wheelhouse, "_run", run)
    wheelhouse._dependencies(tmp_path, LOCKED, "cp312")
    (command,) = commands
    for words in (["--require-hashes"], ["--only-binary=:all:"], ["--no-deps"], ["--abi", "cp312"]):
        place = command.index(words[0])
        assert command[place : place + len(words)] == words
    assert command[command.index("--python-version") + 1] == "3.12"
    assert "manylinux_2_36_x86_64" in command
    assert "manylinux_2_37_x86_64" not in command
    assert list(tmp_path.iterdir()) == []


def test_a_tool_that_fails_is_told_by_its_last_words() -> None:
    script = "for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 4"
    with pytest.raises(SettingError) as error:
        wheelhouse._run("fetching", ("sh", "-c", script))
    assert str(error.value) == "fetching failed (sh exit 4): line 3 | line 4 | line 5 | line 6 | line 7"


def test_the_inputs_name_the_lock_the_python_and_the_sources() -> None:
    made = wheelhouse._inputs(LOCKED, "cp311")
    assert made == wheelhouse._inputs(LOCKED, "cp311")
    assert made != wheelhouse._inputs(LOCKED + "x", "cp311")
    assert made != wheelhouse._inputs(LOCKED, "cp312")


def test_a_changed_source_is_another_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).write_bytes((wheelhouse.ROOT / name).read_bytes())
    (tmp_path / "filterd").mkdir()
    (tmp_path / "filterd/a.py").write_text("A = 1\n")
    (tmp_path / "wheelhouse.py").write_text("")
    monkeypatch.setattr(wheelhouse, "ROOT", tmp_path)
    monkeypatch.setattr(wheelhouse, "__file__", str(tmp_path / "wheelhouse.py"))
    before = wheelhouse._inputs(LOCKED, "cp311")
    (tmp_path / "filterd/a.py").write_text("A = 2\n")
    changed = wheelhouse._inputs(LOCKED, "cp311")
    (tmp_path / "filterd/a.py").rename(tmp_path / "filterd/b.py")
    assert len({before, changed, wheelhouse._inputs(LOCKED, "cp311")}) == 3


def test_the_command_line_says_what_was_built(
    out: Path, builds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert wheelhouse.main(["--out", str(out)]) == 0
    assert capsys.readouterr().out == f"filterd {wheelhouse.release(out)} in {out}\n"
    assert wheelhouse.main(["--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith(" (unchanged)\n")
    assert len(builds) == 2


def test_what_cannot_be_built_is_one_sentence_and_2(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> str:
        raise SettingError("uv is not installed: run `make setup`")

    monkeypatch.setattr(wheelhouse, "_locked", fails)
    assert wheelhouse.main(["--out", str(out)]) == 2
    assert capsys.readouterr().err == "wheelhouse: uv is not installed: run `make setup`\n"


def test_a_missing_uv_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingError, match="make setup"):
        wheelhouse._uv()
    (tmp_path / "uv").touch()
    assert wheelhouse._uv() == str(tmp_path / "uv")

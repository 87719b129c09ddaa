"""`filterd bench`: what it sends, what it measures, and when it says that there is nothing to measure."""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from filterd import processes
from filterd.cli import main
from filterd.cli.benching import Benched
from filterd.cli.mix import Mix
from tests.unit.filterd import engines
from tests.unit.filterd.daemon import configuration
from tests.unit.filterd.json_schema import mistakes

PAGE = Path(__file__).resolve().parents[3] / "docs" / "ledger.md"
SCHEMA = json.loads(
    re.findall(r"^### filterd bench\n\n```json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[0]
)


class Home:
    """A configuration and its engines, of which each can be left out."""

    def __init__(self, at: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.at = at
        self._capsys = capsys
        self.clamd: engines.Clamd
        self.spamd: engines.Spamd

    def bench(self, *options: str) -> tuple[int, Any, str]:
        code = main(["bench", "--json", "--config", str(self.at / "filterd.toml"), *options])
        said = self._capsys.readouterr()
        shown = json.loads(said.out) if said.out else None
        if shown is not None:
            assert mistakes(shown, SCHEMA, SCHEMA) == []
        return code, shown, said.err

    def text(self, *options: str) -> str:
        assert main(["bench", "--config", str(self.at / "filterd.toml"), *options]) == 0
        return self._capsys.readouterr().out


@pytest.fixture
def bare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Home:
    """Return one without engines."""
    (tmp_path / "filterd.toml").write_text(configuration(tmp_path))
    return Home(tmp_path, capsys)


@pytest.fixture
def home(bare: Home) -> Iterator[Home]:
    with (
        engines.Clamd(bare.at / "clamd.sock") as bare.clamd,
        engines.Spamd(bare.at / "spamd.sock") as bare.spamd,
    ):
        yield bare


def test_every_stage_looks_at_every_message_and_none_is_like_another(home: Home) -> None:
    code, shown, _ = home.bench("--count", "6", "--concurrency", "2")
    assert (code, shown["messages"], shown["concurrency"], shown["not_inspected"]) == (0, 6, 2, 0)
    costs = {one["stage"]: one for one in shown["costs"]}
    assert {stage: one["messages"] for stage, one in costs.items()} == {
        "parse": 6, "virus": 6, "spam": 6, "message": 6,
    }  # fmt: skip
    for one in costs.values():
        assert 0 <= one["p50_ms"] <= one["p95_ms"]
    parts = sum(costs[stage]["p50_ms"] for stage in ("parse", "virus", "spam"))
    assert costs["message"]["p95_ms"] * 3 >= parts
    assert shown["whole"]["per_second"] == pytest.approx(6 / shown["whole"]["seconds"], rel=0.1)
    assert shown["ratio"] == pytest.approx(shown["whole"]["seconds"] / shown["floor"]["seconds"], rel=0.1)
    assert shown["bytes"] > 2 * 200_000
    letters = [one for one in home.spamd.requests if b"Subject: Report" in one]
    assert len({re.search(rb"Message-ID: (\S+)", one)[1] for one in letters}) == 6  # type: ignore[index] # found above


def test_the_engines_processes_are_found_by_their_sockets(home: Home) -> None:
    assert processes.listeners(str(home.at / "clamd.sock")) == {os.getpid()}
    assert processes.listeners(str(home.at / "none.sock")) == frozenset()
    _, shown, _ = home.bench("--count", "3")
    assert all(one["processor_ms"] is not None for one in shown["costs"])


def test_what_a_child_spends_counts_while_it_lives_and_afterwards() -> None:
    before, own = processes.spent(processes.this()), processes.own()
    if (pid := os.fork()) == 0:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
        time.sleep(60)
        os._exit(0)
    try:
        engines.wait_for(lambda: processes.spent(frozenset({pid})) >= 0.25, 20)
        assert processes.spent(processes.this()) - before >= 0.25
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert processes.spent(processes.this()) - before >= 0.25
    assert processes.own() - own < 0.25
    assert processes.spent(frozenset({pid})) == 0.0


@pytest.mark.parametrize("up", ["clamd", "spamd", "none"])
def test_an_engine_that_is_down_ends_it_before_it_begins(bare: Home, up: str) -> None:
    with contextlib.ExitStack() as stack:
        if up == "clamd":
            stack.enter_context(engines.Clamd(bare.at / "clamd.sock"))
        if up == "spamd":
            stack.enter_context(engines.Spamd(bare.at / "spamd.sock"))
        code, shown, said = bare.bench()
    assert (code, shown) == (3, None)
    for name in {"clamd", "spamd"} - {up}:
        assert f"{name} (" in said
    assert "start it first" in said


def test_figures_without_an_engine_are_no_figures(home: Home) -> None:
    (home.at / "letter").write_bytes(b"From: a@b.example\n\nhello\n")
    home.clamd.answer = b"garbage\0"
    # It answers when it is asked whether it is there, and not when it is to scan.
    code, shown, said = home.bench("--messages", str(home.at / "letter"), "--count", "2")
    assert (code, shown["not_inspected"]) == (3, 2)
    assert "2 of 2 messages were not inspected" in said


def test_files_and_directories_in_turn(home: Home) -> None:
    (home.at / "mails").mkdir()
    for name in "ab":
        (home.at / "mails" / name).write_bytes(b"Subject: %s\n\nhello\n" % name.encode())
    _, shown, _ = home.bench("--messages", str(home.at / "mails"))
    assert shown["messages"] == 2
    home.spamd.requests.clear()
    _, shown, _ = home.bench("--messages", str(home.at / "mails"), "--count", "5", "--concurrency", "1")
    assert shown["messages"] == 5
    seen = [one[1] for each in home.spamd.requests if (one := re.search(rb"Subject: (.)", each))]
    assert seen == [b"a", b"b", b"a", b"b", b"a"]


def test_a_file_that_is_not_there_is_a_mistake(home: Home) -> None:
    code, shown, said = home.bench("--messages", str(home.at / "none"))
    assert (code, shown) == (2, None)
    assert "cannot be read" in said
    (home.at / "empty").mkdir()
    code, _, said = home.bench("--messages", str(home.at / "empty"))
    assert (code, "there is no message" in said) == (2, True)


def test_text_for_a_person(home: Home) -> None:
    lines = home.text("--count", "3").splitlines()
    assert lines[0].endswith("4 at a time; no delivery, no ledger entry")
    assert [line.split()[0] for line in lines[1:6]] == ["STAGE", "parse", "virus", "spam", "message"]
    assert "messages/s" in lines[6]
    assert "ratio" in lines[7]


def test_nothing_of_a_run_is_like_another_run() -> None:
    one, two = Mix(), Mix()
    made = [mix.message(number) for mix in (one, two) for number in range(6)]
    assert len(set(made)) == len(made)
    assert [len(one) > 200_000 for one in made[:3]] == [False, False, True]
    assert b"@UNIQUE@" not in b"".join(made)


def test_the_record_is_the_documented_one() -> None:
    assert SCHEMA["$ref"] == f"#/$defs/{Benched.__name__}"

"""The command line with a stranger's eyes: bad arguments, streams that are closed, files that one may not read."""

import json
import multiprocessing
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, select

from filterd.cli import main
from filterd.cli.output import Notes
from filterd.config import Config, MilterSettings, StoreSettings
from filterd.config.hints import lacking
from filterd.ledger import database, schema
from tests.unit.filterd import databases, engines
from tests.unit.filterd.daemon import ROOT, configuration
from tests.unit.filterd.entries import quarantined, record, write
from tests.unit.filterd.test_ledger_actors import as_user
from tests.unit.filterd.test_ledger_cli import Shell

NOBODY: Final = "nobody"
NO_REPORT: Final = ["report", "--anew", "--log", "/dev/null"]
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A gateway with a ledger and nothing that runs."""
    settings = databases.settings(tmp_path)
    (tmp_path / "store").mkdir()
    changes: dict[str, Any] = {
        "ledger": {"url": settings.url, "socket": settings.socket},
        "store": {"directory": str(tmp_path / "store")},
    }
    (tmp_path / "filterd.toml").write_text(configuration(tmp_path, **changes))
    database.prepared(settings).dispose()
    return tmp_path


@pytest.fixture
def shell(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    as_user(monkeypatch, 0)
    return Shell(home, capsys)


@pytest.fixture
def engine(home: Path) -> Iterator[Engine]:
    one = database.opened(databases.settings(home))
    yield one
    one.dispose()


def run(home: Path, redirected: str, *command: str, **more: Any) -> tuple[int, bytes, bytes]:
    """Run a command as a shell does, with what is redirected."""
    line = f'{"" if "|" in redirected else "exec "}"$@" {redirected}'
    words = [sys.executable, "-m", "filterd.cli", *command, "--config", str(home / "filterd.toml")]
    # Buffered, as it is where nobody asks for something else.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["bash", "-c", line, "bash", *words],
        check=False, capture_output=True, timeout=120, **{"cwd": ROOT, "env": environment, **more},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


# --- arguments


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["ledger", "downgrade", "99"], "there is no revision 99"),
        (["lists", "add", "accept", "@x.example", "--unproven"], "give --client with --unproven"),
        (["lists", "add", "reject", "@x.example", "--unproven"], "leave --unproven away"),
        (["lists", "add", "reject", "@x.example", "--until", "2020-01-01"], "give a later day"),
        (["lists", "add", "reject", "nonsense"], "sender: "),
        (["lists", "add", "reject", "@x.example", "--client", "nonsense"], "client: "),
        (["messages", "--after", "zzz"], "--after: there is no zzz"),
        (["quarantine", "list", "--after", "zzz"], "--after: there is no zzz"),
        (["messages", "--since", "1h", "--until", "2h"], "nothing lies between them"),
        (["stats", "--since", "2026-01-02", "--until", "2026-01-02"], "nothing lies between them"),
        (["reconcile", "--since", "2026-01-02", "--until", "2026-01-01"], "nothing lies between them"),
        (["reconcile", "--log", "/nonexistent"], "give the right --log"),
        (["messages", "--sender", os.fsdecode(b"\xff")], r"'\udcff' is no UTF-8"),
        (["quarantine", "show", os.fsdecode(b"\xff")], r"'\udcff' is no UTF-8"),
        (["lists", "add", "reject", "@x.example", "--as", "a\nb"], "printable"),
        (["scan", "/nonexistent"], "cannot be read"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_two_and_one_sentence(shell: Shell, command: list[str], said: str) -> None:
    code, out, error = shell(*command, *(["--json"] if len(command) % 2 else []))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("filterd: ")
    assert said in error


@pytest.mark.parametrize(
    "command",
    [
        ["lists", "remove", "99999999999999999999"], ["lists", "remove", "x"], ["lists", "remove", "-1"],
        ["ledger", "downgrade", "x"], ["ledger", "downgrade", "0"], ["quarantine", "hold", "x", "--reason", " "],
    ],
)  # fmt: skip
def test_numbers_and_reasons(command: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(command)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["messages"], "no message fits\n"),
        (["quarantine", "list"], "nothing that is kept fits\n"),
        (["lists", "show"], "the lists are empty\n"),
        (["stats"], "0 messages, 0 bytes\n"),
        (["stats", "--since", "999999w"], "0 messages, 0 bytes\n"),
    ],
)
def test_an_empty_listing_is_good(shell: Shell, command: list[str], said: str) -> None:
    assert shell(*command) == (0, said, "")
    code, out, error = shell(*command, "--json")
    assert (code, error) == (0, "")
    assert isinstance(json.loads(out), dict)


@pytest.mark.parametrize("command", ["messages show x", "quarantine show x", "lists remove 7"])
def test_what_an_id_names_and_is_not_there_is_one(shell: Shell, command: str) -> None:
    code, out, error = shell(*command.split())
    assert (code, out, "there is no" in error) == (1, "", True)


def test_the_last_day_of_all_is_for_ever(shell: Shell) -> None:
    assert shell("lists", "add", "reject", "@x.example", "--until", "9999-12-31")[0] == 0
    assert "for ever" in shell("lists", "show")[1]


def test_options_before_show_hold_as_behind_it(
    home: Path, engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 0)
    write(engine, one := record(0))
    assert main(["messages", "--json", "--config", str(home / "filterd.toml"), "show", one.id]) == 0
    assert json.loads(capsys.readouterr().out)["message"]["id"] == one.id


# --- who may not read


@only_root
def test_a_file_that_one_may_not_read_is_not_called_absent(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "filterd.toml").chmod(0o640)
    for command in (["messages"], ["check"], ["status"], ["quarantine", "list", "--json"]):
        assert as_nobody(home, *command) == 2
        said = capfd.readouterr()
        assert said.out == ""
        assert said.err == (
            f"filterd: {home}/filterd.toml is there, but nobody may not read it: run this as root (sudo), or as a member of"
            " the group that may\n"
        )
    assert as_nobody(home / "none", "check") == 2
    assert "create it or give another --config" in capfd.readouterr().err


@only_root
def test_a_ledger_that_one_may_not_look_at_is_one(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "filterd.toml").chmod(0o644)
    url = f"sqlite:///{home}/ledger/within/ledger.db"
    (home / "filterd.toml").write_text(configuration(home, ledger={"url": url}))
    assert as_nobody(home, "messages") == 1
    said = capfd.readouterr()
    assert (said.out, said.err.count("\n"), "nobody may not look into" in said.err) == ("", 1, True)


def as_nobody(home: Path, *command: str) -> int | None:
    """Run a command as nobody, who may read the directories of the test. Returns its exit code."""
    for directory in (home, *list(home.parents)[:-1]):
        if directory.name.startswith(("pytest-", "popen-", "test_")):
            directory.chmod(0o755)

    def become_and_run() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(pwd.getpwnam(NOBODY).pw_uid)
        os._exit(main([*command, "--config", str(home / "filterd.toml")]))

    # What it imports was imported here: nobody need not be able to read that.
    child = multiprocessing.get_context("fork").Process(target=become_and_run)
    child.start()
    child.join(60)
    return child.exitcode


# --- streams


@pytest.mark.parametrize(
    ("redirected", "command", "code", "said"),
    [
        (">/dev/full", ["messages"], 3, b"filterd: standard output cannot be written: No space left on device\n"),
        (">/dev/full", ["stages"], 3, b"filterd: standard output cannot be written: No space left on device\n"),
        (">/dev/full", NO_REPORT, 3, b"filterd: standard output cannot be written: No space left on device\n"),
        ("| true; exit ${PIPESTATUS[0]}", NO_REPORT, 141, b""),
        (">/dev/full", ["check", "--json"], 3, b"filterd: standard output cannot be written: No space left on device\n"),
        (">/dev/full", ["messages", "--help"], 3, b"filterd: standard output cannot be written: No space left on device\n"),
        (">&-", ["messages"], 3, b"filterd: standard output cannot be written: Bad file descriptor\n"),
        (">&-", ["lists", "add", "reject", "@x.example"], 3, b"filterd: standard output cannot be written: Bad file descriptor\n"),
        (">&-", ["messages", "--help"], 3, b"filterd: standard output cannot be written: Bad file descriptor\n"),
        (">&- 2>&-", ["messages"], 3, b""),
        ("<&- >&- 2>&-", ["messages", "show", "x"], 1, b""),
        ("2>&-", ["messages", "show", "x"], 1, b""),
        ("2>/dev/full", ["messages", "show", "x"], 1, b""),
    ],
)  # fmt: skip
def test_streams_that_are_closed_or_full(
    home: Path, redirected: str, command: list[str], code: int, said: bytes
) -> None:
    assert run(home, redirected, *command) == (code, b"", said)
    with database.opened(databases.settings(home)).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_a_log_on_standard_input_may_be_no_utf8(home: Path) -> None:
    lines = b"".join(
        b"2026-10-01T0%d:00:00+00:00 mx1 postfix/master[1]: started \xff\n" % hour for hour in (0, 1)
    )
    code, out, error = run(home, "", "reconcile", "--log", "-", input=lines)
    assert (code, error) == (0, b"")
    assert b"unexplained: 0" in out


def test_a_log_of_a_report_may_be_no_utf8(home: Path) -> None:
    lines = b"2026-10-01T00:00:00+00:00 mx1 postfix/master[1]: started \xff\n"
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONUTF8": "0"}
    code, out, error = run(home, "", "report", "--anew", "--log", "-", input=lines, env=strict)
    assert (code, error, bool(out)) == (0, b"", True)


def test_a_log_that_holds_nothing_to_compare_is_an_error(home: Path) -> None:
    lines = b"2026-10-01T00:00:00+00:00 mx1 postfix/master[1]: started\n"
    code, out, error = run(home, "", "reconcile", "--log", "-", input=lines)
    assert (code, out, b"nothing of the range" in error) == (3, b"", True)


def test_a_file_may_be_called_as_standard_input_is(home: Path) -> None:
    lines = [f"2026-10-01T0{hour}:00:00+00:00 mx1 postfix/master[1]: started\n" for hour in (0, 1)]
    (home / "-").write_text("".join(lines))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    code, out, error = run(home, "</dev/null", "reconcile", "--log", "./-", cwd=home, env=environment)
    assert (code, error, b"unexplained: 0" in out) == (0, b"", True)


def test_letters_that_a_terminal_has_not_are_shown_otherwise(home: Path, engine: Engine) -> None:
    write(engine, record(0, sender="\u00fc@x.example"))
    code, out, error = run(home, "", "messages", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (code, error, rb"\xfc@x.example" in out) == (0, b"", True)


def test_an_export_that_nobody_reads_or_that_has_no_room(home: Path, engine: Engine) -> None:
    one = quarantined(home)
    write(engine, one)
    export = ["quarantine", "export", one.kept[0].id]
    assert run(home, ">&-", *export)[0] == 3
    with engine.connect() as connection:
        assert "export" not in connection.execute(select(schema.EVENTS.c.action)).scalars().all()
    assert run(home, ">/dev/full", *export)[0] == 3
    code, _, error = run(home, "", *export, "--output", "/nonexistent/x")
    assert (code, b"give a new file" in error) == (2, True)


# --- notes


def test_what_the_daemon_would_log_is_a_sentence_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    for notes in (Notes(as_json=False), Notes(as_json=True)):
        notes.event("parse_sandbox_incomplete", lacks="Landlock (not in this kernel, or barred)")
        notes.event("scanner_down", scanner="clamd", why="gone\x1b")
    assert capsys.readouterr().err == (
        "filterd: note: the sandbox that messages are taken apart in lacks Landlock (not in this kernel, or barred)\n"
        "filterd: note: scanner down: clamd, gone\\x1b\n"
    )


def test_scan_writes_no_json_on_standard_error(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filterd.parse.cradle.Cradle.lacks", "Landlock", raising=False)
    (home / "m").write_bytes(b"From: a@b.example\n\nx\n")
    with engines.Clamd(home / "clamd.sock"):
        for options in ([], ["--json"]):
            code = main(["scan", "--config", str(home / "filterd.toml"), *options, str(home / "m")])
            said = capsys.readouterr()
            assert code == 3  # no spamd
            notes = said.err.splitlines()
            assert all(one.startswith("filterd: note: ") for one in notes)
            assert bool(notes) is not bool(options)


# --- what a configuration names


def test_check_says_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "filterd.toml"
    settings = {
        "milter": {"spool_dir": str(tmp_path / "spool")},
        "store": {"directory": str(tmp_path / "none" / "store"), "operators": "no-such-group"},
    }
    path.write_text(configuration(tmp_path, **settings))
    assert main(["check", "--config", str(path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"filterd: {path}: note: ").split(":")[0] for line in lines] == [
        "[milter] spool_dir", "[store] directory", "[store] operators",
    ]  # fmt: skip
    assert "make it for filterd's user" in lines[0]
    assert "make it for filterd's user" in lines[1]
    assert "groupadd no-such-group" in lines[2]


def test_what_filterd_makes_itself_is_not_missed(tmp_path: Path) -> None:
    def said(store: Path) -> list[str]:
        milter = MilterSettings(spool_dir=str(tmp_path))
        return list(lacking(Config(milter=milter, store=StoreSettings(directory=str(store)))))

    assert said(tmp_path / "store") == []
    (tmp_path / "file").write_text("")
    assert len(said(tmp_path / "file")) == 1
    if os.geteuid() == 0:
        (tmp_path / "other").mkdir()
        os.chown(tmp_path / "other", pwd.getpwnam(NOBODY).pw_uid, -1)
        assert len(said(tmp_path / "other" / "store")) == 1

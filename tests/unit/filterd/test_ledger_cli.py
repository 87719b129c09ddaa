"""The commands about the ledger: what they print, the documented schemas, exit codes, who one is at the command line."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec import Struct
from sqlalchemy import Engine, select

from filterd.cli import lists, main, messages, quarantine, status, tables
from filterd.config.ledger import LedgerSettings
from filterd.ledger import database, reconcile, release, stats
from filterd.ledger import schema as s
from filterd.ledger.queries import WholeMessage
from filterd.ledger.records import MessageRecord
from tests.unit.filterd import databases, engines
from tests.unit.filterd.daemon import ROOT, configuration, running
from tests.unit.filterd.entries import CONTENT, quarantined, record, write
from tests.unit.filterd.json_schema import mistakes
from tests.unit.filterd.mta import Mta
from tests.unit.filterd.test_connection_actions import BODY, said
from tests.unit.filterd.test_ledger_actors import as_user

SPAM: Final = CONTENT + engines.GTUBE + b"\r\n"


class Shell:
    """The command line of one gateway."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capsys = capsys
        self.config = home / "filterd.toml"

    def __call__(self, *command: str) -> tuple[int, str, str]:
        code = main([*command, "--config", str(self.config)])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def json(self, of: type[Struct], *command: str) -> tuple[int, Any]:
        """Run with --json; what comes is of the schema that docs/ledger.md shows."""
        code, out, _ = self(*command, "--json")
        schema = msgspec.json.schema(of)
        shown = json.loads(out)
        assert mistakes(shown, schema, schema) == []
        return code, shown


@pytest.fixture
def shell(
    tmp_path: Path,
    ledger_settings: LedgerSettings,
    ledger: Engine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shell]:
    """A gateway with engines and MTA, on each database, and root at its command line."""
    as_user(monkeypatch, 0)
    assert ledger.dialect.name
    (tmp_path / "store").mkdir(exist_ok=True)
    (tmp_path / "filterd.toml").write_text(
        configuration(
            tmp_path,
            ledger={"url": ledger_settings.url, "socket": ledger_settings.socket},
            store={"directory": str(tmp_path / "store")},
            inject={"socket": str(tmp_path / "mta.sock")},
        )
    )
    with (
        engines.Clamd(tmp_path / "clamd.sock"),
        engines.Spamd(tmp_path / "spamd.sock"),
        Mta(tmp_path / "mta.sock"),
    ):
        yield Shell(tmp_path, capsys)


@pytest.fixture
def spam(shell: Shell, ledger: Engine) -> MessageRecord:
    one = quarantined(shell.home, "b@example.org", "c@example.org", content=SPAM, number=1)
    write(ledger, record(0, "a@example.org"), one)
    return one


def actors(ledger: Engine) -> list[tuple[str, str]]:
    with ledger.connect() as connection:
        return [
            (row.actor, row.action) for row in connection.execute(select(s.EVENTS).order_by(s.EVENTS.c.id))
        ]


def test_messages_are_searched_and_shown(shell: Shell, spam: MessageRecord) -> None:
    code, page = shell.json(messages.MessagesPage, "messages", "--recipient", "c@example.org")
    assert (code, [one["id"] for one in page["messages"]], page["next"]) == (0, [spam.id], "")
    code, page = shell.json(messages.MessagesPage, "messages", "--limit", "1")
    code, page = shell.json(messages.MessagesPage, "messages", "--after", page["next"])
    assert [one["recipients"] for one in page["messages"]] == [["a@example.org"]]
    code, text, _ = shell("messages", "--since", "2020-01-01", "--verdict", "spam")
    assert (code, text.splitlines()[0].split()[:2]) == (0, ["ID", "RECEIVED"])
    assert spam.id in text
    assert shell("messages", "--sender", "nobody@x.example")[:2] == (0, "no message fits\n")
    code, whole = shell.json(WholeMessage, "messages", "show", spam.queue_id)
    assert (code, whole["message"]["id"], whole["kept"][0]["id"]) == (0, spam.id, spam.kept[0].id)
    code, text, _ = shell("messages", "show", spam.id)
    assert (code, "spam [spam.score]" in text, "findings:" in text) == (0, True, True)
    code, _, error = shell("messages", "show", "none")
    assert (code, error) == (
        1,
        "filterd: there is no message none: `filterd messages` finds those there are\n",
    )


def test_quarantine_is_listed_shown_and_exported(shell: Shell, spam: MessageRecord, ledger: Engine) -> None:
    kept_id = spam.kept[0].id
    code, page = shell.json(quarantine.KeptPage, "quarantine", "list", "--state", "kept")
    assert (code, [one["id"] for one in page["entries"]]) == (0, [kept_id])
    assert kept_id in shell("quarantine", "list")[1]
    assert shell("quarantine", "list", "--held")[:2] == (0, "nothing that is kept fits\n")
    code, whole = shell.json(quarantine.KeptWhole, "quarantine", "show", kept_id)
    assert (code, whole["entry"]["id"], whole["findings"][0]["rule"]) == (0, kept_id, "spam.score")
    assert "move: spam" in shell("quarantine", "show", kept_id)[1]
    target = shell.home / "out.eml"
    assert shell("quarantine", "export", kept_id, "--output", str(target))[0] == 0
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (SPAM, 0o600)
    code, _, error = shell("quarantine", "export", kept_id, "--output", str(target))
    assert (code, "give a new file" in error) == (2, True)
    assert "export" in [action for _, action in actors(ledger)]


def test_a_whole_message_goes_to_a_pipe(shell: Shell, spam: MessageRecord) -> None:
    command = [
        sys.executable,
        "-m",
        "filterd.cli",
        "quarantine",
        "export",
        spam.kept[0].id,
        "--config",
        str(shell.config),
    ]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, SPAM), done.stderr


def test_release_by_the_command_line(shell: Shell, spam: MessageRecord) -> None:
    kept_id = spam.kept[0].id
    code, made = shell.json(
        release.Released, "quarantine", "release", kept_id, "--recipient", "c@example.org"
    )
    assert (code, made["status"], made["recipients"]) == (0, "released", ["c@example.org"])
    code, _, error = shell("quarantine", "release", kept_id, "--recipient", "x@example.org")
    assert (code, "is not kept for x@example.org" in error) == (1, True)
    (shell.home / "mta.sock").rename(shell.home / "away")
    code, _, error = shell("quarantine", "release", kept_id)
    assert (code, "cannot be reached" in error) == (3, True)
    (shell.home / "away").rename(shell.home / "mta.sock")
    (shell.home / "clamd.sock").rename(shell.home / "away")
    code, text, _ = shell("quarantine", "release", kept_id)
    (shell.home / "away").rename(shell.home / "clamd.sock")
    assert (code, "try again when the engines answer" in text) == (3, True)
    code, text, _ = shell("quarantine", "release", kept_id)
    assert (code, f"{kept_id}: released to b@example.org" in text) == (0, True)


def test_four_eyes_by_two_names(shell: Shell, ledger: Engine) -> None:
    content = CONTENT + engines.EICAR + b"\r\n"
    one = quarantined(shell.home, content=content, verdict="infected", rule="virus.signature")
    write(ledger, one)
    kept_id = one.kept[0].id
    code, made = shell.json(release.Released, "quarantine", "release", kept_id)
    assert (code, made["status"]) == (1, "refused")
    code, text, _ = shell("quarantine", "release", kept_id, "--waive-virus", "--as", "alice")
    assert (code, "not released" in text) == (1, True)  # its record names no signature


def test_hold_unhold_delete_and_a_damaged_content(shell: Shell, spam: MessageRecord, ledger: Engine) -> None:
    kept_id = spam.kept[0].id
    assert shell("quarantine", "hold", kept_id, "--reason", "asked for", "--as", "alice")[0] == 0
    code, _, error = shell("quarantine", "delete", kept_id)
    assert (code, "is held (alice: asked for)" in error) == (1, True)
    assert shell.json(quarantine.Done, "quarantine", "unhold", kept_id)[0] == 0
    (shell.home / "store" / spam.digest[:2] / spam.digest).write_bytes(b"x")
    code, _, error = shell("quarantine", "release", kept_id)
    assert (code, "cannot be read" in error) == (1, True)
    assert shell("quarantine", "delete", kept_id)[0] == 0
    assert shell("quarantine", "show", kept_id)[0] == 1
    assert actors(ledger)[0] == ("alice", "hold")


def test_learn_needs_a_spamd_that_may(shell: Shell, spam: MessageRecord) -> None:
    code, _, error = shell("quarantine", "learn", spam.kept[0].id, "--ham")
    assert code == 0, error  # the fake one answers as to a score: nothing new
    with pytest.raises(SystemExit, match="2"):
        main(["quarantine", "learn", spam.kept[0].id])


def test_lists(shell: Shell) -> None:
    code, made = shell.json(
        lists.ListDone, "lists", "add", "reject", "@spam.example", "--days", "3", "--note", "n"
    )
    assert (code, made["done"]) == (0, "added")
    code, page = shell.json(lists.ListsPage, "lists", "show")
    assert [(one["sender"], one["note"]) for one in page["entries"]] == [("@spam.example", "n")]
    assert "@spam.example" in shell("lists", "show")[1]
    code, _, error = shell("lists", "add", "accept", "<>")
    assert (code, "vouch" in error) == (2, True)
    assert shell("lists", "remove", str(made["id"]))[0] == 0
    assert shell("lists", "show")[1] == "the lists are empty\n"


@pytest.mark.parametrize("by", stats.BY)
def test_stats(shell: Shell, spam: MessageRecord, by: str) -> None:
    assert spam.id
    code, made = shell.json(stats.Stats, "stats", "--by", by, "--since", "2020-01-01")
    assert (code, made["messages"], made["by"]) == (0, 2, by)
    code, text, _ = shell("stats", "--by", by)
    assert (code, text.startswith("2 messages, ")) == (0, True)


def test_reconcile(shell: Shell, spam: MessageRecord) -> None:
    assert spam.id
    log = shell.home / "mail.log"
    log.write_text(
        "2020-01-01T00:00:00+00:00 mx1 postfix/master[1]: daemon started\n"
        "2026-10-01T00:00:00+00:00 mx1 postfix/smtpd[1]: 4jXLFS2B5mzD5fN: client=x[192.0.2.1]\n"
        "2026-10-01T00:00:00+00:00 mx1 postfix/qmgr[1]: 4jXLFS2B5mzD5fN: from=<>, size=1, nrcpt=1 (queue active)\n"
        "2026-12-01T00:00:00+00:00 mx1 postfix/master[1]: reload\n"
    )
    code, made = shell.json(reconcile.Reconciled, "reconcile", "--log", str(log))
    assert (code, made["unexplained_count"]) == (1, 3)
    assert {one["side"] for one in made["unexplained"]} == {"log", "ledger"}
    code, text, _ = shell("reconcile", "--log", str(log))
    assert (code, "unexplained: 3" in text) == (1, True)
    code, _, _ = shell("reconcile", "--log", str(log), "--until", "2026-01-01")
    assert code == 0
    log.write_text("nothing\n")
    code, _, error = shell("reconcile", "--log", str(log))
    assert (code, "no line of Postfix or Sendmail" in error) == (2, True)
    assert shell("reconcile", "--log", str(shell.home / "none"))[0] == 2


def test_ledger_status_downgrade_and_upgrade(shell: Shell, spam: MessageRecord) -> None:
    assert spam.id
    code, seen = shell.json(tables.LedgerStatus, "ledger", "status")
    assert (code, seen["revision"], seen["rows"]["messages"]) == (0, database.NEWEST, 2)
    assert shell("ledger", "downgrade", "1")[0] == 0
    code, _, error = shell("messages")
    assert (code, "`filterd ledger upgrade`" in error) == (3, True)
    assert shell("ledger", "downgrade", "99")[0] == 2
    code, _, error = shell("ledger", "downgrade", "2")
    assert (code, "`filterd ledger upgrade`" in error) == (2, True)
    code, seen = shell.json(tables.LedgerStatus, "ledger", "upgrade")
    assert (code, seen["rows"]["kept"]) == (0, 1)
    assert shell("messages")[0] == 0


def test_a_ledger_that_is_not_there_is_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ledger").mkdir()
    path = tmp_path / "filterd.toml"
    path.write_text(configuration(tmp_path, ledger={"url": databases.settings(tmp_path).url}))
    assert main(["messages", "--config", str(path)]) == 3
    assert "start filterd, which makes it" in capsys.readouterr().err
    assert list((tmp_path / "ledger").iterdir()) == []
    (tmp_path / "ledger").rmdir()
    assert main(["messages", "--config", str(path)]) == 3
    path.write_text(configuration(tmp_path, ledger={"url": "postgresql+psycopg://x@/x?host=/nonexistent"}))
    assert main(["stats", "--config", str(path)]) == 3


def test_status_asks_the_running_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes: dict[str, Any] = {
        "ledger": {"url": databases.settings(tmp_path).url, "socket": str(tmp_path / "ledger.sock")},
        "store": {"directory": str(tmp_path / "store")},
        "metrics": {"socket": str(tmp_path / "metrics.sock")},
    }
    with running(tmp_path, **changes) as daemon:
        assert main(["status", "--config", str(daemon.config)]) == 0
        assert "PART" in capsys.readouterr().out
        assert main(["status", "--json", "--config", str(daemon.config)]) == 0
        seen = json.loads(capsys.readouterr().out)
        assert msgspec.convert(seen, status.Status).health is not None
    assert main(["status", "--config", str(daemon.config)]) == 3
    assert "cannot be reached" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ["messages", "--since", "yesterday"], ["messages", "--limit", "0"], ["messages", "--limit", "1001"],
        ["quarantine"], ["quarantine", "hold", "x"], ["lists", "add", "accept", "a@b.example", "--until", "x"],
        ["lists", "add", "maybe", "a@b.example"], ["stats", "--by", "colour"], ["reconcile", "--log", "x", "--journal"],
        ["messages", "--verdict", "nice"],
    ],
)  # fmt: skip
def test_usage_is_two(command: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(command)


def test_an_answer_that_nobody_reads_ends_quietly(shell: Shell, ledger: Engine) -> None:
    write(ledger, *(record(number) for number in range(500)))
    command = f"{sys.executable} -m filterd.cli messages --limit 1000 --json --config {shell.config} | head -c 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, check=True, capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"{141\n", b"")


def test_hostile_texts_do_not_reach_the_terminal(shell: Shell, ledger: Engine) -> None:
    write(ledger, record(0, sender="\x1b]0;x\x07\u202e@x.example", message_id="<\x9b31m>"))
    text = shell("messages")[1] + shell("messages", "show", "4Q0000000000")[1]
    assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_what_the_daemon_starts_with_loads_no_database() -> None:
    code = (
        "import sys; from filterd.cli import main; import filterd.cli.daemon, filterd.supervisor; "
        "sys.exit(bool({'sqlalchemy', 'alembic', 'psycopg'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0


# --- who one is


def test_what_the_daemon_keeps_two_administrators_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 0)
    changes: dict[str, Any] = {
        "ledger": {"url": databases.settings(tmp_path).url, "socket": str(tmp_path / "ledger.sock")},
        "store": {"directory": str(tmp_path / "store")},
        "inject": {"socket": str(tmp_path / "mta.sock")},
        "policy.chains": {"infected": ["move"]},
    }
    with (
        Mta(tmp_path / "mta.sock") as mta,
        running(tmp_path, **changes) as daemon,
        daemon.client() as client,
    ):
        assert said(client, b"<b@rcpt.example>", b"<c@rcpt.example>") == [(b"d", b"")]
        shell = Shell(tmp_path, capsys)
        _, page = shell.json(quarantine.KeptPage, "quarantine", "list")
        ((kept_id, verdict),) = [(one["id"], one["verdict"]) for one in page["entries"]]
        assert verdict == "infected"
        release_it = ("quarantine", "release", kept_id, "--recipient", "c@rcpt.example", "--waive-virus")
        assert shell("quarantine", "release", kept_id, "--as", "carol")[0] == 1
        code, out, error = shell(*release_it, "--as", "alice")
        assert (code, "alice has approved it" in out) == (1, True), error
        code, out, error = shell(*release_it, "--as", "bob")
        assert (code, f"{kept_id}: released to c@rcpt.example" in out) == (0, True), out + error
        ((sender, recipients, content),) = mta.letters
        assert (sender, recipients) == (b"<a@sender.example>", [b"<c@rcpt.example>"])
        assert content.endswith(BODY)
        _, whole = shell.json(quarantine.KeptWhole, "quarantine", "show", kept_id)
        assert {one["address"]: one["state"] for one in whole["entry"]["recipients"]} == {
            "b@rcpt.example": "kept",
            "c@rcpt.example": "released",
        }
        assert [(one["actor"], one["action"]) for one in whole["events"]] == [
            ("carol", "release-refused"),
            ("alice", "approve-infected"),
            ("bob", "release"),
        ]


def test_status_of_a_daemon_that_is_not_ready_is_no_good_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as daemon:
        monkeypatch.setattr("filterd.cli.status._health", lambda _: {"ready": False, "alerts": []})
        assert main(["status", "--config", str(daemon.config)]) == 3
    assert "ready: no" in capsys.readouterr().out


def test_lists_are_full_before_the_daemon_leaves_an_entry_out(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filterd.ledger.lists.MOST", 2)
    for sender in ("a@x.example", "b@x.example"):
        assert shell("lists", "add", "reject", sender)[0] == 0
    assert shell("lists", "add", "reject", "c@x.example")[0] == 1
    # The same one again takes the place of the old one.
    assert shell("lists", "add", "reject", "b@x.example", "--days", "3")[0] == 0

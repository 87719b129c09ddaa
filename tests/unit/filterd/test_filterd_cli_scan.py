"""`filterd scan` and `filterd stages`: what they print, the documented schema, the envelope's options, exit codes."""

import asyncio
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from filterd import scan
from filterd.anatomy import Anatomy
from filterd.cli import main
from filterd.config import load
from filterd.findings import Finding, Verdict
from filterd.policy import explain
from filterd.stages import ORDER
from tests.unit.filterd import engines
from tests.unit.filterd.daemon import configuration
from tests.unit.filterd.json_schema import mistakes
from tests.unit.filterd.policies import MONDAY, config, envelope, found, group, report, spam

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "filterd.md"
SCAN, STAGES = (
    json.loads(text)
    for text in re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
)
ATTACHED: Final = (
    b"From: a@sender.example\nTo: b@example.org\nSubject: x\nMIME-Version: 1.0\n"
    b'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\nhello\n'
    b'--b\nContent-Type: application/octet-stream; name="tool.bin"\n'
    b'Content-Disposition: attachment; filename="tool.bin"\n\n' + engines.EICAR + b"\n--b--\n"
)
PLAIN: Final = b"From: a@sender.example\nTo: b@example.org\nSubject: x\n\nhello\n"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    for name, content in {
        "clean": PLAIN,
        "virus": PLAIN + engines.EICAR,
        "spam": PLAIN + engines.GTUBE,
        "attached": ATTACHED,
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "filterd.toml").write_text(configuration(tmp_path))
    with engines.Clamd(tmp_path / "clamd.sock"), engines.Spamd(tmp_path / "spamd.sock"):
        yield tmp_path


def scanned(home: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    """Scan with ``--json``; return the exit code and the record, which is of the documented schema."""
    code = main(["scan", "--json", "--config", str(home / "filterd.toml"), *options])
    shown = json.loads(capsys.readouterr().out)
    assert mistakes(shown, SCAN, SCAN) == []
    return code, shown


def test_names_need_not_be_utf8(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = home / os.fsdecode(b"m\xfc")
    odd.write_bytes(PLAIN)
    code, shown = scanned(home, capsys, "--recipient", os.fsdecode(b"\xfc@example.org"), str(odd))
    assert (code, shown["file"]) == (0, f"{home}/m\\udcfc")
    assert shown["decisions"][0]["recipients"] == ["<\\xfc@example.org>"]


def test_each_fate_has_its_exit_code_and_reply(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = scanned(home, capsys, str(home / "clean"))
    assert (code, shown["reply"], shown["decisions"][0]["verdict"]) == (0, "continue", "clean")
    code, shown = scanned(home, capsys, str(home / "virus"))
    assert (code, shown["reply"]) == (1, "550 5.7.1 Message refused: virus [virus.signature] id=none")
    code, shown = scanned(home, capsys, str(home / "spam"))
    assert (code, shown["reply"]) == (1, "550 5.7.1 Message refused: spam [spam.score] id=none")
    (finding,) = next(each["findings"] for each in shown["stages"] if each["stage"] == "spam")
    assert (finding["score"], finding["counts"]) == (1000.0, True)


def test_an_engine_that_is_down_is_three(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "filterd.toml").write_text(configuration(home, clamd={"socket": "/nonexistent/c"}))
    code, shown = scanned(home, capsys, str(home / "clean"))
    assert (code, shown["decisions"][0]["fate"]) == (3, "tempfail")
    assert shown["reply"].startswith("451 4.7.1 ")


def test_the_worst_of_several_files_is_the_exit_code(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["scan", "--config", str(home / "filterd.toml"), str(home / "virus"), str(home / "clean")]
    assert main(command) == 1
    text = capsys.readouterr().out
    assert "[policy.chains] infected = reject, for virus.signature" in text
    assert "becomes: reject, infected [virus.signature]" in text
    assert "becomes: deliver, clean" in text


def test_what_a_chain_attempts_is_tried(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"policy.chains": {"infected": ["rename", "clean", "delete", "discard"]}}
    (home / "filterd.toml").write_text(configuration(home, **changes))
    code, shown = scanned(home, capsys, str(home / "attached"))
    (decision,) = shown["decisions"]
    assert (code, decision["fate"], shown["trouble"]) == (0, "deliver", "")
    assert decision["edits"][0]["part"] == "1.2"
    code, shown = scanned(home, capsys, str(home / "virus"))
    assert [each["outcome"] for each in shown["decisions"][0]["chains"][0]["tried"]][:2] == [
        "not possible"
    ] * 2


def test_the_envelope_is_given_by_options(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = configuration(home, policy={"internal_networks": ["192.0.2.0/24"]})
    text += "[[group]]\nname = 'vip'\nrecipients = ['vip@example.org']\nsenders = ['@s.example']\n"
    text += "[group.chains]\ninfected = ['move']\n"
    (home / "filterd.toml").write_text(text)
    options = (
        "--sender",
        "x@s.example",
        "--recipient",
        "vip@example.org",
        "--recipient",
        "<joe@example.org>",
    )
    code, shown = scanned(home, capsys, *options, "--client", "192.0.2.7", "--helo", "h", str(home / "virus"))
    assert (code, shown["direction"]) == (1, "out")
    assert [(one["recipients"], one["groups"], one["fate"], one["wanted"]) for one in shown["decisions"]] == [
        (["<vip@example.org>"], ["vip"], "move", "move"),
        (["<joe@example.org>"], [], "move", "reject"),
    ]
    assert shown["reply"] == "discard"


def test_a_client_that_is_no_address_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["scan", "--client", "mx.example.org", "x"])
    assert "'mx.example.org' is no IP address; write it like 192.0.2.1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"A: b\n\nx\n", b"A: b\r\n\r\nx\r\n"),
        (b"A: b\r\n\r\nx\ny\r\n", b"A: b\r\n\r\nx\ny\r\n"),
        (b"A: b\r\n\r\nx\r\n", b"A: b\r\n\r\nx\r\n"),
    ],
)
def test_a_file_is_read_as_the_mta_would_give_it(home: Path, content: bytes, seen: bytes) -> None:
    (home / "file").write_bytes(content)
    (home / "clamd.sock").unlink()
    with engines.Clamd(home / "clamd.sock") as clamd:
        main(["scan", "--config", str(home / "filterd.toml"), str(home / "file")])
    assert seen in clamd.requests


def test_a_header_that_an_mta_would_cut_is_over_limit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "file").write_bytes(b"A: b\nX: " + b"y" * 60_000 + b"\n z\n\nbody\n")
    code, shown = scanned(home, capsys, str(home / "file"))
    assert (code, shown["decisions"][0]["rule"]) == (1, "limit.header")


def test_a_message_over_the_size_limit_is_over_limit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "file").write_bytes(b"A: b\n\n" + b"x\n" * 400_000)
    code, shown = scanned(home, capsys, str(home / "file"))
    assert (code, shown["decisions"][0]["rule"]) == (1, "limit.message")


def test_standard_input(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.dup", lambda _: 0)
    monkeypatch.setattr("os.fdopen", lambda _fd, _mode: io.BytesIO(PLAIN))
    code, shown = scanned(home, capsys, "-")
    assert (code, shown["file"]) == (0, "-")


# --- the record and its text, without engines


def record(*findings: Finding, protected: str = "", **sections: Any) -> scan.Scanned:
    settings, mail, seen = config(**sections), envelope(), report(*findings, protected=protected)
    return scan.scanned("FILE", seen, explain(seen, mail, settings, now=MONDAY), mail, settings)


def test_the_text_names_group_chain_steps_and_deeds() -> None:
    # R24
    seen = record(
        found("banned", rule="attachment.extension", name="a.exe", detail="exe"),
        found("suspicious", "1.1", rule="html.form"),
        spam(6.5),
        chains={"bulk": ["tag subject", "ignore"]},
        group=[
            group("g", recipients=["a@example.org"], chains={"banned": ["notify admin", "rename", "move"]})
        ],
    )
    text = scan.as_text(seen)
    for line in (
        "FILE (inbound)",
        "attachment.extension  banned      on    1.2   a.exe  exe",
        "html.form             suspicious  warn  1.1",
        "spam.score            bulk        on                 6.5 points",
        "for <a@example.org> (groups: g):",
        "[[group]] g banned = notify admin, rename, move, for attachment.extension",
        "  notify admin: done",
        "  rename: done",
        "[policy.chains] bulk = tag subject, ignore, for spam.score",
        "becomes: deliver, banned [attachment.extension]",
        "  part 1.2: rename",
        "  header X-Bastide-Tag: bulk spam.score",
        "  Subject begins with '[bulk] '",
        "becomes: move, banned [attachment.extension], as others differ; alone: reject",
        "reply: continue",
    ):
        assert re.search(rf"^ *{re.escape(line.strip())}$", text, re.MULTILINE), line


def test_a_finding_that_counts_for_nobody_says_so() -> None:
    seen = record(
        spam(1.5),
        found("banned", rule="content.x"),
        content=[{"name": "x", "pattern": "x", "direction": "out"}],
    )
    assert [(one.verdict, one.counts) for stage in seen.stages for one in stage.findings] == [
        (Verdict.CLEAN, False),
        (Verdict.BANNED, False),
    ]
    assert "on, does not count" in scan.as_text(seen)


def test_a_hostile_name_cannot_reach_the_terminal() -> None:
    text = scan.as_text(
        record(found("banned", name="\x1b]0;x\x07\u202eexe\r\n", detail="\x9b31m" + "y" * 500))
    )
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert max(map(len, text.splitlines())) < 250


def test_protected_mail_and_trouble_are_said() -> None:
    assert "signed: its content is not altered" in scan.as_text(record(protected="signed"))
    settings, mail, seen = config(), envelope(), report()
    made = scan.scanned(
        "F", seen, explain(seen, mail, settings, now=MONDAY), mail, settings, trouble="no worker"
    )
    assert made.reply.startswith("451 4.3.0 ")
    assert "a change could not be tried: no worker" in scan.as_text(made)


def test_a_report_without_anatomy_can_be_told() -> None:
    assert record().protected == Anatomy().protected == ""


# --- stages


def test_stages_are_listed_from_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stages", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [mistakes(one, STAGES, STAGES) for one in listed] == [[] for _ in listed]
    assert [(one["stage"], [rule["rule"] for rule in one["rules"]]) for one in listed] == [
        (stage.id, [rule.id for rule in stage.rules]) for stage in ORDER
    ]
    assert main(["stages"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {rule.id} " in text and rule.title in text for stage in ORDER for rule in stage.rules)


def test_stages_shows_the_modes_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "filterd.toml"
    path.write_text("[rules]\n'html.form' = 'on'\n[[content]]\nname = 'x'\npattern = 'y'\nmode = 'warn'\n")
    load(path)
    assert main(["stages", "--config", str(path), "--json"]) == 0
    modes = {
        rule["rule"]: rule["mode"] for one in json.loads(capsys.readouterr().out) for rule in one["rules"]
    }
    assert (modes["html.form"], modes["content.x"], modes["html.iframe"]) == ("on", "warn", "warn")


def test_the_schema_is_checked_by_the_helper_of_this_test() -> None:
    good = json.loads(json.dumps({"stage": "a", "title": "t", "why": "w", "rules": []}))
    assert mistakes(good, STAGES, STAGES) == []
    assert mistakes({**good, "x": 1}, STAGES, STAGES) == ["$.x is not in the schema"]
    assert mistakes({**good, "rules": [{"rule": 3}]}, STAGES, STAGES)


def test_scan_does_not_wait_for_ever_for_a_parse_worker(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("filterd.service.Service.rewrite", never)
    changes: dict[str, Any] = {
        "milter": {"scan_timeout_s": 4.0, "progress_s": 3.0},
        "parse": {"timeout_s": 3.5, "seconds": 3.0},
        "clamd": {"timeout_s": 3.5},
        "spamd": {"timeout_s": 3.5},
        "policy.chains": {"infected": ["clean", "reject"]},
    }
    (home / "filterd.toml").write_text(configuration(home, **changes))
    code, shown = scanned(home, capsys, str(home / "attached"))
    assert (code, shown["trouble"]) == (3, "the changed message was not there in 4 s")

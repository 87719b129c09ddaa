"""The command, its inventory and its reports."""

import json
import re
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from rich.console import Console

from audit import __main__ as command
from audit import engine, inventory
from audit.engine import Result
from audit.errors import AuditError
from audit.probes import Observation, State
from audit.report import document, junit, table
from audit.target import Target
from roles import registry
from roles.claims import Claim, Greeting, SshAlgorithms
from roles.defence import Defence
from roles.kinds import HostAnswer

INVENTORY = """
gateways = [("@local", {
    "hostname": "mx1.bastide.example",
    "relay_domains": {"bastide.example": "[198.51.100.7]:25"},
    "admin_networks": ["198.51.100.0/28"],
    "audit_vantage": {"wan": "netns:none"},
    "audit_source": {"wan": {"4": "198.51.100.10", "6": "2001:db8::a"}},
    MORE
})]
"""
RESULTS = [
    Result(
        host="gw1",
        defence_id="a.one",
        layer="a",
        title="One",
        item="a.one:x",
        state="held",
        wanted="1",
        seen="1",
    ),
    Result(
        host="gw1",
        defence_id="a.one",
        layer="a",
        title="One",
        item="a.one:y",
        state="broken",
        wanted="1",
        seen="[b]2",
    ),
    Result(
        host="gw1",
        defence_id="b.two",
        layer="b",
        title="Two",
        item="b.two:z",
        state="not seen",
        wanted="1",
        why="no root",
    ),
]


def _inventory(tmp_path: Path, more: str = "") -> str:
    path = tmp_path / "hosts.py"
    path.write_text(INVENTORY.replace("MORE", more))
    return str(path)


def test_inventory_is_resolved_and_typed(tmp_path: Path) -> None:
    (target,) = inventory.targets(_inventory(tmp_path))
    place = target.place("wan")
    assert target.gateway.hostname == "mx1.bastide.example"
    assert place.declared == {4: (22, 25), 6: (25,)}
    assert (place.helo, place.recipient, place.sender) == (
        "[198.51.100.10]",
        "postmaster@bastide.example",
        "",
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('"smpt_banner": "x",', "smpt_banner"),
        ('"audit_vantages": {},', "vantages"),
        ('"audit_vantage": "wan",', "audit_"),
    ],
)
def test_unknown_settings_are_refused(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(AuditError, match=said):
        inventory.targets(_inventory(tmp_path, more))


def test_an_inventory_without_hosts_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text("gateways = []\n")
    with pytest.raises(AuditError, match="holds no host"):
        inventory.targets(str(empty))
    with pytest.raises(AuditError, match="no such inventory file"):
        inventory.targets(str(tmp_path / "missing.py"))
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('the lab is not up')\n")
    with pytest.raises(AuditError, match="pyinfra cannot resolve"):
        inventory.targets(str(broken))
    with pytest.raises(AuditError, match="no host 'gw9'"):
        inventory.targets(_inventory(tmp_path), frozenset({"gw9"}))


def test_the_command_says_what_it_found_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, xml = tmp_path / "out.json", tmp_path / "out.xml"
    arguments = [_inventory(tmp_path), "--only", "mta.banner", "--json", str(report), "--junit", str(xml)]
    # This machine is no gateway: its banner is not set, and there is no way to look from wan.
    assert command.main(arguments) == 2
    said = capsys.readouterr().out
    assert "mta.banner:smtpd_banner" in said
    assert json.loads(report.read_bytes())["totals"]["broken"] >= 1
    assert xml.read_text().count("<failure") == json.loads(report.read_bytes())["totals"]["broken"]


@pytest.mark.parametrize(
    "arguments", [["--only", "mta.bannner"], ["--layer", "mtaa"], ["--host", "x"], ["--json", "/no/such/x"]]
)
def test_what_cannot_run_ends_with_three(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert command.main([_inventory(tmp_path), *arguments]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def _defence(*claims: Claim, answer: str = "yes") -> Defence:
    """Return a record with a setting that holds only for the answer `yes`, and with these claims."""
    setting = HostAnswer(subject="setting", command=f"echo {answer}", matches="yes", refuted_by="no")
    return Defence(
        id="layer.record",
        title="A record for tests",
        why="It looks at this machine.",
        rows=("A20",),
        sets=(setting,),
        claims=claims,
        unseen="" if claims else "It is a test.",
    )


GREETED = Greeting(matches="220 x", refuted_by="y", port=1)
OFFERED = SshAlgorithms(
    about="kex", within=frozenset({"curve25519-sha256"}), refuted_by=frozenset({"group1"})
)


def _run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record: Defence,
    *arguments: str,
    vantage: str = "{}",
    state: State = "held",
) -> int:
    """Run the command with one record and audit_vantage; what can be looked at comes out as ``state``."""
    monkeypatch.setattr(registry, "DEFENCES", (record,))
    worker = SimpleNamespace(ask=lambda *_: _done(Observation(state=state)), close=lambda: None)
    monkeypatch.setattr(engine, "entered", lambda _entry: worker)
    path = Path(_inventory(tmp_path))
    path.write_text(path.read_text().replace('{"wan": "netns:none"}', vantage))
    return command.main([str(path), *arguments])


def _done(observation: Observation) -> "Future[Observation]":
    future: Future[Observation] = Future()
    future.set_result(observation)
    return future


def test_nothing_seen_from_outside_ends_with_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "out.json"
    # What the control host sees needs no vantage, so it is no reason to believe that there is one.
    assert _run(tmp_path, monkeypatch, _defence(GREETED, OFFERED), "--json", str(report)) == 3
    said = capsys.readouterr()
    assert said.err == (
        "audit: @local: nothing was seen from outside: no wan vantage declared (audit_vantage); "
        "the host's audit_* data in the inventory say from where to look (audit/target.py)\n"
    )
    assert said.out.endswith("2 held, 0 broken, 1 claim not seen: no wan vantage declared (audit_vantage)\n")
    assert json.loads(report.read_bytes())["problems"] == [said.err.removeprefix("audit: ").strip()]


@pytest.mark.parametrize("strict", [[], ["--strict"]])
@pytest.mark.parametrize("claims", [[], [OFFERED]], ids=["settings", "control"])
def test_what_needs_no_vantage_holds_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claims: list[Claim], strict: list[str]
) -> None:
    assert _run(tmp_path, monkeypatch, _defence(*claims), "--only", "layer.record", *strict) == 0


def test_claims_of_the_control_host_alone_that_are_not_seen_end_with_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(tmp_path, monkeypatch, _defence(OFFERED), state="not seen") == 3


def test_a_finding_is_one_whatever_was_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(tmp_path, monkeypatch, _defence(GREETED, answer="no"), "--strict") == 2


def test_strict_wants_every_claim_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, unseen = GREETED, Greeting(matches="220 x", refuted_by="y", port=1, vantage="lan")
    wan = '{"wan": "here"}'
    assert _run(tmp_path, monkeypatch, _defence(seen, unseen), vantage=wan) == 0
    assert _run(tmp_path, monkeypatch, _defence(seen, unseen), "--strict", vantage=wan) == 3
    assert _run(tmp_path, monkeypatch, _defence(seen), "--strict", vantage=wan) == 0


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    told = capsys.readouterr().out.partition("exit codes:\n")[2]
    assert re.findall(r"^  (\d)  ", told, re.MULTILINE) == ["0", "2", "3"]


def test_an_unreachable_host_ends_with_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _inventory(tmp_path, '"ssh_hostname": "127.0.0.1", "ssh_port": 1')
    Path(path).write_text(Path(path).read_text().replace("@local", "gw1"))
    assert command.main([path, "--only", "hardening.rfc1337"]) == 3
    assert "gw1: cannot reach 127.0.0.1 by ssh" in capsys.readouterr().err


def test_plain_table_has_one_line_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    table.printed(RESULTS, Console(force_terminal=False, width=40))
    lines = capsys.readouterr().out.splitlines()
    assert "  broken    a.one:y  wanted: 1; seen: [b]2" in lines
    assert "  not seen  b.two:z  no root" in lines
    assert lines[-1] == "3 checks of 2 defences: 1 held, 1 broken, 1 claim not seen: no root"


def test_last_line_always_counts_what_was_not_seen() -> None:
    unseen = [msgspec.structs.replace(RESULTS[2], why=f"reason {min(number, 5)}") for number in range(8)]
    assert table.totals(RESULTS[:2]).endswith(": 1 held, 1 broken, 0 claims not seen")
    assert table.totals(unseen).endswith(
        "8 claims not seen: reason 5; reason 0; reason 1; reason 2; 2 more reasons"
    )


def test_what_a_container_cannot_show_is_listed_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    contained = msgspec.structs.replace(RESULTS[0], state="not seen: container", why="no kernel of its own")
    table.printed([contained], Console(force_terminal=False, width=40))
    lines = capsys.readouterr().out.splitlines()
    assert "  not seen: container  a.one:x  no kernel of its own" in lines
    assert lines[-1].endswith("0 held, 0 broken, 1 not seen in a container, 0 claims not seen")


def test_table_on_a_terminal_shows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    table.printed(RESULTS, Console(force_terminal=True, width=120))
    said = capsys.readouterr().out
    assert all(text in said for text in ("a.one", "held", "broken", "not seen", "[b]2", "no root"))


def test_reports_carry_every_result_and_problem(tmp_path: Path) -> None:
    report, xml = tmp_path / "a.json", tmp_path / "a.xml"
    results = [*RESULTS, msgspec.structs.replace(RESULTS[0], state="not seen: container", why="no kernel")]
    document.written(results, ["gw2: cannot reach it"], report)
    junit.written(results, ["gw2: cannot reach it"], xml)
    read = json.loads(report.read_bytes())
    assert read["totals"] == {
        "held": 1,
        "broken": 1,
        "not seen": 1,
        "not seen: container": 1,
        "not available": 0,
    }
    assert read["problems"] == ["gw2: cannot reach it"]
    text = xml.read_text()
    found = [text.count(f"<{tag} ") for tag in ("testcase", "failure", "skipped", "error")]
    assert found == [5, 1, 2, 1]


def test_a_target_without_lan_has_no_way_in() -> None:
    data = {
        "hostname": "mx.example.org",
        "relay_domains": {"example.org": "[a.example]"},
        "admin_networks": ["10.0.0.0/8"],
    }
    place = Target.of("gw1", data).place("lan")
    assert place.addresses == {4: "gw1"}
    assert place.declared == {}

"""The command, its inventory and its reports."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from audit import __main__ as command
from audit import inventory
from audit.engine import Result
from audit.errors import AuditError
from audit.report import document, junit, table
from audit.target import Target

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
    assert lines[-1] == "3 checks of 2 defences: 1 held, 1 broken, 1 not seen"


def test_table_on_a_terminal_shows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    table.printed(RESULTS, Console(force_terminal=True, width=120))
    said = capsys.readouterr().out
    assert all(text in said for text in ("a.one", "held", "broken", "not seen", "[b]2", "no root"))


def test_reports_carry_every_result_and_problem(tmp_path: Path) -> None:
    report, xml = tmp_path / "a.json", tmp_path / "a.xml"
    document.written(RESULTS, ["gw2: cannot reach it"], report)
    junit.written(RESULTS, ["gw2: cannot reach it"], xml)
    read = json.loads(report.read_bytes())
    assert read["totals"] == {"held": 1, "broken": 1, "not seen": 1}
    assert read["problems"] == ["gw2: cannot reach it"]
    text = xml.read_text()
    found = [text.count(f"<{tag} ") for tag in ("testcase", "failure", "skipped", "error")]
    assert found == [4, 1, 1, 1]


def test_a_target_without_lan_has_no_way_in() -> None:
    data = {
        "hostname": "mx.example.org",
        "relay_domains": {"example.org": "[a.example]"},
        "admin_networks": ["10.0.0.0/8"],
    }
    place = Target.of("gw1", data).place("lan")
    assert place.addresses == {4: "gw1"}
    assert place.declared == {}

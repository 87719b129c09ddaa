"""The command: what it refuses, and that no figure counts while mail does not flow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.engine import Result
from audit.probes import State
from audit.scanners import __main__ as command
from audit.scanners import mail
from audit.scanners.figures import Figure, Judged
from audit.scanners.host import Scanned
from audit.target import Target

INVENTORY = """
gateways = [("@local", {
    "hostname": "mx1.bastide.example",
    "relay_domains": {"bastide.example": "[198.51.100.7]:25"},
    "admin_networks": ["198.51.100.0/28"],
})]
"""


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    path = tmp_path / "inventory.py"
    path.write_text(INVENTORY)
    return str(path)


def result(state: State) -> Result:
    return Result(
        host="@local",
        defence_id="clamav.virus-refused",
        layer="clamav",
        title="A virus is refused",
        item="clamav.virus-refused:verdict-eicar",
        state=state,
        wanted="550",
        seen="250",
    )


def given(
    monkeypatch: pytest.MonkeyPatch, states: list[State], judged: Judged, ran: list[str] | None = None
) -> None:
    """Have mail flow so before and after, and the one scanner come to one figure."""
    flows = iter(states)

    def flowing(_target: Target) -> list[Result]:
        return [result("held"), result(next(flows))]

    def scan(_target: Target, _host: Scanned, _content: Path | None) -> Iterator[Figure]:
        if ran is not None:
            ran.append("scanned")
        yield Figure(scanner="nmap", about="open", value="25", judged=judged, details=("25: smtp",))

    monkeypatch.setattr(mail, "flows", flowing)
    monkeypatch.setattr(command, "SCANNERS", {"nmap": scan})


@pytest.mark.parametrize(
    ("judged", "code"), [("good", command.GOOD), ("told", command.GOOD), ("bad", command.FINDINGS)]
)
def test_the_exit_code_is_that_of_the_worst_figure(
    monkeypatch: pytest.MonkeyPatch,
    inventory: str,
    capsys: pytest.CaptureFixture[str],
    judged: Judged,
    code: int,
) -> None:
    given(monkeypatch, ["held", "held"], judged)
    assert command.main([inventory]) == code
    said = capsys.readouterr().out
    assert f"{judged}  " in said
    assert ("25: smtp" in said) is (judged == "bad")


@pytest.mark.parametrize("state", ["broken", "not seen"])
def test_nothing_is_scanned_where_mail_does_not_flow(
    monkeypatch: pytest.MonkeyPatch, inventory: str, capsys: pytest.CaptureFixture[str], state: State
) -> None:
    ran: list[str] = []
    given(monkeypatch, [state], "good", ran)
    assert command.main([inventory]) == command.COULD_NOT_RUN
    assert ran == []
    assert "mail does not flow before the scan" in capsys.readouterr().err


def test_no_figure_counts_where_mail_flows_no_more(
    monkeypatch: pytest.MonkeyPatch, inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, ["held", "broken"], "good")
    assert command.main([inventory]) == command.COULD_NOT_RUN
    captured = capsys.readouterr()
    assert "mail does not flow after the scan" in captured.err
    assert "open" not in captured.out


def test_a_missing_data_stream_is_said_before_anything_runs(
    inventory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [inventory, "--only", "openscap", "--datastream", str(tmp_path / "none.xml")]
    assert command.main(argv) == command.COULD_NOT_RUN
    said = capsys.readouterr().err
    assert "none.xml: no such file" in said
    assert "ssg-debian" in said


def test_an_unknown_scanner_is_a_wrong_command_line(inventory: str) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([inventory, "--only", "nessus"])
    assert ended.value.code == 2


def test_mail_flows_by_two_claims_of_the_registry(inventory: str) -> None:
    from audit.inventory import targets  # noqa: PLC0415 - resolves the inventory in a child process

    (target,) = targets(inventory)
    assert [item.id for item in mail.checks(target)] == [
        "clamav.virus-refused:verdict-eicar",
        "filterd.clean-unchanged:delivered-clean",
    ]

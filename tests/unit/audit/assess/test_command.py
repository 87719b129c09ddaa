"""The command: its sub-command's name, its reports and its exit codes, on a host that is this machine."""

import json
from pathlib import Path

import pytest

from audit import __main__ as audit
from audit.assess import assessment, command
from audit.errors import AuditError
from audit.probes.host import Answer
from audit.target import Target
from publish.live import AskError, Found
from roles import registry
from roles.defence import Defence
from tests.unit.audit.assess.samples import record

INVENTORY = """
gateways = [(name, {
    "hostname": f"{name.strip('@')}.bastide.example",
    "relay_domains": {"bastide.example": "[198.51.100.7]:25"},
    "admin_networks": ["198.51.100.0/28"],
    "publish": {"addresses": ["198.51.100.25"]},
    "ssh_hostname": "127.0.0.1",
    "ssh_port": 9,
}) for name in NAMES]
"""
HALF = (record("mta.held", "echo yes"), record("mta.broken", "echo no"))


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DEFENCES", HALF)
    monkeypatch.setattr("roles.tasks.TASKS", ())
    # Whoever runs the tests need not be root: the question is answered as root would.
    monkeypatch.setattr(assessment, "_WHO", "echo 0")


def inventory(tmp_path: Path, *names: str) -> str:
    path = tmp_path / "hosts.py"
    path.write_text(INVENTORY.replace("NAMES", repr(names or ("@local",))))
    return str(path)


@pytest.mark.parametrize(("bound", "code"), [([], 0), (["--at-least", "50"], 0), (["--at-least", "50.1"], 2)])
def test_the_score_decides_only_where_a_bound_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bound: list[str], code: int
) -> None:
    assert audit.main(["assess", inventory(tmp_path), *bound]) == code
    said = capsys.readouterr()
    assert "50 of 100 (weight 5 of 10 seen)" in said.out
    assert "echo no: wanted: yes; seen: no" in said.out
    assert said.err == ""


def test_all_reports_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / f"out.{name}" for name in ("text", "html", "json")}
    words = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    assert audit.main(["assess", inventory(tmp_path), *words]) == 0
    assert capsys.readouterr().out == ""
    assert "50 of 100" in files["text"].read_text()
    assert "50 of 100" in files["html"].read_text()
    (host,) = json.loads(files["json"].read_bytes())["hosts"]
    assert host["score"]["percent"] == 50
    assert [item["state"] for item in host["items"]] == ["yes", "no"]


def test_a_host_that_is_away_ends_with_three_and_the_others_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "out.json"
    # The port of discard (RFC 863): nothing answers ssh there.
    hosts = inventory(tmp_path, "gw1", "@local")
    assert audit.main(["assess", hosts, "--json", str(report)]) == 3
    said = capsys.readouterr()
    assert said.err.startswith("audit: gw1: cannot reach 127.0.0.1 by ssh: ")
    assert "50 of 100" in said.out
    written = json.loads(report.read_bytes())
    assert [each["host"] for each in written["hosts"]] == ["@local"]
    assert written["problems"] == [said.err.removeprefix("audit: ").strip()]
    # A score that is too low is certain, whatever became of the other.
    assert audit.main(["assess", hosts, "--at-least", "60"]) == 2


def test_a_login_that_is_not_root_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assessment, "_WHO", "echo 1000")
    assert audit.main(["assess", inventory(tmp_path)]) == 3
    assert "cannot ask the host as root: the login is another; set `_sudo`" in capsys.readouterr().err


def test_a_host_of_which_nothing_is_seen_ends_with_three(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "DEFENCES", (record("mta.later", "echo yes", level="paranoid"),))
    assert audit.main(["assess", inventory(tmp_path), "--level", "lax"]) == 3
    assert "nothing that was asked for could be seen" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--layer", "mtaa"], 3),
        (["--host", "gw9"], 3),
        (["--html", "/no/such/folder/x"], 3),
        (["--level", "strict"], 2),
        (["--at-least", "101"], 2),
        (["--at-least", "nan"], 2),
        (["--resolver", "localhost"], 2),
    ],
)
def test_what_is_asked_wrongly_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    try:
        ended = audit.main(["assess", inventory(tmp_path), *words])
    except SystemExit as error:
        ended = int(error.code or 0)
    assert ended == code
    assert words[1] in capsys.readouterr().err


def test_a_record_that_cannot_be_made_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> tuple[Defence, ...]:
        raise ValueError("defence 'x': it is unfinished")

    monkeypatch.setattr(command, "_of_layer", broken)
    assert audit.main(["assess", inventory(tmp_path)]) == 3
    assert capsys.readouterr().err == "audit: defence 'x': it is unfinished\n"


def test_only_the_first_word_is_the_command_and_a_file_is_told_by_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        audit.main(["assess"])
    assert ended.value.code == 2
    assert "usage: python -m audit assess" in capsys.readouterr().err
    assert audit.main(["./assess.py"]) == 3
    assert "./assess.py: no such inventory file" in capsys.readouterr().err


def test_the_tasks_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(registry, "DEFENCES", HALF)
    monkeypatch.setattr(assessment, "asked", lambda _target, scope: _silent(scope))
    assert audit.main(["assess", inventory(tmp_path), "--todo"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("TODO of @local: ")
    assert "site.backup" in said
    assert "of 100" not in said


def test_for_the_tasks_alone_no_defence_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "asked"
    asking = record("mta.asked", f"touch {file}; echo yes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "DEFENCES", (asking,))
        assert audit.main(["assess", inventory(tmp_path), "--todo"]) == 0
        assert not file.exists()
        assert audit.main(["assess", inventory(tmp_path), "--todo", "--at-least", "100"]) == 0
        assert file.exists()
    assert "TODO of @local" in capsys.readouterr().out


def _silent(scope: assessment.Scope) -> dict[str, Answer]:
    class Silent(dict[str, Answer]):
        def __missing__(self, question: str) -> Answer:
            return Answer(code=1, output="", errors="")

        def __contains__(self, question: object) -> bool:
            return True

    assert scope.tasks
    return Silent()


def test_a_resolver_tells_which_records_are_live(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(registry, "DEFENCES", HALF)
    monkeypatch.setattr(assessment, "asked", lambda _target, scope: _silent(scope))

    def ask(name: str, kind: str) -> Found:
        known = {("bastide.example.", "MX"): ("10 local.bastide.example.",)}
        return Found(known.get((name, kind), ()))

    monkeypatch.setattr(command, "asking", lambda _resolver: ask)
    assert audit.main(["assess", inventory(tmp_path), "--todo", "--resolver", "192.0.2.53"]) == 0
    said = capsys.readouterr().out
    assert "done          publish.mx" in said
    assert "open          publish.ptr" in said
    assert "PTR is missing" in said


def test_a_resolver_without_an_answer_ends_with_three(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(_name: str, _kind: str) -> Found:
        raise AskError("timed out")

    monkeypatch.setattr(command, "asking", lambda _resolver: ask)
    assert audit.main(["assess", inventory(tmp_path), "--resolver", "192.0.2.53"]) == 3
    assert "the resolver 192.0.2.53 gives no answer: timed out" in capsys.readouterr().err


def test_each_host_has_findings_of_its_own_records(monkeypatch: pytest.MonkeyPatch) -> None:
    def data(name: str, address: str) -> dict[str, object]:
        return {
            "hostname": f"{name}.example.org",
            "relay_domains": {"example.org": "[198.51.100.7]:25"},
            "admin_networks": ["198.51.100.0/28"],
            "publish": {"addresses": [address]},
        }

    targets = [Target.of("a", data("a", "192.0.2.1")), Target.of("b", data("b", "192.0.2.2"))]
    monkeypatch.setattr(command, "asking", lambda _resolver: lambda _name, _kind: Found())
    found = command._published(targets, "192.0.2.53")
    owners = {host: {each.owner for each in findings} for host, findings in found.items()}
    assert "a.example.org." in owners["a"] - owners["b"]
    assert "b.example.org." in owners["b"] - owners["a"]
    # Mail for the domain comes by both, and so both are asked for.
    wanted = [each.wanted for each in found["a"] if each.type == "MX"]
    assert wanted == ["10 a.example.org.", "10 b.example.org."]
    # What both say of the domain must be the same.
    strict = Target.of("b", data("b", "192.0.2.2") | {"publish": {"dmarc": "reject"}})
    with pytest.raises(
        AuditError, match=r"a\.example\.org and b\.example\.org relay it and differ in `publish\.dmarc`"
    ):
        command._published([targets[0], strict], "192.0.2.53")

"""The command: exit codes that can be trusted, certificates by name."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from publish import __main__ as command
from publish.live import AskError, Found
from publish.records import plan
from roles.inventory import typed
from tests.unit.roles.examples import settings

HOSTS = {"one": settings(publish={"addresses": ["203.0.113.7"]})}
WITHOUT_POLICY = {"one": settings(publish={"addresses": ["203.0.113.7"], "mta_sts": "none"})}


@pytest.fixture(autouse=True)
def _inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "hosts_of", lambda _inventory: HOSTS)


def answering(monkeypatch: pytest.MonkeyPatch, ask: Any) -> None:
    monkeypatch.setattr(command, "asking", lambda _resolver: ask)


def test_records_are_printed_and_nothing_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, None)
    assert command.main(["inventory.py"]) == command.LIVE
    said = capsys.readouterr()
    assert "example.org. 3600 IN MX 10 mx1.example.org.\n" in said.out
    assert "; version: STSv1\n" in said.out
    assert "TLSA" in said.err


def test_the_exit_code_tells_missing_from_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_name: str, _kind: str) -> Found:
        raise AskError("no answer")

    def half(name: str, kind: str) -> Found:
        return silent(name, kind) if kind == "MX" else Found()

    # Policies are fetched of web servers; what is asked of a resolver alone is looked at here.
    monkeypatch.setattr(command, "hosts_of", lambda _inventory: WITHOUT_POLICY)
    made = plan([typed("one", WITHOUT_POLICY["one"])], {})
    live = {
        (owner, kind): Found(
            tuple(each.value for each in made.records if (each.owner, each.type) == (owner, kind)),
            secure=True,
        )
        for owner, kind in {(each.owner, each.type) for each in made.records}
    }
    for ask, code in (
        (lambda name, kind: live.get((name, kind), Found()), command.LIVE),
        (lambda _name, _kind: Found(), command.FINDINGS),
        (silent, command.COULD_NOT_RUN),
        (half, command.FINDINGS),
    ):
        answering(monkeypatch, ask)
        assert command.main(["inventory.py", "--check"]) == code


def test_json_holds_records_policies_and_findings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, lambda _name, _kind: Found())
    assert command.main(["inventory.py", "--check", "--json"]) == command.FINDINGS
    document = json.loads(capsys.readouterr().out)
    assert {finding["state"] for finding in document["findings"]} == {"missing"}
    assert len(document["findings"]) == len(document["records"]) + len(document["policies"])
    assert set(document["policies"]) == {"example.org", "example.net"}


def test_a_certificates_key_is_named_as_openssl_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=mx1.example.org"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(file)], check=True, capture_output=True)
    public = subprocess.run(
        ["openssl", "pkey", "-in", str(key), "-pubout", "-outform", "DER"], check=True, capture_output=True
    ).stdout
    assert command.main(["inventory.py", "--certificate", str(file)]) == command.LIVE
    digest = hashlib.sha256(public).hexdigest()
    assert f"_25._tcp.mx1.example.org. 3600 IN TLSA 3 1 1 {digest}\n" in capsys.readouterr().out


def test_7_gateways_that_contradict_each_other_publish_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    two = settings(hostname="mx2.example.org", publish={"dmarc": "reject"})
    monkeypatch.setattr(command, "hosts_of", lambda _inventory: {**HOSTS, "two": two})
    assert command.main(["inventory.py"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "publish: example.net: mx1.example.org and mx2.example.org relay it and differ in `publish.dmarc` ('none' and 'reject'); "
        "give both the same\n"
    )
    assert command.main(["inventory.py", "--host", "two"]) == command.LIVE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--certificate", "nowhere.pem"], "no certificate"),
        (["--certificate", "mx9.example.org=nowhere.pem"], "no gateway"),
        (["--host", "two"], "no such host"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["inventory.py", *words]) == command.COULD_NOT_RUN
    assert said in capsys.readouterr().err


def test_a_resolver_is_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(["inventory.py", "--resolver", "dns.example.org"])
    assert stopped.value.code == 2
    assert "not an IP address" in capsys.readouterr().err

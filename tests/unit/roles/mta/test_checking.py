"""How Postfix looks at what is staged: each table that the configuration names is read, wherever it lies."""

from pathlib import Path

import pytest

from roles.mta import postfix
from roles.mta.checking import CONFIGURATION, DIRECTORY
from tests.unit.roles.examples import gateway
from tests.unit.roles.hosts import FakeHost

CHANGES = {
    "dnsbl": [{"id": "one", "zone": "bl.example.org"}],
    "dnsbl_allow": ["203.0.113.0/28"],
    "relay_networks": [{"network": "192.0.2.0/28"}],
    "mta_rules": {
        "client": [{"id": "net", "match": "198.51.100.0/24", "verb": "reject", "reason": "a test"}],
        "content": [
            {"id": "word", "part": "body", "match": "/lottery/", "verb": "reject", "reason": "a test"}
        ],
    },
}


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A host whose postmap complains of a table with the word `nonsense` in it, as the real one does."""
    fake = FakeHost(tmp_path / "host")
    for name in ("postconf", "postfix", "journalctl"):
        fake.program(name)
    fake.program(
        "postmap",
        'for last; do :; done; grep -q nonsense "${last#*:}" && echo "warning: ${last#*:}, line 3: skipped" >&2; exit 1',
    )
    return fake


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """All that is staged of Postfix's for a gateway with every table."""
    for file in postfix._files(gateway(**CHANGES)):
        path = tmp_path / "stage" / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
    return tmp_path / "stage"


def checked(host: FakeHost, stage: Path, *, fails: bool = False) -> str:
    return host.run(f"exec 2>&1; set -e; stage={stage}; {CONFIGURATION}", fails=fails)


def test_what_is_whole_passes(host: FakeHost, stage: Path) -> None:
    assert checked(host, stage) == ""


@pytest.mark.parametrize(
    "table",
    [
        *("dnsbl_reply", "postscreen_access", "refusals.pcre", "tls_policy", "transport", "verified_domains"),
        *("virtual", "rules/client-1.cidr", "rules/body.pcre"),
        *("directions/inside.cidr", "directions/senders.pcre"),
    ],
)
def test_b9_a_bad_line_in_any_table_never_goes_live(host: FakeHost, stage: Path, table: str) -> None:
    path = stage / DIRECTORY.lstrip("/") / table
    path.write_text(f"{path.read_text()}nonsense\n")
    said = checked(host, stage, fails=True)
    assert f"{DIRECTORY}/{table}, line 3: skipped" in said
    assert str(stage) not in said
    assert ("mta_rules" in said) is table.startswith("rules/")


def test_a_table_that_is_named_and_not_written_never_goes_live(host: FakeHost, stage: Path) -> None:
    (stage / DIRECTORY.lstrip("/") / "virtual").unlink()
    assert f"texthash:{DIRECTORY}/virtual, which is not written" in checked(host, stage, fails=True)


def test_no_table_of_text_is_staged_that_the_check_does_not_find(host: FakeHost, stage: Path) -> None:
    checked(host, stage)
    read = {call.split(f"{stage}{DIRECTORY}/")[-1] for call in host.called() if call.startswith("postmap")}
    staged = {
        str(path.relative_to(stage / DIRECTORY.lstrip("/")))
        for path in stage.rglob("postfix/**/*")
        if path.is_file()
    }
    assert staged - {"main.cf", "master.cf"} == read

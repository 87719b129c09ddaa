"""`refused-by`: what it asks the log for an id, and which of the MTAs' lines that finds."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from roles.dns import deploy, selftest
from roles.dns.defences import PROGRAM
from roles.mta.refusals import refused_by
from roles.settings import Gateway
from tests.unit.roles.examples import gateway
from tests.unit.roles.hosts import FakeHost

LISTS = [
    {
        "id": "zen",
        "zone": "key.zen.dq.spamhaus.net",
        "answers": "127.0.0.[2..3]",
        "reason": "see example.org",
    },
    {"id": "zen-policy", "zone": "key.zen.dq.spamhaus.net", "answers": "127.0.0.[10..11]", "score": 1},
]
POSTFIX = {
    "refused": "NOQUEUE: reject: RCPT from [198.51.100.66]:4242: 550 5.7.1 Service unavailable; client [198.51.100.66] "
    "blocked using dnsbl.zen (see example.org); from=<a@b.example>, to=<c@d.example>, proto=ESMTP, helo=<x.example>",
    "bare": "NOQUEUE: reject: RCPT from [198.51.100.66]:4242: 550 5.7.1 Service unavailable; client [198.51.100.66] "
    "blocked using dnsbl.zen; from=<a@b.example>, to=<c@d.example>, proto=ESMTP, helo=<x.example>",
    "hit": "addr 198.51.100.66 listed by domain key.zen.dq.spamhaus.net as 127.0.0.3",
    "policy": "addr 198.51.100.66 listed by domain key.zen.dq.spamhaus.net as 127.0.0.10",
    "other": "addr 198.51.100.66 listed by domain keyXzen.dq.spamhaus.net as 127.0.0.3",
}
SENDMAIL = {
    "refused": "ruleset=check_rcpt, arg1=<c@d.example>, relay=[198.51.100.66], reject=550 5.7.1 <c@d.example>... Service "
    "unavailable; client host blocked using dnsbl.zen (see example.org)",
    "bare": "reject=550 5.7.1 <c@d.example>... Service unavailable; client host blocked using dnsbl.zen",
    "counted": "would count: dnsbl.zen (see example.org), relay=[198.51.100.66]",
    "policy": "reject=550 5.7.1 <c@d.example>... Service unavailable; client host blocked using dnsbl.zen-policy",
}


def sought(chosen: Gateway, name: str, tmp_path: Path, *, fails: bool = False) -> str:
    """Return the regular expression that the command gives journalctl."""
    host = FakeHost(tmp_path / "host")
    host.program("journalctl", 'for last; do :; done; printf %s "$last"')
    (declared,) = (file.content for file in deploy._tests(chosen) if file.path == str(selftest.DECLARED))
    (tmp_path / "dnsbl.json").write_text(declared)
    program = tmp_path / "dnsbl.py"
    text = Path(selftest.__file__).read_text().replace(str(selftest.DECLARED), str(tmp_path / "dnsbl.json"))
    program.write_text(text)
    command = tmp_path / "refused-by"
    command.write_text(refused_by(chosen).content.replace(PROGRAM, str(program)))
    return host.run(f"sh {command} {name} --since=yesterday", fails=fails)


@pytest.mark.parametrize(
    ("mta", "name", "found"),
    [
        ("postfix", "dnsbl.zen", {"refused", "bare", "hit"}),
        ("postfix", "dnsbl.zen-policy", {"policy"}),
        ("sendmail", "dnsbl.zen", {"refused", "bare", "counted"}),
        ("sendmail", "dnsbl.zen-policy", {"policy"}),
    ],
)
def test_b10_a_block_lists_id_finds_what_it_refused_and_counted(
    mta: str, name: str, found: set[str], tmp_path: Path
) -> None:
    expression = sought(gateway(mta=mta, dnsbl=LISTS), name, tmp_path)
    lines = POSTFIX if mta == "postfix" else SENDMAIL
    assert {key for key, line in lines.items() if re.search(expression, line)} == found


def test_an_id_of_no_list_is_said_to_be_none(tmp_path: Path) -> None:
    assert sought(gateway(dnsbl=LISTS), "dnsbl.zem", tmp_path, fails=True) == ""


def test_a_vendors_key_stands_in_no_file_that_everybody_reads() -> None:
    assert "key.zen" not in refused_by(gateway(dnsbl=LISTS)).content


def test_what_the_program_says_is_what_it_was_told() -> None:
    (declared,) = (
        file.content for file in deploy._tests(gateway(dnsbl=LISTS)) if file.path == str(selftest.DECLARED)
    )
    assert [entry["id"] for entry in json.loads(declared)] == ["zen", "zen-policy"]
    done = subprocess.run(
        [sys.executable, "-I", selftest.__file__, "logged", "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "no block list dnsbl.none is declared\n")

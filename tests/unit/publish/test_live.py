"""Whether a record is live: missing, wrong in each way that matters, right in each spelling that does not."""

from collections.abc import Sequence

import pytest

from publish.live import Ask, AskError, Finding, Found, findings
from publish.records import Record

NAME = "example.org."


def answers(*values: str, secure: bool = False) -> Ask:
    return lambda _name, _kind: Found(values, secure)


def record(kind: str, value: str) -> Record:
    return Record(owner=NAME, type=kind, value=value, about="")


def states(records: Sequence[Record], ask: Ask) -> list[str]:
    return [each.state for each in findings(records, ask)]


@pytest.mark.parametrize(
    ("kind", "wanted", "seen", "state"),
    [
        ("MX", "10 mx1.example.org.", ["10 MX1.example.org."], "live"),
        ("MX", "10 mx1.example.org.", [], "missing"),
        ("MX", "10 mx1.example.org.", ["10 old.example.org."], "wrong"),
        # A second way in, past the gateway.
        ("MX", "10 mx1.example.org.", ["10 mx1.example.org.", "20 old.example.org."], "wrong"),
        ("A", "203.0.113.7", ["203.0.113.7"], "live"),
        ("A", "203.0.113.7", ["203.0.113.7", "203.0.113.9"], "wrong"),
        ("TXT", "v=spf1 mx -all", ["google-site=1", "V=SPF1  mx -all"], "live"),
        ("TXT", "v=spf1 mx -all", ["google-site=1"], "missing"),
        ("TXT", "v=spf1 mx -all", ["v=spf10 mx -all"], "missing"),
        ("TXT", "v=spf1 mx -all", ["v=spf1 +all"], "wrong"),
        # The order of SPF's terms counts.
        ("TXT", "v=spf1 a mx -all", ["v=spf1 mx a -all"], "wrong"),
        ("TXT", "v=spf1 mx -all", ["v=spf1 mx -all", "v=spf1 a -all"], "wrong"),
        ("TXT", "v=DMARC1; p=none; rua=mailto:a@b.c", ["v=DMARC1;p=none;rua=mailto:a@b.c;"], "live"),
        ("TXT", "v=DMARC1; p=none; rua=mailto:a@b.c", ["v=DMARC1; rua=mailto:a@b.c; p=none"], "live"),
        ("TXT", "v=DMARC1", ["v=DMARC1;"], "live"),
        ("TXT", "v=DMARC1; p=reject", ["v=DMARC1; p=none"], "wrong"),
        ("TXT", "v=DKIM1; k=rsa; p=AbC", ["v=DKIM1; k=rsa; p=Abc"], "wrong"),
        ("TXT", "v=DKIM1; k=rsa; p=AbC", ["v=DKIM1; k=rsa; p=Ab C"], "live"),
    ],
)
def test_a_record_is_judged_by_what_it_means(kind: str, wanted: str, seen: list[str], state: str) -> None:
    assert states([record(kind, wanted)], answers(*seen)) == [state]


def test_a_tlsa_record_that_is_not_validated_is_worth_nothing() -> None:
    wanted = [record("TLSA", "3 1 1 ab")]
    assert states(wanted, answers("3 1 1 AB", secure=True)) == ["live"]
    assert states(wanted, answers("3 1 1 ab")) == ["wrong"]
    # While keys change there are two.
    assert states(wanted, answers("3 1 1 ab", "3 1 1 cd", secure=True)) == ["live"]
    assert states(wanted, answers("3 1 1 cd", secure=True)) == ["wrong"]


def test_while_keys_change_both_records_are_looked_for() -> None:
    wanted = [record("TLSA", "3 1 1 ab"), record("TLSA", "3 1 1 cd")]
    assert states(wanted, answers("3 1 1 ab", "3 1 1 CD", secure=True)) == ["live", "live"]
    assert states(wanted, answers("3 1 1 ab", secure=True)) == ["live", "missing"]
    assert states(wanted, answers("3 1 1 ef", secure=True)) == ["wrong", "wrong"]
    assert states(wanted, answers("3 1 1 ab", "3 1 1 cd")) == ["wrong", "wrong"]


def test_every_gateways_mx_is_looked_for_in_one_question() -> None:
    asked = []

    def ask(name: str, kind: str) -> Found:
        asked.append((name, kind))
        return Found(("10 mx1.example.org.",))

    found = list(findings([record("MX", "10 mx1.example.org."), record("MX", "20 mx2.example.org.")], ask))
    assert [each.state for each in found] == ["live", "wrong"]
    assert asked == [(NAME, "MX")]


def test_no_answer_is_not_taken_for_a_missing_record() -> None:
    def ask(_name: str, _kind: str) -> Found:
        raise AskError("SERVFAIL")

    assert list(findings([record("MX", "10 a.")], ask)) == [
        Finding(owner=NAME, type="MX", wanted="10 a.", state="not asked", seen="SERVFAIL")
    ]

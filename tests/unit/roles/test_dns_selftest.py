"""The test of block lists as it runs on a gateway: its judgement, and the packets that it reads."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace

import dns.message
import dns.rrset
import pytest
from dns.rcode import Rcode
from hypothesis import given
from hypothesis import strategies as st

from roles.dns import selftest
from roles.dns.selftest import NOERROR, NXDOMAIN, Answer, Declared, Judgement

SERVFAIL = 2
LISTED = "2.0.0.127.bl.example.org"
NEVER = "1.0.0.127.bl.example.org"
GOOD = {LISTED: Answer(NOERROR, ("127.0.0.2",)), NEVER: Answer(NXDOMAIN)}


def entry(
    *,
    allows: bool = False,
    name: str = "one",
    last: Iterable[int] = range(2, 12),
    test: str = "",
    zone: str = "bl.example.org",
) -> Declared:
    counted = tuple(frozenset(each) for each in ({127}, {0}, {0}, last))
    return Declared(
        id=name, zone=zone, test=test or "127.0.0.2", allows=allows, counted=counted, own=bool(test)
    )


def judged(answers: Mapping[str, Answer], *entries: Declared) -> Judgement:
    return selftest.verdicts(entries, lambda name: answers[name.lower()])


def failing(answers: Mapping[str, Answer], *, allows: bool = False) -> str:
    found = judged(answers, entry(allows=allows))
    assert not found.doubted
    return found.out.get("one", "")


def test_a_list_that_works_is_used() -> None:
    assert failing(GOOD) == ""


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({LISTED: Answer(NXDOMAIN)}, "does not list its test entry"),
        ({LISTED: Answer(NOERROR)}, "does not list its test entry"),
        ({NEVER: Answer(NOERROR, ("127.0.0.2",))}, "lists 127.0.0.1"),
        ({LISTED: Answer(NOERROR, ("127.255.255.254",))}, "127.255.255.254: it refuses our resolver"),
        ({NEVER: Answer(NOERROR, ("127.255.255.255",))}, "too many questions"),
        ({LISTED: Answer(NOERROR, ("127.255.255.250",))}, "an error"),
        ({LISTED: Answer(SERVFAIL)}, "do not answer"),
        ({NEVER: Answer(-1)}, "do not answer"),
        ({LISTED: Answer(NOERROR, ("203.0.113.9",))}, "another owner"),
        ({LISTED: Answer(NOERROR, ("127.0.1.2",))}, "does not count"),
    ],
)
def test_a_list_that_does_not_work_is_not_used(answers: Mapping[str, Answer], why: str) -> None:
    assert why in failing({**GOOD, **answers})


def test_an_allow_lists_test_entry_need_not_be_trusted() -> None:
    other = {**GOOD, LISTED: Answer(NOERROR, ("127.0.10.0",))}
    assert failing(other, allows=True) == ""
    assert failing(other)


def test_what_is_out_of_service_is_written_so_that_it_can_be_tested_and_read_again() -> None:
    state = Judgement(out={"one": "why: so", "two": "too"}, doubted={"half": "it: does not"})
    other = entry(name="fine", zone="other.example.org")
    text = selftest.rendered(
        [entry(), entry(name="two"), other, entry(name="half", zone="third.example.org")], state
    )
    assert selftest.read(text) == state
    zones = [[*line.split('"')[1::2], line.split()[-1]] for line in text.splitlines() if "local-zone" in line]
    assert zones == [
        ["bl.example.org.", "always_nxdomain"],
        [f"{LISTED}.", "always_transparent"],
        [f"{NEVER}.", "always_transparent"],
    ]
    fine = Judgement(out={}, doubted={})
    assert selftest.read(selftest.rendered([entry()], fine)) == fine


# One zone told apart by its answers: the test entry of RFC 5782 shows the first, one of its own the second.
LOW = entry(name="low", last=[2, 3])
POLICY = entry(name="policy", last=[10], test="127.0.0.10")
OTHER = "10.0.0.127.bl.example.org"
APART = {**GOOD, OTHER: Answer(NOERROR, ("127.0.0.10",))}


def test_b2_entries_of_one_zone_are_shown_by_a_test_of_their_own() -> None:
    assert judged(APART, LOW, POLICY) == Judgement({}, {})


@pytest.mark.parametrize("answer", [Answer(NXDOMAIN), Answer(NOERROR, ("127.0.0.11",))])
def test_b2_an_entry_that_fails_alone_is_said_and_its_zone_stays(answer: Answer) -> None:
    found = judged({**APART, OTHER: answer}, LOW, POLICY)
    assert found.out == {}
    assert list(found.doubted) == ["policy"]
    assert "local-zone" not in selftest.rendered([LOW, POLICY], found)
    assert selftest.said(found)["policy"].startswith("dnsbl.policy is in doubt, its zone in service: it ")


def test_b2_one_answer_that_counts_shows_a_zone_whose_entries_name_no_test() -> None:
    assert judged(APART, LOW, entry(name="policy", last=[10])) == Judgement({}, {})


@pytest.mark.parametrize(
    "answers",
    [
        {OTHER: Answer(NOERROR, ("127.255.255.254",))},
        {LISTED: Answer(NOERROR, ("127.0.0.2", "127.255.255.255"))},
        {NEVER: Answer(NOERROR, ("127.0.0.10",))},
        {OTHER: Answer(SERVFAIL)},
        {LISTED: Answer(NXDOMAIN), OTHER: Answer(NXDOMAIN)},
        {LISTED: Answer(NOERROR, ("127.0.0.9",)), OTHER: Answer(NOERROR, ("127.0.0.9",))},
    ],
)
def test_b2_a_zone_that_is_not_to_be_believed_is_off_whole(answers: Mapping[str, Answer]) -> None:
    elsewhere = entry(name="elsewhere", zone="fine.example.org")
    fine = {name.replace("bl.example", "fine.example"): answer for name, answer in GOOD.items()}
    found = judged({**APART, **fine, **answers}, LOW, elsewhere, POLICY)
    assert list(found.out) == ["low", "policy"]
    assert found.doubted == {}
    assert selftest.rendered([LOW, POLICY, elsewhere], found).count("always_nxdomain") == 1


def test_b2_a_zone_written_with_capitals_is_the_same_zone() -> None:
    found = judged({**APART, OTHER: Answer(NXDOMAIN)}, LOW, replace(POLICY, zone="BL.example.org"))
    assert (list(found.out), list(found.doubted)) == ([], ["policy"])


def test_what_changed_is_told_once() -> None:
    none = Judgement({}, {})
    off, half = Judgement({"one": "why"}, {}), Judgement({}, {"one": "why"})
    assert selftest._told(none, off) == ["dnsbl.one is out of service: why"]
    assert selftest._told(off, off) == []
    assert selftest._told(off, half) == ["dnsbl.one is in doubt, its zone in service: why"]
    assert selftest._told(half, none) == ["dnsbl.one is in service again"]


def response(name: str, *addresses: str, rcode: Rcode = Rcode.NOERROR) -> bytes:
    question = dns.message.make_query(name, "A", id=7)
    made = dns.message.make_response(question)
    made.set_rcode(rcode)
    alias = dns.rrset.from_text(f"{name}.", 5, "IN", "CNAME", "real.example.org.")
    if addresses:
        made.answer += [alias, dns.rrset.from_text("real.example.org.", 5, "IN", "A", *addresses)]
    return made.to_wire()


def test_responses_are_read_as_another_library_writes_them() -> None:
    code, addresses = selftest.answered(response(LISTED, "127.0.0.2", "127.0.0.4"), 7)
    assert (code, set(addresses)) == (NOERROR, {"127.0.0.2", "127.0.0.4"})
    assert selftest.answered(response(LISTED, rcode=Rcode.NXDOMAIN), 7) == Answer(NXDOMAIN)


def test_a_response_to_another_question_is_none() -> None:
    with pytest.raises(ValueError, match="another question"):
        selftest.answered(response(LISTED), 8)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fall_over(noise: bytes) -> None:
    for packet in (noise, struct.pack("!6H", 7, 0x8180, 1, 3, 0, 0) + noise):
        try:
            selftest.answered(packet, 7)
        except ValueError:
            continue


@given(st.integers(0, 90))
def test_a_response_that_is_cut_short_is_none(length: int) -> None:
    whole = response(LISTED, "127.0.0.2")
    if length < len(whole):
        with pytest.raises(ValueError, match=r"cut short|packed"):
            selftest.answered(whole[:length], 7)

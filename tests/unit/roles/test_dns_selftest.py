"""The test of block lists as it runs on a gateway: its judgement, and the packets that it reads."""

import struct
from collections.abc import Mapping

import dns.message
import dns.rrset
import pytest
from dns.rcode import Rcode
from hypothesis import given
from hypothesis import strategies as st

from roles.dns import selftest
from roles.dns.selftest import NOERROR, NXDOMAIN, Answer, Declared

SERVFAIL = 2
LISTED = "2.0.0.127.bl.example.org"
NEVER = "1.0.0.127.bl.example.org"
GOOD = {LISTED: Answer(NOERROR, ("127.0.0.2",)), NEVER: Answer(NXDOMAIN)}


def entry(*, allows: bool = False, name: str = "one") -> Declared:
    counted = tuple(frozenset(each) for each in ({127}, {0}, {0}, set(range(2, 12))))
    return Declared(id=name, zone="bl.example.org", test="127.0.0.2", allows=allows, counted=counted)


def failing(answers: Mapping[str, Answer], *, allows: bool = False) -> str:
    return selftest.failing(entry(allows=allows), lambda name: answers[name])


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
    text = selftest.rendered(
        [entry(), entry(name="two"), entry(name="fine")], {"one": "why: so", "two": "too"}
    )
    assert selftest.out_of_service(text) == {"one": "why: so", "two": "too"}
    zones = [[*line.split('"')[1::2], line.split()[-1]] for line in text.splitlines() if "local-zone" in line]
    assert zones == [
        ["bl.example.org.", "always_nxdomain"],
        [f"{LISTED}.", "always_transparent"],
        [f"{NEVER}.", "always_transparent"],
    ]
    assert selftest.out_of_service(selftest.rendered([entry()], {})) == {}


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

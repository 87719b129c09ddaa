"""Properties of decide(): any configuration, any findings, any recipients, any history of failures."""

from collections import Counter
from datetime import datetime
from typing import Any, Final

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filterd.config import Config, Group
from filterd.config.actions import step
from filterd.disposition import Attempt, Disposition
from filterd.findings import Finding, Verdict
from filterd.message import Envelope
from filterd.pipeline import Report, StageResult
from filterd.policy import PRECEDENCE, PRECISION, counted, decide, direction, explain, settled
from filterd.policy.chains import chain_of
from filterd.policy.groups import meaning, meeting
from filterd.stages import ORDER

NAMES: Final = tuple(verdict.value.replace("-", "_") for verdict in PRECEDENCE)
STEPS: Final = (
    "copy", "archive", "forward soc@example.net", "notify admin", "notify recipient sender", "tag", "tag subject",
    "stamp a", "stamp b", "clean", "delete", "delete notice", "rename", "disarm", "move", "ignore", "reject",
    "discard", "tempfail",
)  # fmt: skip
RULES: Final = (
    "virus.signature", "virus.macros", "virus.unavailable", "html.form", "html.smuggling", "content.x", "attachment.extension",
)  # fmt: skip
PEOPLE: Final = ("a@example.org", "b@example.org", "c@example.net")

steps = st.lists(st.sampled_from(STEPS), max_size=16)
modes = st.dictionaries(st.sampled_from(RULES), st.sampled_from(["on", "warn", "off"]), max_size=3)
parts = st.sampled_from(["", "1", "1.1", "1.2", "1.2.1", "1.10"])


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "name": draw(st.sampled_from(["g", "h", "i"])),
        "recipients": draw(st.lists(st.sampled_from([*PEOPLE, "@example.org"]), max_size=2)),
        "direction": draw(st.sampled_from(["any", "in", "out"])),
        "times": draw(st.lists(st.sampled_from(["Mon-Fri 08:00-18:00", "22:00-06:00", "Sun"]), max_size=1)),
        "chains": draw(st.dictionaries(st.sampled_from(NAMES), steps, max_size=3)),
        "rules": draw(modes),
    }


@st.composite
def configs(draw: st.DrawFn) -> Config:
    given_ = {
        "policy": {
            "precision": draw(st.sampled_from(list(PRECISION))),
            "internal_networks": draw(st.sampled_from([[], ["192.0.2.0/24"]])),
            "chains": draw(st.dictionaries(st.sampled_from(NAMES), steps.filter(bool), max_size=len(NAMES))),
        },
        "group": draw(st.lists(groups(), max_size=3)),
        "content": [{"name": "x", "pattern": "x", "direction": draw(st.sampled_from(["any", "in", "out"]))}],
        "rules": draw(modes),
        "html": draw(
            st.dictionaries(
                st.sampled_from(["forms", "scripts"]), st.sampled_from(["allow", "disarm", "strip"])
            )
        ),
        "notify": {"stamps": {"a": "one", "b": "two"}, "admin": "root@example.org"},
    }
    return msgspec.convert(given_, Config)


findings = st.builds(
    Finding,
    stage=st.just("virus"),
    verdict=st.sampled_from(Verdict),
    rule=st.sampled_from(RULES),
    part=parts,
    score=st.none() | st.floats(-10, 30),
)
reports = st.builds(
    lambda found, ran: Report(
        results=tuple(
            StageResult(stage=one, milliseconds=0.0, findings=tuple(found) if number == 0 else ())
            for number, one in enumerate(ran)
        )
    ),
    st.lists(findings, max_size=5),
    st.just([stage.id for stage in ORDER])
    | st.lists(st.sampled_from([stage.id for stage in ORDER]), unique=True),
)
envelopes = st.builds(
    Envelope,
    client_address=st.sampled_from([b"192.0.2.1", b"198.51.100.1", b"unknown", b""]),
    sender=st.sampled_from([b"<>", b"<s@sender.example>"]),
    recipients=st.lists(st.sampled_from([f"<{one}>".encode() for one in PEOPLE]), max_size=4)
    | st.lists(st.binary(max_size=12), max_size=4),
)
attempts = st.builds(
    Attempt,
    chain=st.sampled_from([*NAMES, "html"]),
    action=st.sampled_from(["clean", "delete", "delete notice", "rename", "disarm"]),
    parts=st.lists(parts, max_size=2).map(tuple),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31))  # noqa: DTZ001 - the gateway's own clock


def check_shape(made: tuple[Disposition, ...], envelope: Envelope) -> None:
    """Each recipient in exactly one disposition, one answer, and nothing but "deliver" carries edits."""
    assert Counter(who for each in made for who in each.recipients) == Counter(envelope.recipients)
    assert len(made) == 1 or all(each.recipients for each in made)
    fates = {each.fate for each in made}
    assert not fates & {"reject", "tempfail"} or len(fates) == 1
    for each in made:
        assert each.fate == "deliver" or not (each.rewritten or each.tags or each.subject or each.attempts)
        assert each.fate != "tempfail" or not each.sides
        assert (
            each.fate == each.wanted
            or (each.wanted, each.fate) == ("reject", "move")
            or each.fate == "tempfail"
        )


def delivers(verdict: Verdict, fitting_groups: tuple[Group, ...], config: Config) -> bool:
    """Whether a class may end in delivery at all: only through `ignore` or an attempt."""
    chain = chain_of(verdict, fitting_groups, config)[2]
    return any(one.name == "ignore" or one.sort == "attempt" for one in map(step, chain))


@settings(max_examples=400, deadline=None)
@given(configs(), reports, envelopes, st.frozensets(attempts, max_size=6), moments)
@example(Config(), Report(results=()), Envelope(), frozenset(), datetime(2026, 1, 1))  # noqa: DTZ001 - as above
def test_each_recipient_has_exactly_one_fate_and_none_gets_what_no_chain_lets_pass(
    config: Config, report: Report, envelope: Envelope, failed: frozenset[Attempt], now: datetime
) -> None:
    made = decide(report, envelope, config, now=now, failed=failed)
    check_shape(made, envelope)
    way = direction(envelope, config)
    for each in made:
        if each.fate != "deliver":
            continue
        for recipient in each.recipients or (b"",):
            mine = meaning(recipient, meeting(envelope, config, now))
            classes = counted(report.findings, mine, way, config)
            assert all(delivers(verdict, mine, config) for verdict in classes)
            if {stage.id for stage in ORDER} - {result.stage for result in report.results}:
                assert delivers(Verdict.NOT_INSPECTED, mine, config)


@settings(max_examples=200, deadline=None)
@given(configs(), reports, envelopes, moments, st.data())
def test_trying_and_failing_ends(
    config: Config, report: Report, envelope: Envelope, now: datetime, data: st.DataObject
) -> None:
    failed: frozenset[Attempt] = frozenset()
    for _ in range(200):
        made = decide(report, envelope, config, now=now, failed=failed)
        check_shape(made, envelope)
        tried = [each for each in made if each.attempts]
        if not tried:
            return
        unlucky = data.draw(st.sampled_from(tried))
        numbers = data.draw(st.none() | st.lists(st.integers(0, 9), max_size=2))
        blamed = unlucky.blamed(numbers)
        assert blamed
        assert not blamed & failed
        failed |= blamed
    raise AssertionError("it did not end")


@settings(max_examples=200, deadline=None)
@given(configs(), reports, envelopes, moments)
def test_the_explanation_is_the_decision(
    config: Config, report: Report, envelope: Envelope, now: datetime
) -> None:
    made = decide(report, envelope, config, now=now)
    told = explain(report, envelope, config, now=now)
    fates = {who: msgspec.structs.replace(each, recipients=()) for each in made for who in each.recipients}
    for each in told:
        assert each.courses
        for who in each.recipients:
            assert fates[who] == msgspec.structs.replace(each.disposition, recipients=())


@settings(max_examples=200, deadline=None)
@given(configs(), reports, reports, envelopes, moments)
def test_behind_a_settled_report_nothing_found_later_delivers(
    config: Config, report: Report, later: Report, envelope: Envelope, now: datetime
) -> None:
    if not settled(report.findings, envelope, config, now):
        return
    made = decide(report, envelope, config, now=now)
    assert all(each.fate != "deliver" for each in made)
    if any(each.fate == "tempfail" for each in made):
        return  # it comes again
    more = Report(results=report.results + later.results)
    assert all(each.fate != "deliver" for each in decide(more, envelope, config, now=now))


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False))
def test_precision_is_monotone(score: float) -> None:
    order = [Verdict.CLEAN, Verdict.BULK, Verdict.SPAM]
    found = Finding(stage="spam", verdict=Verdict.SPAM, rule="spam.score", score=score)
    seen = []
    for level in PRECISION:
        config = msgspec.convert({"policy": {"precision": level}}, Config)
        seen.append(order.index(next(iter(counted((found,), (), "in", config)), Verdict.CLEAN)))
    assert seen == sorted(seen)

import asyncio
from itertools import product

import pytest

from filterd import actions, pipeline
from filterd.config import Choice, ClamdSettings, Config, MilterSettings, PolicySettings, SpamdSettings
from filterd.errors import ScannerDownError
from filterd.log import Log
from filterd.message import Envelope, Message, Spool
from filterd.milter import replies as r
from filterd.pipeline import Report, StageResult
from filterd.policy import PRECEDENCE, Disposition, choices, decide
from filterd.scanners.engines import Engines, connect
from filterd.stages import ORDER, Finding, Stage, Verdict

WHO = (b"<a@x>", b"<b@x>")


def finding(verdict: Verdict, rule: str = "", score: float | None = None, stage: str = "virus") -> Finding:
    return Finding(stage=stage, verdict=verdict, rule=rule or f"{stage}.{verdict}", score=score)


def report(*findings: Finding, ran: tuple[str, ...] = ("virus", "spam")) -> Report:
    return Report(
        results=tuple(
            StageResult(stage=one, milliseconds=1.0, findings=tuple(f for f in findings if f.stage == one))
            for one in ran
        )
    )


@pytest.mark.parametrize(
    ("found", "verdict", "action"),
    [
        ((), Verdict.CLEAN, "accept"),
        ((finding(Verdict.INFECTED),), Verdict.INFECTED, "reject"),
        ((finding(Verdict.OVER_LIMIT),), Verdict.OVER_LIMIT, "reject"),
        ((finding(Verdict.NOT_INSPECTED),), Verdict.NOT_INSPECTED, "tempfail"),
        ((finding(Verdict.SPAM, score=9.99, stage="spam"),), Verdict.CLEAN, "accept"),
        ((finding(Verdict.SPAM, score=10.0, stage="spam"),), Verdict.SPAM, "reject"),
        ((finding(Verdict.NOT_INSPECTED), finding(Verdict.INFECTED)), Verdict.INFECTED, "reject"),
        (
            (finding(Verdict.NOT_INSPECTED), finding(Verdict.SPAM, score=3.0, stage="spam")),
            Verdict.NOT_INSPECTED,
            "tempfail",
        ),
        ((finding(Verdict.CLEAN),), Verdict.CLEAN, "accept"),
    ],
)
def test_the_table(found: tuple[Finding, ...], verdict: Verdict, action: str) -> None:
    (one,) = decide(report(*found), WHO, Config())
    assert (one.verdict, one.action, one.recipients) == (verdict, action, WHO)


@pytest.mark.parametrize("ran", [(), ("virus",), ("spam",)])
def test_a_stage_that_did_not_run_never_makes_clean(ran: tuple[str, ...]) -> None:
    (one,) = decide(report(ran=ran), WHO, Config())
    assert one.verdict is Verdict.NOT_INSPECTED
    assert one.action == "tempfail"


def test_a_class_that_passes_does_not_hide_one_that_does_not() -> None:
    config = Config(policy=PolicySettings(spam="accept"))
    found = (finding(Verdict.SPAM, score=99.0, stage="spam"), finding(Verdict.NOT_INSPECTED))
    (one,) = decide(report(*found), WHO, config)
    assert one.verdict is Verdict.NOT_INSPECTED


def test_every_class_has_a_place_and_an_action() -> None:
    assert set(PRECEDENCE) | {Verdict.CLEAN} == set(Verdict) == set(choices(Config()))


@pytest.mark.parametrize(
    ("verdict", "action"),
    list(product(PRECEDENCE, ("reject", "tempfail"))),
    ids=str,
)
def test_every_refusal_is_a_reply_of_its_class_that_names_rule_and_id(
    verdict: Verdict, action: Choice
) -> None:
    made = actions.replies(
        (Disposition(recipients=WHO, verdict=verdict, action=action, rule="virus.signature"),),
        b"4XyZ",
        add_header=True,
    )
    (reply,) = made
    assert isinstance(reply, r.ReplyCode)
    assert reply.status[0] == reply.enhanced[0] == {"reject": "5", "tempfail": "4"}[action]
    assert reply.lines[0].endswith("[virus.signature] id=4XyZ")


def test_the_words_that_the_issue_fixes() -> None:
    def text(verdict: Verdict, rule: str) -> str:
        config = Config()
        one = Disposition(recipients=WHO, verdict=verdict, action=choices(config)[verdict], rule=rule)
        return actions.reply_text(actions.replies((one,), b"4XyZ", add_header=False)[-1])

    assert (
        text(Verdict.INFECTED, "virus.signature")
        == "550 5.7.1 Message refused: virus [virus.signature] id=4XyZ"
    )
    assert text(Verdict.SPAM, "spam.score").startswith("550 5.7.1 ")
    assert text(Verdict.OVER_LIMIT, "size.limit").startswith("552 5.3.4 ")
    assert text(Verdict.NOT_INSPECTED, "virus.unavailable").startswith("451 4.7.1 ")


def test_clean_mail_is_not_touched_unless_told_so() -> None:
    clean = (Disposition(recipients=WHO, verdict=Verdict.CLEAN, action="accept"),)
    assert actions.replies(clean, b"1", add_header=False) == (r.Continue(),)
    assert actions.replies(clean, b"1", add_header=True) == (
        r.InsertHeader(0, b"X-Bastide-Verdict", b"clean"),
        r.Continue(),
    )


def test_the_strictest_recipient_decides_as_a_milter_answers_once() -> None:
    mixed = (
        Disposition(recipients=WHO[:1], verdict=Verdict.CLEAN, action="accept"),
        Disposition(recipients=WHO[1:], verdict=Verdict.SPAM, action="reject", rule="spam.score"),
    )
    assert isinstance(actions.replies(mixed, b"1", add_header=False)[-1], r.ReplyCode)


@pytest.mark.parametrize("queue_id", [None, b"", b"4X\r\n250 ok", b"%s", b"x" * 33])
def test_a_strange_queue_id_does_not_reach_the_reply(queue_id: bytes | None) -> None:
    assert actions.text_id(queue_id) == "none"


# --- pipeline


def examined(*stages: Stage, seconds: float = 5.0, size: int = 10) -> Report:
    async def run() -> Report:
        message = Message(Envelope(), Spool("/nonexistent", 10**6), max_bytes=100)
        try:
            message.add_body(b"x" * size)
            return await pipeline.examine(message, none(), stages, seconds=seconds)
        finally:
            message.close()

    return asyncio.run(run())


def none() -> Engines:
    nowhere = Config(
        clamd=ClamdSettings(socket="/nonexistent/c"), spamd=SpamdSettings(socket="/nonexistent/s")
    )
    return connect(nowhere, Log(-1), workers=1)


def stage(
    name: str, cost: int, *found: Finding, raises: Exception | None = None, seconds: float = 0.0
) -> Stage:
    async def examine(_: Message, __: Engines) -> tuple[Finding, ...]:
        await asyncio.sleep(seconds)
        if raises:
            raise raises
        return found

    return Stage(id=name, title="t", why="w", cost=cost, examine=examine)


def test_cheapest_first_and_a_decisive_finding_ends_it() -> None:
    seen = examined(
        stage("dear", 9), stage("cheap", 1), stage("middle", 5, finding(Verdict.INFECTED, stage="middle"))
    )
    assert [result.stage for result in seen.results] == ["cheap", "middle"]


def test_a_score_does_not_end_it() -> None:
    seen = examined(stage("a", 1, finding(Verdict.SPAM, score=99.0)), stage("b", 2))
    assert [result.stage for result in seen.results] == ["a", "b"]


@pytest.mark.parametrize("error", [ScannerDownError("down"), OSError(28, "No space left"), TimeoutError()])
def test_a_stage_that_fails_is_not_inspected(error: Exception) -> None:
    seen = examined(stage("a", 1, raises=error), stage("b", 2))
    assert [(one.verdict, one.rule) for one in seen.findings] == [(Verdict.NOT_INSPECTED, "a.unavailable")]
    assert [result.stage for result in seen.results] == ["a"]


def test_a_stage_that_is_late_is_not_inspected() -> None:
    (late,) = examined(stage("a", 1, seconds=5.0), seconds=0.05).findings
    assert late.verdict is Verdict.NOT_INSPECTED
    assert late.detail.startswith("no result in time")


def test_a_message_beyond_the_limit_is_over_limit_and_not_scanned() -> None:
    seen = examined(stage("a", 1), size=101)
    assert [(one.verdict, one.rule) for one in seen.findings] == [(Verdict.OVER_LIMIT, "size.limit")]
    (one,) = decide(seen, WHO, Config())
    assert one.verdict is Verdict.OVER_LIMIT


@pytest.mark.parametrize(
    ("longest", "count", "rule"),
    [(1000, 1, None), (1024, 1, None), (1025, 1, "size.header"), (1000, 5, None), (1000, 6, "size.header")],
)
def test_a_header_that_an_mta_may_have_cut_is_over_limit(longest: int, count: int, rule: str | None) -> None:
    bounds = MilterSettings(max_header_bytes=1024, max_all_headers_bytes=5120)
    message = Message(Envelope(), Spool("/nonexistent", 10**6), max_bytes=10**6)
    for _ in range(count):
        message.add_header(b"X", b"y" * (longest - len(b"X:\r\n")))
    found = pipeline.beyond_bounds(message, bounds)
    assert (found and found.rule) == rule
    assert found is None or found.verdict is Verdict.OVER_LIMIT
    message.close()


def test_the_bound_of_a_header_is_below_where_postfix_was_seen_to_cut() -> None:
    assert MilterSettings().max_header_bytes < 60_000


def test_engines_that_are_down_make_not_inspected_not_clean() -> None:
    (one,) = decide(examined(*ORDER), WHO, Config())
    assert (one.verdict, one.rule) == (Verdict.NOT_INSPECTED, "virus.unavailable")


def test_stages_are_complete_records() -> None:
    assert len({one.id for one in ORDER}) == len(ORDER)
    assert [one.cost for one in ORDER] == sorted(one.cost for one in ORDER)
    assert all(one.title and one.why for one in ORDER)

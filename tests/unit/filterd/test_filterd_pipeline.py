"""The pipeline with real parse workers (whose parsers do as the message says) and engines on sockets."""

import asyncio
import base64
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from filterd import pipeline
from filterd.anatomy import Anatomy, Leaf
from filterd.config import (
    Bounds,
    ClamdSettings,
    Config,
    ContentRule,
    ExecScanner,
    MilterSettings,
    SpamdSettings,
)
from filterd.errors import ScannerDownError
from filterd.findings import Finding, Rule, Verdict
from filterd.log import Log
from filterd.message import Envelope, Message, Spool
from filterd.parse.dissection import Dissection
from filterd.parse.pool import ParsePool
from filterd.pipeline import Report
from filterd.scanners.engines import Engines, connect
from filterd.stages import CONTENT, ENGINES, ORDER, Stage, virus
from tests.unit.filterd import engines
from tests.unit.filterd.test_parse_pool import DOUBLE, QUICK

HARMLESS = b"base64:" + base64.b64encode(b"harmless")
HIDDEN = b"base64:" + base64.b64encode(engines.EICAR)


def mail(body: bytes, *, limit: int = 100_000) -> Message:
    message = Message(Envelope(), Spool("/nonexistent", 10**7), max_bytes=limit)
    message.add_body(b"Subject: x\r\n\r\n" + body)
    return message


def config(home: Path, **more: Any) -> Config:
    return Config(
        clamd=ClamdSettings(socket=str(home / "clamd.sock"), timeout_s=15),
        spamd=SpamdSettings(socket=str(home / "spamd.sock"), timeout_s=15),
        parse=QUICK,
        **more,
    )


def examined(
    settings: Config,
    message: Message,
    *,
    seconds: float = 60.0,
    command: tuple[str, ...] | None = DOUBLE,
    **options: Any,
) -> Report:
    async def run() -> Report:
        parts = connect(settings, Log(-1), workers=1)
        made = parts.parse
        if command is not None:
            made = ParsePool(settings, slots=2, log=Log(-1), command=command)
            parts = msgspec.structs.replace(parts, parse=made)
        try:
            return await pipeline.examine(message, parts, seconds=seconds, **options)
        finally:
            await made.close()
            message.close()

    return asyncio.run(run())


@contextmanager
def running(home: Path) -> Iterator[tuple[engines.Clamd, engines.Spamd]]:
    with engines.Clamd(home / "clamd.sock") as clamd, engines.Spamd(home / "spamd.sock") as spamd:
        yield clamd, spamd


def rules(report: Report) -> list[str]:
    return [one.rule for one in report.findings]


# --- the whole way


def test_every_stage_stands_in_the_report_of_a_harmless_message(tmp_path: Path) -> None:
    with running(tmp_path) as (clamd, _):
        report = examined(config(tmp_path), mail(HARMLESS))
    assert [result.stage for result in report.results] == [stage.id for stage in ORDER]
    assert rules(report) == ["spam.score"]
    assert report.anatomy.leaves[0].path == "1.1"
    # The message by descriptor, its content as bytes.
    assert sorted(clamd.commands) == [b"zFILDES\0", b"zINSTREAM\0"]
    assert b"harmless" in clamd.requests


def test_what_only_a_leaf_shows_is_found_there(tmp_path: Path) -> None:
    with running(tmp_path):
        body = b"\r\n--\r\n".join([HARMLESS, HIDDEN, b"other", HIDDEN])
        report = examined(config(tmp_path), mail(body))
    # The same bytes are scanned once, and named wherever they are.
    found = [(one.rule, one.verdict, one.part, one.path) for one in report.findings if one.stage == "virus"]
    assert found == [("virus.signature", Verdict.INFECTED, path, path) for path in ("1.2", "1.4")]
    assert report.findings[-1].name == "16"


def test_the_whole_is_scanned_first_and_then_from_the_outside_inwards(tmp_path: Path) -> None:
    """What clamd has found clean by itself it does not open again where it lies, whatever a signature says of that."""
    with running(tmp_path) as (clamd, _):
        examined(config(tmp_path), mail(b"\r\n--\r\n".join([b"one", b"two", b"three"])))
    assert clamd.requests[0].startswith(b"Subject:")
    assert clamd.requests[1:] == [b"one", b"two", b"three"]
    assert clamd.commands[0] == b"zFILDES\0"


def test_same_bytes_are_scanned_once(tmp_path: Path) -> None:
    with running(tmp_path) as (clamd, _):
        examined(config(tmp_path), mail(b"\r\n--\r\n".join([HARMLESS] * 20)))
    assert len(clamd.requests) == 2


def test_a_great_leaf_goes_by_descriptor(tmp_path: Path) -> None:
    body = b"base64:" + base64.b64encode(engines.EICAR + bytes(1_500_000))
    with running(tmp_path) as (clamd, _):
        report = examined(config(tmp_path), mail(body, limit=10**7))
    assert clamd.commands == [b"zFILDES\0"] * 2
    assert [(one.rule, one.part) for one in report.findings] == [("virus.signature", "1.1")]


def test_what_no_leaf_explains_is_about_the_message(tmp_path: Path) -> None:
    with running(tmp_path):
        message = Message(Envelope(), Spool("/nonexistent", 10**6), max_bytes=10**6)
        message.add_body(b"Subject: " + engines.EICAR + b"\r\n\r\n" + HARMLESS)
        report = examined(config(tmp_path), message)
    (found,) = [one for one in report.findings if one.stage == "virus"]
    assert (found.rule, found.part, found.path) == ("virus.signature", "", "")


def test_every_engine_must_find_it_clean(tmp_path: Path) -> None:
    script = "import sys; sys.exit(b'harmless' in sys.stdin.buffer.read())"
    second = ExecScanner(name="second", command=(sys.executable, "-c", script))
    with running(tmp_path):
        report = examined(config(tmp_path, scanner=(second,)), mail(HARMLESS))
        assert [(one.rule, one.detail, one.part) for one in report.findings] == [
            ("virus.signature", "second", "1.1")
        ]
        broken = ExecScanner(name="second", command=(sys.executable, "-c", "raise SystemExit(9)"))
        report = examined(config(tmp_path, scanner=(broken,)), mail(HIDDEN))
    # One that fails does not hide what the other finds.
    found = {(one.rule, one.verdict) for one in report.findings}
    assert found == {
        ("virus.signature", Verdict.INFECTED),
        ("virus.unavailable", Verdict.NOT_INSPECTED),
    }


@pytest.mark.parametrize(
    ("name", "verdict", "rule"),
    [
        ("Win.Test.EICAR_HDB-1", Verdict.INFECTED, "virus.signature"),
        ("Heuristics.Trojan.Something", Verdict.INFECTED, "virus.signature"),
        ("Heuristics.Encrypted.Zip", Verdict.ENCRYPTED, "virus.encrypted"),
        ("Heuristics.OLE2.ContainsMacros.VBA", Verdict.SUSPICIOUS, "virus.macros"),
        ("Heuristics.PDF.ObfuscatedNameObject", Verdict.SUSPICIOUS, "virus.obfuscated"),
        ("Heuristics.Broken.Executable", Verdict.SUSPICIOUS, "virus.broken"),
        ("Heuristics.Phishing.Email.SpoofedDomain", Verdict.SUSPICIOUS, "virus.phishing"),
        ("Heuristics.Structured.CreditCardNumber", Verdict.SUSPICIOUS, "virus.structured"),
        ("PUA.Win.Tool", Verdict.SUSPICIOUS, "virus.unwanted"),
        ("Heuristics.Limits.Exceeded.MaxFiles", Verdict.OVER_LIMIT, "virus.limit"),
    ],
)
def test_what_clamd_reports_has_a_class(tmp_path: Path, name: str, verdict: Verdict, rule: str) -> None:
    with running(tmp_path) as (clamd, _):
        clamd.answer = b"stream: " + name.encode() + b" FOUND\0"
        report = examined(config(tmp_path), mail(HARMLESS))
    (found,) = [one for one in report.findings if one.stage == "virus"]
    assert (found.verdict, found.rule, found.detail, found.part) == (verdict, rule, name, "1.1")


def test_every_rule_that_an_engine_stage_reports_is_documented() -> None:
    for stage in ENGINES:
        assert f"{stage.id}.unavailable" in {rule.id for rule in stage.rules}


def test_contents_are_let_go_before_the_spam_engine_is_asked(tmp_path: Path) -> None:
    seen: list[int] = []

    async def look(_: Message, __: Engines, dissection: Dissection) -> tuple[Finding, ...]:
        seen.append(len(dissection.contents))
        return ()

    probes = [Stage(id="a", title="t", why="w", cost=cost, rules=(), examine=look) for cost in (1, 9)]
    with running(tmp_path):
        examined(config(tmp_path), mail(HARMLESS), stages=(*probes, ENGINES[0]))
    assert seen == [1, 0]


def test_thousands_of_hits_are_named_in_no_time() -> None:
    leaves = tuple(Leaf(path=f"1!{n}", digest=str(n), names=("x" * 1000,)) for n in range(5000))
    hits = [(number, virus.classify("Some.Malware"), "Some.Malware") for number in range(5000)]
    begun = time.monotonic()
    found = list(virus._named(hits, leaves))
    assert time.monotonic() - begun < 1
    assert [one.path for one in found] == [leaf.path for leaf in leaves]
    assert {len(one.name) for one in found} == {200}


# --- failures


@pytest.mark.parametrize("body", [b"abort", b"hang", b"exit 0"])
def test_a_message_that_kills_its_parser_is_not_inspected(tmp_path: Path, body: bytes) -> None:
    with running(tmp_path) as (clamd, _):
        report = examined(config(tmp_path), mail(body))
    assert [(one.stage, one.rule, one.verdict) for one in report.findings] == [
        ("parse", "parse.unavailable", Verdict.NOT_INSPECTED)
    ]
    assert [result.stage for result in report.results] == ["lists", "rate", "parse"]
    assert clamd.requests == []


def test_where_that_settles_nothing_the_engines_are_asked_all_the_same(tmp_path: Path) -> None:
    with running(tmp_path) as (clamd, _):
        report = examined(config(tmp_path), mail(b"abort"), settled=lambda _: False)
    assert rules(report) == ["parse.unavailable", "spam.score"]
    assert len(clamd.requests) == 1


@pytest.mark.parametrize("text", [b"virus virus.signature", b"limit limit.x\r\n", b"content content.x\nY"])
def test_a_parse_worker_cannot_make_up_rules(tmp_path: Path, text: bytes) -> None:
    with running(tmp_path):
        report = examined(config(tmp_path), mail(b"finding " + text))
    if rules(report)[0] != "parse.unavailable":
        assert rules(report)[0] in {rule.id for stage in CONTENT for rule in stage.rules} | {"content.x"}


def test_a_finding_of_a_content_stage_stands_there(tmp_path: Path) -> None:
    with running(tmp_path):
        report = examined(config(tmp_path), mail(b"finding content content.own-rule"))
    assert {result.stage: len(result.findings) for result in report.results}["content"] == 1


def test_content_rules_that_take_too_long_are_stopped_within_the_sandbox(tmp_path: Path) -> None:
    """By its real parse worker: a killed one would be told to come again, each time with the same end."""
    rule = ContentRule(name="slow", pattern="x.*.*y")
    with running(tmp_path):
        settings = msgspec.structs.replace(config(tmp_path, content=(rule,)), parse=Bounds(seconds=2))
        report = examined(settings, mail(b"x" * 90_000), command=None)
    assert [(one.rule, one.verdict) for one in report.findings if one.stage == "limit"] == [
        ("limit.content-time", Verdict.OVER_LIMIT)
    ]
    assert not [one for one in report.findings if one.verdict is Verdict.NOT_INSPECTED]


def test_whom_a_list_refuses_is_not_even_taken_apart(tmp_path: Path) -> None:
    refused = Finding(stage="lists", verdict=Verdict.BANNED, rule="list.reject")
    with running(tmp_path) as (clamd, _):
        report = examined(
            config(tmp_path),
            mail(b"abort"),
            listed=lambda _: (refused,),
            settled=lambda report: bool(rules(report)),
        )
    assert [result.stage for result in report.results] == ["lists", "rate"]
    assert not clamd.requests


def test_lists_are_asked_again_once_the_author_is_known(tmp_path: Path) -> None:
    asked: list[Anatomy] = []

    def listed(anatomy: Anatomy) -> tuple[Finding, ...]:
        asked.append(anatomy)
        return ()

    with running(tmp_path):
        report = examined(config(tmp_path), mail(HARMLESS), listed=listed)
    assert asked == [Anatomy(), report.anatomy]


def test_a_clamd_that_is_down_is_asked_once_a_message(tmp_path: Path) -> None:
    with engines.Spamd(tmp_path / "spamd.sock"):
        report = examined(config(tmp_path), mail(b"\r\n--\r\n".join(b"%d" % n for n in range(30))))
    found = [one for one in report.findings if one.stage == "virus"]
    assert {(one.rule, one.verdict) for one in found} == {("virus.unavailable", Verdict.NOT_INSPECTED)}
    assert len(found) <= 3


# --- order, bounds, deadline


def stage(name: str, cost: int, *, raises: Exception | None = None, seconds: float = 0.0) -> Stage:
    async def examine(_: Message, __: Engines, ___: Dissection) -> tuple[Finding, ...]:
        await asyncio.sleep(seconds)
        if raises:
            raise raises
        return ()

    return Stage(id=name, title="t", why="w", cost=cost, rules=(), examine=examine)


def ran(report: Report) -> list[str]:
    return [result.stage for result in report.results][2 + len(CONTENT) :]  # "lists" and "rate" are the first


def test_cheapest_first(tmp_path: Path) -> None:
    stages = (stage("dear", 9), stage("cheap", 1))
    assert ran(examined(config(tmp_path), mail(b"x"), stages=stages)) == ["cheap", "dear"]


@pytest.mark.parametrize("error", [ScannerDownError("down"), OSError(28, "No space left"), TimeoutError()])
def test_a_stage_that_fails_is_not_inspected(tmp_path: Path, error: Exception) -> None:
    report = examined(config(tmp_path), mail(b"x"), stages=(stage("a", 1, raises=error), stage("b", 2)))
    assert [(one.verdict, one.rule) for one in report.findings] == [(Verdict.NOT_INSPECTED, "a.unavailable")]
    assert ran(report) == ["a"]


def test_a_stage_that_is_late_is_not_inspected(tmp_path: Path) -> None:
    (late,) = examined(config(tmp_path), mail(b"x"), stages=(stage("a", 1, seconds=9),), seconds=1).findings
    assert late.verdict is Verdict.NOT_INSPECTED
    assert late.detail.startswith("no result in time")


def test_a_message_beyond_the_limit_is_not_looked_at(tmp_path: Path) -> None:
    report = examined(config(tmp_path), mail(b"x" * 200, limit=100))
    assert [(one.stage, one.verdict, one.rule) for one in report.findings] == [
        ("limit", Verdict.OVER_LIMIT, "limit.message")
    ]
    assert [result.stage for result in report.results] == ["lists", "rate", "limit"]


@pytest.mark.parametrize(
    ("longest", "count", "rule"),
    [(1000, 1, None), (1024, 1, None), (1025, 1, "limit.header"), (1000, 5, None), (1000, 6, "limit.header")],
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


def test_stages_are_complete_records() -> None:
    assert len({one.id for one in ORDER}) == len(ORDER)
    every: list[Rule] = [rule for one in ORDER for rule in one.rules]
    assert len({rule.id for rule in every}) == len(every)
    assert all(rule.id.startswith(one.id.removesuffix("s")) for one in ORDER for rule in one.rules)
    assert all(one.title and one.why for one in ORDER)
    assert all((one.examine is not None) == (one in ENGINES) for one in ORDER)
    assert [one.cost for one in ENGINES] == sorted(one.cost for one in ENGINES)

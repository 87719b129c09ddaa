"""Ordinary mail passes: clean, in the time and form in which it came."""

import time
from datetime import datetime

import pytest

from filterd.config import Config
from filterd.message import Envelope
from filterd.pipeline import Report, StageResult
from filterd.policy import decide
from filterd.stages import ORDER

from .ordinary import MESSAGES, NAMED
from .reading import read

_NOW = datetime.fromisoformat("2026-11-21T10:00:00")
_ENVELOPE = Envelope(sender=b"a@sender.example", recipients=[b"b@bastide.example"])


@pytest.mark.parametrize(
    ("kind", "name", "raw"), MESSAGES, ids=[f"{kind}-{name}" for kind, name, _ in MESSAGES]
)
def test_ordinary_mail_is_delivered_as_it_came(kind: str, name: str, raw: bytes) -> None:
    begun = time.process_time()
    anatomy, _ = read(raw)
    assert time.process_time() - begun < 2
    results = tuple(
        StageResult(
            stage=stage.id,
            milliseconds=0.0,
            findings=tuple(found for found in anatomy.findings if found.stage == stage.id),
        )
        for stage in ORDER
    )
    (made,) = decide(Report(results=results, anatomy=anatomy), _ENVELOPE, Config(), now=_NOW)
    expected = NAMED.get((kind, name), "clean")
    assert (made.verdict, made.fate) == (expected, "deliver"), made.rule
    assert not made.order.edits
    assert not made.order.stamp
    assert bool(made.tags) is (expected != "clean")


def test_there_are_enough() -> None:
    assert len(MESSAGES) >= 60
    assert len({(kind, name) for kind, name, _ in MESSAGES}) == len(MESSAGES)

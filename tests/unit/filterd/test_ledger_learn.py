"""Teaching SpamAssassin: the request of TELL, its answers, and what is written down."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from filterd.config import Config, SpamdSettings
from filterd.errors import ScannerAnswerError, ScannerDownError
from filterd.ledger import schema as s
from filterd.ledger.blobs import Blobs
from filterd.ledger.learn import learn
from filterd.ledger.roles import RefusedError
from filterd.log import Log
from filterd.scanners.spamd import Spamd, telling, told
from tests.unit.filterd import engines
from tests.unit.filterd.entries import ALICE, CONTENT, OTTO, quarantined, write

LEARNT = b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\nContent-length: 2\r\n\r\n\r\n"
KNOWN = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 2\r\n\r\n\r\n"
NOT_ALLOWED = (
    b"SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled, set the --allow-tell switch.\r\n"
)


def test_the_request_is_that_of_the_protocol() -> None:
    assert telling(12, "", spam=True) == (
        b"TELL SPAMC/1.5\r\nContent-length: 12\r\nMessage-class: spam\r\nSet: local\r\n\r\n"
    )
    assert b"User: amy\r\n" in telling(1, "amy", spam=False)
    assert b"Message-class: ham\r\n" in telling(1, "amy", spam=False)


def test_the_answer_says_whether_it_was_new() -> None:
    assert told(LEARNT)
    assert told(LEARNT.replace(b"local", b"local,remote"))
    assert not told(KNOWN)
    assert not told(LEARNT.replace(b"DidSet: local", b"DidRemove: local"))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (NOT_ALLOWED, "start it with --allow-tell"),
        (b"SPAMD/1.0 76 Bad header line\r\n", "spamd answered SPAMD/1.0 76"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "spamd answered HTTP"),
    ],
)
def test_an_answer_that_is_none_is_an_error(answer: bytes, why: str) -> None:
    with pytest.raises(ScannerAnswerError, match=why):
        told(answer)


def test_no_answer_is_an_error() -> None:
    with pytest.raises(ScannerDownError):
        told(b"")


def test_an_entry_is_learnt_with_its_trace_and_the_act_is_written_down(
    ledger: Engine, tmp_path: Path
) -> None:
    one = quarantined(tmp_path)
    write(ledger, one)
    with engines.Spamd(tmp_path / "spamd.sock") as spamd:
        spamd.answer = LEARNT

        def teach(*, spam: bool) -> bool:
            teachable = Spamd(SpamdSettings(socket=str(tmp_path / "spamd.sock")), slots=1, log=Log(-1))
            return asyncio.run(
                learn(
                    ledger,
                    Blobs(tmp_path / "store"),
                    Config(),
                    teachable,
                    kept_id=one.kept[0].id,
                    actor=ALICE,
                    spam=spam,
                )
            )

        assert teach(spam=False)
        spamd.answer = KNOWN
        assert not teach(spam=True)
        spamd.answer = NOT_ALLOWED
        with pytest.raises(ScannerAnswerError, match="--allow-tell"):
            teach(spam=True)
    assert b"Message-class: ham" in spamd.requests[0]
    assert spamd.requests[0].endswith(CONTENT)
    assert b"Received: from mail.sender.example (mail.sender.example [198.51.100.9])" in spamd.requests[0]
    with ledger.connect() as connection:
        rows = connection.execute(select(s.EVENTS).order_by(s.EVENTS.c.id)).all()
    assert [(row.action, row.detail) for row in rows] == [("learn-ham", "new"), ("learn-spam", "was known")]


def test_operators_teach_nothing(ledger: Engine, tmp_path: Path) -> None:
    one = quarantined(tmp_path)
    write(ledger, one)
    teachable = Spamd(SpamdSettings(socket=str(tmp_path / "none")), slots=1, log=Log(-1))
    with pytest.raises(RefusedError):
        asyncio.run(
            learn(
                ledger,
                Blobs(tmp_path / "store"),
                Config(),
                teachable,
                kept_id=one.kept[0].id,
                actor=OTTO,
                spam=True,
            )
        )

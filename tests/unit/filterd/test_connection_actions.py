"""The whole daemon carries out what the policy says: over the milter protocol, with real parse workers."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from filterd.config import load
from filterd.ledger import database
from filterd.ledger import schema as s
from filterd.ledger.blobs import Blobs
from filterd.milter import mta as wire
from filterd.milter.commands import EndOfMessage
from filterd.milter.negotiation import Action
from tests.unit.filterd import dialogue
from tests.unit.filterd.daemon import running
from tests.unit.filterd.dialogue import Client
from tests.unit.filterd.engines import EICAR
from tests.unit.filterd.mta import Mta

CLEAN: dict[str, Any] = {"policy.chains": {"infected": ["clean", "reject"]}}
HEAD = ((b"Subject", b" x"), (b"MIME-Version", b" 1.0"), (b"Content-Type", b" multipart/mixed; boundary=b"))
TEXT = b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
BODY = TEXT + b"--b\r\nContent-Type: text/plain; name=x.txt\r\n\r\n" + EICAR + b"\r\n--b--\r\n"


def said(client: Client, *recipients: bytes) -> list[tuple[bytes, bytes]]:
    """The answers to one message, the settling one last."""
    client.begin(recipients or (b"<b@rcpt.example>",))
    client.send(dialogue.content(HEAD, BODY) + wire.macros(EOM, {b"i": b"4XyZ"}) + wire.plain(EOM))
    answers = []
    while True:
        answer = client.answer()
        if answer.code != b"p":
            answers.append((answer.code, answer.payload))
        if answer.final:
            return answers


EOM = EndOfMessage


def test_moved_message_is_in_the_store_when_the_mta_is_told(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"policy.chains": {"infected": ["move"]}}
    with running(tmp_path, **changes) as daemon, daemon.client() as client:
        assert said(client) == [(b"d", b"")]
        engine = database.opened(load(daemon.config).ledger)
        with engine.connect() as connection:
            (kept,) = connection.execute(select(s.KEPT.c.id, s.KEPT.c.digest)).all()
            assert connection.execute(select(s.KEPT_FOR.c.address)).scalars().all() == ["b@rcpt.example"]
        engine.dispose()
        assert b"".join(Blobs(tmp_path / "store").pieces(kept.digest)).endswith(b"\r\n")
        assert daemon.wait_for("carried")[0]["stored"] == [kept.id]
        assert daemon.wait_for("message")[0]["reply"] == "discard"


def test_cleaned_body_is_sent_back(tmp_path: Path) -> None:
    with (
        running(tmp_path, **CLEAN) as daemon,
        daemon.client() as client,
    ):
        assert said(client) == [(b"b", TEXT + b"--b--\r\n"), (b"c", b"")]
        assert (
            client.agreed[1] & ~Action.CHOOSE_MACROS
            == Action.ADD_HEADERS | Action.CHANGE_HEADERS | Action.CHANGE_BODY | Action.DELETE_RECIPIENTS
        )


def test_split_message_goes_two_ways(tmp_path: Path) -> None:
    socket = tmp_path / "inject.sock"
    changes: dict[str, Any] = {
        "policy.chains": {"infected": ["clean", "reject"]},
        "inject": {"socket": str(socket)},
        "[group]": {"name": "lab", "recipients": ["c@rcpt.example"]},
        "group.chains": {"infected": ["ignore"]},
    }
    with Mta(socket) as mta, running(tmp_path, **changes) as daemon, daemon.client() as client:
        assert said(client, b"<b@rcpt.example>", b"<c@rcpt.example>") == [
            (b"-", b"<b@rcpt.example>\0"),
            (b"c", b""),
        ]
        ((sender, recipients, content),) = mta.letters
        assert (sender, recipients) == (b"<a@sender.example>", [b"<b@rcpt.example>"])
        assert content.endswith(TEXT + b"--b--\r\n")
        assert daemon.wait_for("carried")[0]["injected"] == ["250 2.0.0 Ok: queued as 4A1"]


def test_mta_that_refuses_a_needed_action_is_not_served(tmp_path: Path) -> None:
    with running(tmp_path, **CLEAN) as daemon:
        with pytest.raises(ConnectionError), daemon.client(actions=Action.ADD_HEADERS | Action.CHOOSE_MACROS):
            pass
        (event,) = daemon.wait_for("protocol_error")
        assert "does not offer what the configuration needs" in event["why"]

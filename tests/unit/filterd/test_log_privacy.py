"""What a message says stays out of the log, unless the operator asks for it; the ledger has it."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from filterd.config import load
from filterd.ledger import database
from filterd.ledger import schema as s
from filterd.milter import commands as c
from filterd.milter import mta
from tests.unit.filterd import dialogue, engines
from tests.unit.filterd.daemon import running

TOPIC = "Kuendigung von Frau Meier"
RULE: dict[str, Any] = {
    "name": "fraud", "where": ["subject", "body"], "pattern": "Kuendigung.*", "verdict": "spam",
}  # fmt: skip
HEADERS = (
    (b"From", b" a@sender.example"),
    (b"Subject", b" Re: " + TOPIC.encode()),
    (b"MIME-Version", b" 1.0"),
    (b"Content-Type", b" multipart/mixed; boundary=b"),
)
BODY = (
    b'--b\r\nContent-Type: text/html\r\n\r\n<a href="https://kuendigung.example/">https://bank.example/</a>'
    b"<p>" + TOPIC.encode() + b"</p>\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=Kuendigung.exe\r\n\r\n"
    b"MZ\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + engines.EICAR + b"\r\n--b--\r\n"
)


@pytest.mark.parametrize("details", [False, True])
def test_the_log_quotes_a_message_only_where_it_is_asked_to(tmp_path: Path, *, details: bool) -> None:
    changes: dict[str, Any] = {"log": {"details": details}, "[content]": RULE}
    with (
        running(tmp_path, **changes) as daemon,
        daemon.client() as client,
    ):
        client.begin()
        client.send(
            dialogue.content(HEADERS, BODY)
            + mta.macros(c.EndOfMessage, {b"i": b"4XyZ"})
            + mta.plain(c.EndOfMessage)
        )
        assert client.verdict().code == b"y"
        (line,) = daemon.wait_for("message")
        rules = {one["rule"] for one in line["findings"]}
        assert {"content.fraud", "link.mismatch", "attachment.extension", "virus.signature"} <= rules
        told = {one["rule"]: one["detail"] for one in line["findings"]}
        assert ("uendigung" in (tmp_path / "log").read_text()) is details
        assert (told["content.fraud"] == TOPIC) is details
        # An engine's words are not the sender's.
        assert told["virus.signature"].startswith("Test-Signature(")
        engine = database.opened(load(daemon.config).ledger)
        with engine.connect() as connection:
            found = connection.execute(select(s.FINDINGS.c.detail)).scalars().all()
        engine.dispose()
    assert TOPIC in found

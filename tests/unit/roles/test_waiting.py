"""What waits in a queue for long is told in one line, and only that."""

import json
from pathlib import Path

import pytest

from roles.operations import NOTES
from roles.reports import waiting
from roles.reports.waiting import NOTE, Waiting, note_of, of_postfix, of_sendmail

NOW = 1_700_000_000.0
HOUR = 3600.0


def postfix(age: float, *reasons: str, queue: str = "deferred") -> str:
    recipients = [{"address": "a@example.org", "delay_reason": why} for why in reasons] or [
        {"address": "a@example.org"}
    ]
    return json.dumps({"queue_name": queue, "arrival_time": int(NOW - age), "recipients": recipients})


def test_postfix_lists_one_object_a_line() -> None:
    listed = "\n".join([postfix(5 * HOUR, "refused", "later"), postfix(0, queue="hold"), postfix(1)])
    assert list(of_postfix(listed)) == [
        Waiting(NOW - 5 * HOUR, "refused"),
        Waiting(NOW, "on hold"),
        Waiting(NOW - 1, "no reason given"),
    ]
    assert not list(of_postfix(""))


def test_sendmail_queue_files_that_are_whole() -> None:
    text = "V8\nT1700000000\nK1700000100\nN3\nMDeferred: Connection refused by [192.0.2.1]\nS<a@b.c>\n.\n"
    assert of_sendmail(text) == Waiting(NOW, "Deferred: Connection refused by [192.0.2.1]")
    assert of_sendmail(text.replace("MDeferred: Connection refused by [192.0.2.1]\n", "")) == Waiting(
        NOW, "no reason given"
    )
    assert of_sendmail(text.removesuffix(".\n")) is None
    assert of_sendmail("") is None


def test_sendmails_queue_is_all_that_it_has_not_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("qf1", "hf2", "Qf3", "df1", "tf4"):
        (tmp_path / name).write_text("V8\nT1700000000\nMDeferred\nS<a@b.c>\n.\n")
    monkeypatch.setattr(waiting, "QUEUES", (tmp_path,))
    found = sorted(one.why for one in waiting._LISTED["sendmail"]())
    assert found == ["Deferred", "Deferred", f"given up, see {tmp_path}/Qf3"]


def test_only_what_waits_for_long_is_told() -> None:
    waiting = [
        Waiting(NOW - 3 * HOUR, "young"),
        Waiting(NOW - 4 * HOUR, "down"),
        Waiting(NOW - 9 * HOUR, "down"),
        Waiting(NOW - 5 * HOUR, "full"),
    ]
    said = note_of(iter(waiting), NOW, 4)
    assert said.startswith("3 messages wait for 4 hours and more, the oldest since ")
    assert said.endswith("; mostly: down")
    assert not note_of(iter(waiting[:1]), NOW, 4)


@pytest.mark.parametrize("why", ["a\nb", "\x1b[2J", "x" * 5000])
def test_what_another_server_worded_stays_one_short_line(why: str) -> None:
    said = note_of(iter([Waiting(0, why)]), NOW, 4)
    assert said.isprintable()
    assert len(said) < 400


def test_the_note_is_where_the_report_looks() -> None:
    assert str(NOTE.parent) == NOTES

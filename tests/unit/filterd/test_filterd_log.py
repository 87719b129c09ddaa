import os

import msgspec
import pytest

from filterd.log import MAX_LINE, Log, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"<a@x.example>", "<a@x.example>"),
        ("ü@x".encode(), "ü@x"),
        (b'a\r\n{"event":"forged"}', 'a\\r\\n{"event":"forged"}'),
        (b"\x1b[31mred\x00\x7f", "\\x1b[31mred\\x00\\x7f"),
        ("\u202egnp.exe\u2028".encode(), "\\u202egnp.exe\\u2028"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"", ""),
    ],
)
def test_a_peers_bytes_are_shown_harmless(value: bytes, text: str) -> None:
    assert shown(value) == text


def test_a_peers_bytes_are_bounded() -> None:
    for value in (b"x" * 10_000, b"\xff" * 10_000, b"\n" * 300, "ü".encode() * 2000):
        text = shown(value, 100)
        assert text is not None
        assert len(text) == 100
        assert text.endswith("…")
    assert shown(b"x" * 100, 100) == "x" * 100
    assert shown(None) is None


def test_an_event_is_one_line_of_json_whatever_is_in_it() -> None:
    heard, told = os.pipe()
    try:
        log = Log(told)
        log.event("one", text="a\nb\u2028", number=1.5)
        log.event("two", text="x" * MAX_LINE)
        lines = os.read(heard, 65536).decode().split("\n")
    finally:
        os.close(heard)
        os.close(told)
    assert lines[2] == ""
    first, second = (msgspec.json.decode(line) for line in lines[:2])
    assert first["event"] == "one"
    assert first["text"] == "a\nb\u2028"
    assert first["time"].endswith("Z")
    assert second == {"time": second["time"], "event": "two", "error": "the line was too long to log"}


def test_a_closed_log_does_not_stop_mail() -> None:
    Log(-1).event("nobody listens")

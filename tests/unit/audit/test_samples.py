"""The samples: mail that is legal, and made anew each time."""

import email
import re

import pytest

from audit import samples
from audit.probes.mail import _doubled
from audit.samples import EICAR, GTUBE, SAMPLES, Letter

LETTER = Letter(sender="a@sender.example", recipient="b@bastide.example", unique="u1", size_limit=100_000)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_legal_mail(name: str) -> None:
    content = samples.build(name, LETTER)
    assert content.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    assert content.isascii()
    assert b"u1" in content[:1000]
    assert email.message_from_bytes(content)["To"] == "<b@bastide.example>"


@pytest.mark.parametrize("name", SAMPLES)
def test_pieces_are_whole_lines_and_bounded(name: str) -> None:
    for piece in SAMPLES[name].pieces(LETTER):
        assert piece.endswith(b"\r\n")
        assert len(piece) <= 70_000


def test_scanners_will_find_what_they_look_for() -> None:
    assert len(EICAR) == 68
    assert EICAR in samples.build("eicar", LETTER)
    for name in ("eicar-base64", "eicar-zip"):
        (part,) = [
            part
            for part in email.message_from_bytes(samples.build(name, LETTER)).walk()
            if part.get_content_disposition() == "attachment"
        ]
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        assert content == EICAR if name == "eicar-base64" else content.startswith(b"PK")
    assert GTUBE in samples.build("gtube", LETTER)


def test_oversize_is_just_over_the_limit() -> None:
    assert 100_000 < len(samples.build("oversize", LETTER)) <= 100_000 + 80


def test_dots_are_doubled_at_line_starts_only() -> None:
    assert _doubled(b".a\r\n..b\r\nc.d\r\n.\r\n") == b"..a\r\n...b\r\nc.d\r\n..\r\n"

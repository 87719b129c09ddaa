"""Any template filled with anything: a notice keeps its header fields, and values make no new line of a header."""

import re
from pathlib import Path

from hypothesis import strategies as st

from filterd.anatomy import Anatomy
from filterd.carry.heading import Heading, Marks, edits
from filterd.carry.notices import Facts, Notices
from filterd.carry.templates import PLACEHOLDERS, WHICH
from filterd.config import Config, NotifySettings
from filterd.disposition import Disposition, Side
from filterd.findings import Finding, Verdict
from filterd.message import Envelope
from tests.fuzz.driver import SECONDS
from tests.fuzz.invention import invent

_FIELDS = {
    "from", "to", "subject", "date", "message-id", "auto-submitted", "x-auto-response-suppress", "in-reply-to",
    "references", "mime-version", "content-type", "content-transfer-encoding",
}  # fmt: skip
_LINE = re.compile(rb"([!-9;-~]+): ?[^\r\n]*|[ \t]+[^\r\n]*\S[^\r\n]*")

_PIECE = st.sampled_from(
    ("\r\n", "\n", "\r", "\u2028", "\x85", "\0", "Bcc: x@y.example", "\r\n\r\n", "${SUBJECT}", "%HOST%", "=?utf-8?Q?=0D=0A?=",
     "é", "\u202e", "\ud800", "<", ">", "@", ",", ";", '"', "\\", " ", "\t", "x" * 300, "postmaster", ".example")
)  # fmt: skip
_TEXT = st.lists(_PIECE | st.text(max_size=5), max_size=8).map("".join)
_ADDRESS = (
    st.sampled_from((b"<b@rcpt.example>", b"<>"))
    | _TEXT.map(lambda text: b"<a@" + text.encode("utf-8", "replace") + b">")
    | st.binary(max_size=20)
)
_MARK = st.sampled_from(tuple(PLACEHOLDERS)).map(lambda name: f"${{{name}}}")
_TEMPLATE = st.tuples(
    st.lists(_MARK | _PIECE, max_size=4).map("".join), st.lists(_MARK | _PIECE, max_size=9).map("".join)
).map(lambda both: f"Subject: x{both[0]}\n\n{both[1]}")
_FINDING = st.builds(
    Finding,
    stage=st.just("virus"),
    verdict=st.just(Verdict.MALFORMED),
    rule=st.just("virus.signature") | _TEXT,
    detail=_TEXT,
    part=st.just("1.2"),
    name=_TEXT,
)
_FACTS = st.builds(
    Facts,
    envelope=st.builds(Envelope, sender=_ADDRESS, recipients=st.lists(_ADDRESS, max_size=2)),
    anatomy=st.builds(
        Anatomy,
        headers=st.lists(st.tuples(st.sampled_from(("subject", "message-id")), _TEXT), max_size=3).map(tuple),
    ),
    findings=st.just(()),
    host=st.just("mx.example") | _TEXT,
    queue_id=_TEXT,
)
_SIDES = tuple(Side(action="notify", argument=who) for who in ("admin", "recipient", "sender"))
_DISPOSITION = st.builds(
    Disposition,
    recipients=st.lists(_ADDRESS, min_size=1, max_size=3).map(tuple),
    verdict=st.just(Verdict.MALFORMED),
    fate=st.sampled_from(("deliver", "move")),
    wanted=st.just("move"),
    rule=_TEXT,
    findings=st.lists(_FINDING, max_size=3).map(tuple),
    sides=st.just(_SIDES),
)


def _shown(case: object) -> bytes:
    return repr(case).encode("utf-8", "backslashreplace")


def _check_header(content: bytes) -> None:
    """Look at the header as a mail server does: line by line."""
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    head, _, _ = content.partition(b"\r\n\r\n")
    names = []
    for line in head.split(b"\r\n"):
        found = _LINE.fullmatch(line)
        assert found, line
        if found.group(1):
            names.append(found.group(1).decode().lower())
    assert set(names) <= _FIELDS, names
    assert len(names) == len(set(names)), names


def test_notices(tmp_path: Path) -> None:
    settings = NotifySettings(
        admin="soc@gw.example", templates=str(tmp_path), language="en", per_hour=100_000
    )
    (tmp_path / "en").mkdir()

    def check(case: tuple[str, Disposition, Facts]) -> None:
        template, disposition, facts = case
        for which in WHICH:
            (tmp_path / "en" / f"{which}.txt").write_text(template, "utf-8", "replace", newline="")
        notices = Notices(Config(notify=settings))
        letters, _ = notices.letters([disposition], facts)
        assert letters
        for letter in letters:
            _check_header(b"".join(letter.content))
            assert letter.sender == b"<>"
            assert all(re.fullmatch(rb"<[^\0-\x20<>\x7f]+>", one) for one in letter.recipients)
        assert isinstance(notices.deleted(disposition, ("1.2",), facts), str)

    assert invent(st.tuples(_TEMPLATE, _DISPOSITION, _FACTS), check, _shown) > SECONDS


_FIELD = st.tuples(
    st.sampled_from((b"Subject", b"X-Bastide-Tag", b"x-bastide-verdict", b"To")),
    # As the milter has it: folds are bare LF. A hostile MTA peer may leave anything else in.
    st.lists(st.sampled_from((b"\n ", b"\n\t", b"\r", b"\n", b"=?utf-8?Q?a?=", b"\0", b" ", b"word", b"\xff")), max_size=8).map(
        b"".join
    ),
)  # fmt: skip


def test_tags() -> None:
    def check(case: list[tuple[bytes, bytes]]) -> None:
        heading = Heading()
        for name, value in case:
            heading.note(name, value)
        for one in edits(Marks(verdict="spam", tags=("spam a.b",), subject="[SPAM] "), heading):
            assert one.name.isascii()
            if one.value is None:
                continue
            # A fold without words, or a lone CR, may be taken for the end of the header.
            assert b"\r" not in one.value
            assert _loose(case) or not re.search(rb"\n(?![ \t])|\n[ \t]*(\n|\Z)", one.value), one.value

    assert invent(st.lists(_FIELD, max_size=6), check, _shown) > SECONDS


def _loose(case: list[tuple[bytes, bytes]]) -> bool:
    """Whether the message itself came with a line end that is no fold, which no MTA gives."""
    return any(re.search(rb"\n(?![ \t])", value) for _, value in case)

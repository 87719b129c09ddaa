"""What is not looked at has a finding: long texts, passwords that were not tried; each bound by its own id."""

import io
import zipfile
from collections.abc import Callable, Iterator

import pytest

from filterd.config.inspection import Bounds, ContentRule, Inspection
from filterd.findings import Verdict
from filterd.parse import passwords
from filterd.parse.anatomise import anatomise
from filterd.stages import limits
from filterd.stages.links import _MAX_ADDRESSES
from tests.corpus.mail import entity, file_part, mixed, single, text_part
from tests.unit.filterd.test_parse_dos_archives import BOMBS

MIB = 1 << 20
PADDING = b"A line of a log that somebody has pasted into a message.\r\n" * 75_000
MODES = {rule.id: rule.mode for rule in limits.STAGE.rules}
BODY = ContentRule(name="project", pattern="project (heron|osprey)", where=("body",))
SUBJECT = ContentRule(name="subject", pattern="heron", where=("subject",))


def rules(raw: bytes, inspection: Inspection) -> set[str]:
    return {found.rule for found in anatomise(raw, inspection)[0].findings}


def bounded(**bounds: int) -> Bounds:
    return Bounds(**bounds)


def test_a_word_behind_four_megabytes_of_padding_is_seen() -> None:
    mail = single("test", PADDING + b"about project Heron\r\n")
    assert rules(mail, Inspection(content=(BODY,))) == {"content.project"}


def test_a_word_behind_four_megabytes_of_a_page_is_seen() -> None:
    page = (
        b"<html><body><p>" + PADDING.replace(b"\r\n", b"<br>\r\n") + b"<p>about project <b>Heron</b></body>"
    )
    mail = mixed("test", text_part(), entity(page, b"Content-Type: text/html"))
    assert rules(mail, Inspection(content=(BODY,))) == {"content.project"}


def test_a_link_behind_four_megabytes_of_padding_is_seen() -> None:
    mail = single("test", PADDING + b"http://bank.example@192.0.2.1/\r\n")
    assert "link.userinfo" in rules(mail, Inspection())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ((BODY,), "limit.content-text"),
        ((SUBJECT, BODY), "limit.content-text"),
        ((SUBJECT,), "limit.body-text"),
        ((), "limit.body-text"),
    ],
)
def test_text_beyond_the_bound_is_a_finding(content: tuple[ContentRule, ...], expected: str) -> None:
    inspection = Inspection(parse=bounded(text_bytes=MIB), content=content)
    assert rules(single("test", PADDING), inspection) == {expected}
    assert rules(single("test", PADDING[: MIB // 2]), inspection) == set()


def test_the_bound_holds_for_all_texts_together() -> None:
    mail = mixed("test", text_part(b"one\r\n" * 250), text_part(b"two\r\n" * 250))
    inspection = Inspection(parse=bounded(text_bytes=1900), content=(BODY,))
    assert rules(mail, inspection) == {"limit.content-text"}


def test_only_what_a_content_rule_would_have_seen_is_refused() -> None:
    assert (MODES["limit.content-text"], MODES["limit.body-text"]) == ("on", "warn")


def test_the_texts_stay_in_the_worker() -> None:
    assert anatomise(single("test", PADDING), Inspection())[0].texts == ()


def test_a_text_of_many_addresses_is_said_to_be_looked_at_no_further() -> None:
    lines = b"".join(b"http://h%d.example/\r\n" % at for at in range(_MAX_ADDRESSES + 1))
    assert rules(single("test", lines), Inspection()) == {"limit.body-text"}


@pytest.fixture(scope="module")
def locked() -> bytes:
    """Return a zip with one member whose flag says that it is encrypted, which nothing opens."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a.txt", "0123456789abcdef" * 4)
    data = bytearray(file.getvalue())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("words", "most", "cut"),
    [
        (b"password: one1 two2 three3 four4 five5", 3, True),
        (b"password: one1", 20, False),
        (b"nothing is said here", 20, False),
        (b"password: one1 two2", 0, False),
        (b"Good morning to all of you. \r\n" * 40_000, 20, True),
    ],
    ids=["more than are tried", "one", "none", "switched off", "long text"],
)
def test_passwords_that_were_not_tried_are_a_finding(
    locked: bytes, words: bytes, most: int, *, cut: bool
) -> None:
    mail = mixed("test", text_part(words), file_part(locked, b"locked.zip"))
    found = rules(mail, Inspection(parse=bounded(passwords=most)))
    assert "archive.encrypted" in found
    assert ("limit.passwords" in found) is cut
    assert MODES["limit.passwords"] == "warn"


def test_the_passwords_of_a_message_are_worked_out_once(
    locked: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    look = passwords._near_words

    def looked(text: str) -> Iterator[str]:
        asked.append(text)
        return look(text)

    monkeypatch.setattr(passwords, "_near_words", looked)
    files = [file_part(locked + bytes(at), b"%d.zip" % at) for at in range(1, 9)]
    rules(mixed("test", text_part(b"password: one1"), *files), Inspection())
    assert asked == list(dict.fromkeys(asked))


@pytest.mark.parametrize(
    ("bomb", "rule"),
    [
        ("60,000 members", "limit.entries"),
        ("60,000 members, no directory", "limit.entries"),
        ("flat, 10 GB, declared as 100 bytes", "limit.leaf"),
    ],
)
def test_a_bomb_meets_the_bound_that_is_named(bomb: str, rule: str) -> None:
    assert rule in rules(mixed("test", file_part(BOMBS[bomb](), b"a.zip")), Inspection())


def _flat() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros", bytes(8 * MIB))
    return file.getvalue()


def _overlapping() -> bytes:
    """Return a zip whose second member begins within the first one's bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a", bytes(range(256)) * 8)
        made.writestr("b", bytes(range(256)) * 8)
    data = bytearray(file.getvalue())
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


@pytest.mark.parametrize(
    ("build", "bounds", "rule"),
    [
        (_flat, {"ratio": 100, "ratio_from": MIB}, "limit.ratio"),
        (_flat, {"leaf_bytes": MIB}, "limit.leaf"),
        (_flat, {"bytes": MIB}, "limit.bytes"),
        (_overlapping, {}, "limit.overlap"),
    ],
)
def test_each_bound_has_its_id(build: Callable[[], bytes], bounds: dict[str, int], rule: str) -> None:
    anatomy, _ = anatomise(mixed("test", file_part(build(), b"a.zip")), Inspection(parse=bounded(**bounds)))
    found = {one.rule: one.verdict for one in anatomy.findings}
    assert found.get(rule) is Verdict.OVER_LIMIT, found

"""What a parse worker answers is not believed: it has read hostile bytes."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.anatomy import Anatomy, Leaf
from filterd.errors import ScannerError
from filterd.parse import answers, border
from filterd.parse.border import Answer, Place
from filterd.parse.dissection import Dissection
from filterd.parse.lane import Lane


@contextlib.contextmanager
def files(*contents: bytes, sealed: bool = True) -> Iterator[list[int]]:
    made = []
    for content in contents:
        made.append(border.memory_file("test"))
        border.written(made[-1], content)
        if sealed:
            border.seal(made[-1])
    try:
        yield made
    finally:
        for descriptor in made:
            os.close(descriptor)


def answered(said: bytes, file: int) -> Answer:
    """Return what the milter worker makes of one datagram, with the record in ``file``."""

    async def run() -> Answer:
        lane = Lane()
        with lane.far as far:
            # Descriptors that nobody asked for are let go by the kernel.
            socket.send_fds(far, [said], [far.fileno()])
            far.shutdown(socket.SHUT_WR)
            try:
                return answers.told(await lane.ask(border.ANATOMISE, []), file)[0]
            finally:
                lane.close()

    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not walked
    try:
        return asyncio.run(run())
    finally:
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above


RECORD = border.encoded(Answer(anatomy=Anatomy()))


def test_a_good_answer() -> None:
    with files(b"content" + RECORD) as made:
        assert answered(border.LOCATION.pack(7, len(RECORD), 1), made[0]).anatomy == Anatomy()


@pytest.mark.parametrize(
    ("said", "content"),
    [
        (b"", b""),
        (b"X", RECORD),
        (b"F", RECORD),
        (border.LOCATION.pack(0, len(RECORD), 1)[:-1], RECORD),
        (border.LOCATION.pack(0, len(RECORD), 1) + b"x", RECORD),
        (border.LOCATION.pack(1, len(RECORD), 1), RECORD),
        (border.LOCATION.pack(0, len(RECORD) - 1, 1), RECORD),
        (border.LOCATION.pack(0, len(RECORD) + 1, 1), RECORD),
        (border.LOCATION.pack(2**64 - 1, 2**64 - 1, 1), RECORD),
        (border.LOCATION.pack(0, border.MAX_RECORD + 1, 1), b"\0" * (border.MAX_RECORD + 1)),
        (border.LOCATION.pack(0, 3, 1), b"\xc1\xc1\xc1"),
        (border.LOCATION.pack(0, 5000, 1), b"\x91" * 5000),
        (border.LOCATION.pack(0, len(RECORD), 1), RECORD[:-1] + b"\xc1"),
    ],
)
def test_a_bad_answer_is_none(said: bytes, content: bytes) -> None:
    with files(content) as made, pytest.raises(ScannerError):
        answered(said, made[0])


def whole(said: bytes) -> tuple[bytes, Answer]:
    answer, contents, _ = answers.told_whole(said)
    return contents, answer


def test_a_good_answer_in_one_piece() -> None:
    said = border.WHOLE + border.LOCATION.pack(7, len(RECORD), 1) + b"content" + RECORD
    assert whole(said) == (b"content", Answer(anatomy=Anatomy()))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        border.WHOLE,
        b"X" + border.LOCATION.pack(0, len(RECORD), 1) + RECORD,
        border.WHOLE + border.LOCATION.pack(0, len(RECORD), 1)[:-1],
        border.WHOLE + border.LOCATION.pack(0, len(RECORD), 1) + RECORD + b"x",
        border.WHOLE + border.LOCATION.pack(0, len(RECORD), 1) + RECORD[:-1],
        border.WHOLE + border.LOCATION.pack(2**64 - len(RECORD), len(RECORD) * 2, 1) + RECORD,
        border.WHOLE + border.LOCATION.pack(0, 3, 1) + b"\xc1\xc1\xc1",
    ],
)
def test_a_bad_answer_in_one_piece_is_none(said: bytes) -> None:
    with pytest.raises(ScannerError):
        whole(said)


@pytest.mark.parametrize("places", [[Place(0, 0, 5), Place(0, 6, 5)], [Place(0, 0, 5), Place(1, 0, 10)]])
def test_contents_in_one_piece_that_do_not_fit_are_refused(places: list[Place]) -> None:
    with Dissection(TWO, [b"0123456789"], [Place(0, 0, 5), Place(0, 5, 5)]) as dissection:
        assert [b"".join(one.pieces(4)) for one in dissection.contents.values()] == [b"0123", b"5678"]
    with pytest.raises(ScannerError):
        Dissection(TWO, [b"0123456789"], places)


def test_an_answer_that_can_still_be_changed_is_none() -> None:
    with files(RECORD, sealed=False) as made, pytest.raises(ScannerError, match="no sealed memory file"):
        answered(border.LOCATION.pack(0, len(RECORD), 1), made[0])


def test_an_answer_that_is_no_file_is_none() -> None:
    ends = os.pipe()
    try:
        with pytest.raises(ScannerError, match="no sealed memory file"):
            answered(border.LOCATION.pack(0, 1, 1), ends[0])
    finally:
        for end in ends:
            os.close(end)


@given(st.binary(max_size=200))
def test_no_record_is_more_than_refused(record: bytes) -> None:
    with contextlib.suppress(ScannerError):
        border.decoded(record)


TWO = Anatomy(
    leaves=(Leaf(path="1.1", size=5, digest="a"), Leaf(path="1.2", size=5, digest="b")), contents=(0, 1)
)


@pytest.mark.parametrize(
    ("anatomy", "places"),
    [
        (TWO, [Place(0, 0, 5)]),
        (TWO, [Place(0, 0, 5)] * 3),
        (TWO, [Place(0, 0, 5), Place(0, 0, 11)]),
        (TWO, [Place(0, 0, 5), Place(0, -1, 5)]),
        (TWO, [Place(0, 0, 5), Place(0, 5, -1)]),
        (TWO, [Place(0, 0, 5), Place(2, 0, 5)]),
        (TWO, [Place(0, 0, 5), Place(-1, 0, 5)]),
        (TWO, [Place(0, 0, 5), Place(1, 0, 4)]),
        (TWO, [Place(0, 0, 5), Place(1, 1, 4)]),
        (Anatomy(leaves=TWO.leaves, contents=(0, 2)), [Place(0, 0, 5)] * 2),
        (Anatomy(leaves=TWO.leaves, contents=(0, -1)), [Place(0, 0, 5)] * 2),
        # One of two leaves is scanned twice and the other never; a leaf hides behind the digest of another, or of none.
        (Anatomy(leaves=TWO.leaves, contents=(0, 0)), [Place(0, 0, 5)] * 2),
        (Anatomy(leaves=(TWO.leaves[0],) * 2, contents=(0, 1)), [Place(0, 0, 5)] * 2),
        (Anatomy(leaves=TWO.leaves, contents=(0,)), [Place(0, 0, 5)]),
        (TWO, [Place(0, 0, 5), Place(0, 5, 4)]),
    ],
)
def test_contents_that_do_not_fit_are_refused(anatomy: Anatomy, places: list[Place]) -> None:
    with files(b"0123456789", b"abcde") as made:
        owned = [os.dup(one) for one in made]
        with pytest.raises(ScannerError):
            Dissection(anatomy, owned, places)
        # They were taken over, and given back.
        for one in owned:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(one)


def test_contents_that_fit() -> None:
    with files(b"0123456789", b"abcde") as made:
        owned = [os.dup(one) for one in made]
        with Dissection(TWO, owned, [Place(0, 2, 5), Place(1, 0, 5)]) as dissection:
            assert [b"".join(one.pieces()) for one in dissection.contents.values()] == [b"23456", b"abcde"]
            assert [one.descriptor() for one in dissection.contents.values()] == [None, owned[1]]


@given(st.text(alphabet=st.characters(), max_size=50))
def test_any_text_crosses(name: str) -> None:
    sent = Answer(anatomy=Anatomy(leaves=(Leaf(path="1", names=(name,)),)))
    got = border.decoded(border.encoded(sent)).anatomy
    assert got is not None
    assert got.leaves[0].name == name.encode("utf-8", "backslashreplace").decode()


def test_a_reopened_descriptor_reads_from_the_start_and_writes_nothing() -> None:
    with files(b"content", sealed=False) as (made,):
        again = border.reopened(made)
        try:
            assert os.read(again, 10) == b"content"
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(again, b"x")
        finally:
            os.close(again)
